//! `sluice unlock`: takes a lease from whoever has it.

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;
use serde_json::json;
use sluice::lease::{LeaseInfo, LeaseKey, Standing};
use sluice::names::{Environment, PrNumber, ProjectName};
use sluice_service::Ended;

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
    /// Why, for the log.
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
    let standing = cluster.stores.leases.inspect(&project).await;
    let standing = standing.map_err(|error| anyhow::anyhow!(cluster.said(&error)))?;
    if let Some(lease) = standing.iter().find(|lease| lease.key == key) {
        anstream::eprintln!("{}", warning(lease, &rest(&cluster)));
        if !unlock.yes && std::io::stdin().is_terminal() && !is_confirmed()? {
            anyhow::bail!("nothing was changed");
        }
    }
    let taken = cluster.stores.leases.revoke(&key).await;
    let taken = taken.map_err(|error| anyhow::anyhow!(cluster.said(&error)))?;
    let by = sluice_service::operator();
    tracing::warn!(%key, %by, reason = unlock.reason, "a lease is taken away by an operator");
    let words = match &taken {
        Some(lease) => format!(
            "{key} was taken from PR #{} ({}), by {by}: {}",
            lease.owner.pr, lease.owner.host, unlock.reason
        ),
        None => format!("{key} was free: nothing was changed"),
    };
    let taken = taken.as_ref().map(lease_json);
    let json = json!({
        "key": key.to_string(),
        "taken": taken,
        "by": by,
        "reason": unlock.reason,
    });
    cluster.answer(&words, &json);
    Ok(Ended::InOrder)
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
