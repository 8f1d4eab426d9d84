//! A comment: a line with the namespace of commands (or none), then its text.

use serde_json::json;
use sluice::event::{Translated, translate};
use sluice::job::Job;
use sluice::policy::signal::{CommandVerb, parse_command};

use crate::words::{first_line, policy, projects};

pub(crate) fn run(data: &[u8]) {
    let (namespace, body) = first_line(data);
    let namespace = String::from_utf8_lossy(namespace);
    let body = String::from_utf8_lossy(body);
    let policy = policy((!namespace.is_empty()).then_some(&*namespace));
    let verb = parse_command(&body, &policy);

    let verbs = [CommandVerb::Deploy, CommandVerb::Gate];
    let expected = verbs.into_iter().find(|verb| body.trim() == verb.written(&policy));
    assert_eq!(verb, expected, "the whole comment, and nothing else");
    for verb in verbs {
        assert_eq!(parse_command(&verb.written(&policy), &policy), Some(verb));
    }
    // What a worker takes for a command the producer must not drop, whose namespaces it knows not.
    let is_short = body.trim().chars().count() <= 128;
    if verb.is_some() && is_short && !body.trim().contains(['\n', '\r']) {
        let payload = json!({
            "action": "created",
            "repository": { "full_name": "acme/data", "id": 1 },
            "issue": { "number": 7, "pull_request": {} },
            "comment": { "node_id": "IC_1", "body": body },
        });
        let translated = translate("issue_comment", payload.to_string().as_bytes(), &projects());
        let jobs = match translated {
            Ok(Translated::Jobs(jobs) | Translated::Spread(jobs)) => jobs,
            other => panic!("{body:?} was dropped: {other:?}"),
        };
        assert!(matches!(jobs.as_slice(), [Job::Command(_)]), "{jobs:?}");
    }
}
