//! `sluice unlock`: takes a lease from whoever has it.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use sluice::lease::{LeaseInfo, LeaseKey, Standing};
use sluice::names::{Environment, PrNumber, ProjectName};
use sluice_service::Ended;

use super::show::{long, millis};
use super::status::{lease_json, rest};
use super::{Cluster, Common, Wanted};

/// What is to be unlocked.
#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// The project.
    project: String,
    /// An environment, or a key as `sluice status` shows it.
    #[arg(default_value = "prod")]
    what: String,
    /// Why, for whoever wonders.
    #[arg(long, value_parser = reason)]
    pub(super) reason: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

/// A reason, in at least a few letters.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 500 {
        return Err("say why, in 1 to 500 letters".to_owned());
    }
    Ok(text.to_owned())
}

/// Takes the lease away, having said what that does.
pub(crate) async fn run(unlock: &Unlock) -> anyhow::Result<Ended> {
    let cluster = Cluster::reach(&unlock.common, Wanted::Leases)?;
    let project = cluster.project(&unlock.project)?;
    let key = key_of(&project, &unlock.what)?;
    let was = take(&cluster, &key, unlock).await?;
    let taken = was.as_ref().filter(|lease| rests(lease).is_none());
    if let Some(lease) = taken {
        let what = format!("took {key} from PR #{}", lease.owner.pr);
        cluster.note(what, Some(&unlock.reason)).await;
    }
    let by = sluice_service::operator();
    let json = json!({
        "key": key.to_string(),
        "taken": taken.map(|lease| lease_json(lease, &cluster.config)),
        "rests_ms": was.as_ref().and_then(rests).map(millis),
        "by": by,
        "reason": unlock.reason,
    });
    let words = match &was {
        Some(lease) => match rests(lease) {
            None => format!(
                "{key} was taken from PR #{} ({}), by {by}: {}",
                lease.owner.pr, lease.owner.host, unlock.reason
            ),
            Some(left) => format!(
                "{key} rests: PR #{} lost it or had it taken away, and may still be at work. \
                 Nobody holds it, and in {} it is free: there is nothing to take",
                lease.owner.pr,
                long(left)
            ),
        },
        None => format!("{key} was free: nothing was changed"),
    };
    cluster.answer(&words, &json);
    Ok(Ended::InOrder)
}

/// What was there; taken away, if somebody had it.
async fn take(
    cluster: &Cluster,
    key: &LeaseKey,
    unlock: &Unlock,
) -> anyhow::Result<Option<LeaseInfo>> {
    let failed = |error| anyhow::anyhow!(cluster.said(&error));
    let standing = cluster.stores.leases.inspect(key.project()).await.map_err(failed)?;
    let lease = standing.into_iter().find(|lease| lease.key == *key);
    // Who gets what nobody had when we looked has done nothing to lose it.
    let Some(lease) = lease else { return Ok(None) };
    if rests(&lease).is_some() {
        return Ok(Some(lease));
    }
    anstream::eprintln!("{}", warning(&lease, &rest(cluster)));
    if !unlock.yes && std::io::stdin().is_terminal() && !is_confirmed()? {
        anyhow::bail!("nothing was changed");
    }
    cluster.stores.leases.revoke(key).await.map_err(failed)
}

/// How long it rests still, if it does.
fn rests(lease: &LeaseInfo) -> Option<Duration> {
    match lease.standing {
        Standing::Resting { left } => Some(left),
        Standing::Held | Standing::Reserved => None,
    }
}

/// What will happen, before it does.
fn warning(lease: &LeaseInfo, rest: &str) -> String {
    let LeaseInfo { key, owner, .. } = lease;
    match lease.standing {
        Standing::Held => format!(
            "{key} is held for PR #{} by {}.\nIts epoch rises first: that worker can neither renew \
             it nor give it back, stops at the latest when it renews next, and its job comes back. \
             Then {key} rests, for {rest} at \
             most since that worker may be cut off and not know yet, and goes to whoever waits.",
            owner.pr, owner.host
        ),
        Standing::Reserved => format!(
            "{key} is reserved for PR #{}: the environment may run what it deployed, and its base \
             branch may lack it.\nThe reservation is forgotten, and the next deploy begins at \
             once. \
             If that head is not merged, the next deploy takes it out of the environment again.",
            owner.pr
        ),
        Standing::Resting { .. } => String::new(),
    }
}

fn is_confirmed() -> anyhow::Result<bool> {
    anstream::eprint!("Take it away? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

/// The key that is meant: an environment's name, or what `sluice status` shows, with or without the
/// project in front.
fn key_of(project: &ProjectName, what: &str) -> anyhow::Result<LeaseKey> {
    let what = what.strip_prefix(&format!("{project}/")).unwrap_or(what);
    let project = project.clone();
    Ok(match what.split_once('/') {
        Some(("snapshot", version)) => LeaseKey::Snapshot(project, version.to_owned()),
        Some(("pr", number)) => LeaseKey::PullRequest(project, PrNumber(number.parse()?)),
        _ if what == "sweep" => LeaseKey::Sweep(project),
        _ => LeaseKey::Environment(project, Environment::new(what)?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_understood_as_status_shows_it() {
        let project = ProjectName::new("w").unwrap();
        let keys = [
            LeaseKey::Environment(project.clone(), Environment::prod()),
            LeaseKey::Snapshot(project.clone(), "\"db\".\"a/b\"@123".to_owned()),
            LeaseKey::PullRequest(project.clone(), PrNumber(7)),
            LeaseKey::Sweep(project.clone()),
        ];
        for key in keys {
            assert_eq!(key_of(&project, &key.to_string()).unwrap(), key);
        }
        assert_eq!(key_of(&project, "prod").unwrap().to_string(), "w/prod");
        assert!(key_of(&project, "pr/x").is_err());
    }

    #[test]
    fn a_reason_is_said() {
        assert!(reason("  ").is_err());
        assert_eq!(reason(" the worker burnt ").unwrap(), "the worker burnt");
    }
}
