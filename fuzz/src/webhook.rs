//! A webhook: a line with the event's name, then the body.

use serde::Deserialize;
use sluice::event::{LABELS, Translated, label, translate};
use sluice::job::{Envelope, Job};
use sluice::project::Project;

use crate::words::{first_line, projects};

/// Whom the body speaks of. The rest is passed over, as by the translation: in what nobody reads,
/// serde accepts more than JSON (half a surrogate pair, any depth).
#[derive(Deserialize)]
struct Payload {
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

pub(crate) fn run(data: &[u8]) {
    let (event, body) = first_line(data);
    let event = String::from_utf8_lossy(event);
    let projects = projects();
    assert!(LABELS.contains(&label(&event)));
    let translated = translate(&event, body, &projects);
    let (jobs, spread) = match translated {
        Ok(Translated::Jobs(jobs)) => (jobs, false),
        Ok(Translated::Spread(jobs)) => (jobs, true),
        Ok(Translated::Ignored(_)) | Err(_) => return,
    };
    assert!(!jobs.is_empty(), "no job is a reason, not a list");
    assert!(jobs.len() <= 50 * projects.len(), "one event speaks for {}", jobs.len());
    let payload: Payload = serde_json::from_slice(body).expect("what makes jobs is JSON");
    let repository = payload.repository.full_name;
    for job in jobs {
        let project = project_of(&job, &projects);
        assert!(
            project.repository.as_str().eq_ignore_ascii_case(&repository),
            "{repository} asks for a job of {}",
            project.repository,
        );
        assert!(!matches!(job, Job::Deploy(_)), "no event is believed to clear a head");
        let cause = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
        let envelope = Envelope::new(job, cause, 1_700_000_000_000);
        let envelope = if spread { envelope.spread() } else { envelope };
        let bytes = envelope.to_bytes().unwrap();
        assert_eq!(Envelope::from_bytes(&bytes).expect("a worker reads it"), envelope);
    }
}

fn project_of<'a>(job: &Job, projects: &'a [Project]) -> &'a Project {
    let project = projects.iter().find(|project| project.name == *job.project());
    project.expect("a job is of a project that is served")
}
