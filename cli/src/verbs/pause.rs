//! `sluice pause` and `sluice resume`: no deploys for now, and deploys again.

use clap::Args;
use serde_json::json;
use sluice::clock::unix_ms;
use sluice::names::ProjectName;
use sluice::pause::{Pause, is_paused};
use sluice_service::Ended;

use super::unlock::reason;
use super::{Cluster, Common, Wanted};

/// Whose deploys.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// A project.
    project: Option<String>,
    /// Every project.
    #[arg(long)]
    all: bool,
}

impl Whose {
    fn project(&self, cluster: &Cluster) -> anyhow::Result<Option<ProjectName>> {
        self.project.as_deref().map(|name| cluster.project(name)).transpose()
    }
}

fn named(project: Option<&ProjectName>) -> String {
    project.map_or("all projects".to_owned(), ToString::to_string)
}

/// What is to be paused.
#[derive(Debug, Args)]
pub(crate) struct ToPause {
    #[command(flatten)]
    whose: Whose,
    /// Why, for whoever wonders.
    #[arg(long, value_parser = reason)]
    reason: String,
    #[command(flatten)]
    common: Common,
}

/// What is to be resumed.
#[derive(Debug, Args)]
pub(crate) struct ToResume {
    #[command(flatten)]
    whose: Whose,
    /// Why, for whoever wonders.
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Pauses.
pub(crate) async fn pause(asked: &ToPause) -> anyhow::Result<Ended> {
    let cluster = Cluster::reach(&asked.common, Wanted::Leases)?;
    let pause = Pause {
        project: asked.whose.project(&cluster)?,
        reason: cluster.said(&asked.reason),
        by: sluice_service::operator(),
        since_ms: unix_ms(cluster.clock.now()),
    };
    let done = cluster.stores.pauses.pause(pause.clone()).await;
    done.map_err(|error| anyhow::anyhow!(cluster.said(&error)))?;
    let what = format!("paused {}", named(pause.project.as_ref()));
    cluster.note(what, Some(&pause.reason)).await;
    let words = format!(
        "paused {}: deploys keep their places in line and none begins; what runs goes on",
        named(pause.project.as_ref())
    );
    cluster.answer(&words, &json!({ "paused": pause }));
    Ok(Ended::InOrder)
}

/// Resumes.
pub(crate) async fn resume(asked: &ToResume) -> anyhow::Result<Ended> {
    let cluster = Cluster::reach(&asked.common, Wanted::Leases)?;
    let project = asked.whose.project(&cluster)?;
    let pauses = &cluster.stores.pauses;
    let failed = |error| anyhow::anyhow!(cluster.said(&error));
    let was_paused = pauses.resume(project.as_ref()).await.map_err(failed)?;
    let left = pauses.list().await.map_err(failed)?;
    let whose = named(project.as_ref());
    if was_paused {
        cluster.note(format!("resumed {whose}"), asked.reason.as_deref()).await;
    }
    let mut words = match was_paused {
        true => format!("resumed {whose}"),
        false => format!("{whose}: there was no such pause"),
    };
    if let Some(project) = &project
        && is_paused(&left, project)
    {
        words += "; it stays paused with all projects (`sluice resume --all`)";
    }
    let json = json!({ "project": project, "was_paused": was_paused, "pauses": left });
    cluster.answer(&words, &json);
    Ok(Ended::InOrder)
}
