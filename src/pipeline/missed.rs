//! Webhooks that GitHub could not deliver: they are asked for again.
//!
//! Owns since when GitHub's log is looked at. A process that was not asked for long looks back for
//! an hour only: what is older, the [sweep](super::sweep) finds by what is missing on the pull
//! requests. Refuses to know what a delivery is about.

use std::time::Duration;

use crate::clock::unix_ms;
use crate::github::{GitHubError, Redelivered};
use crate::pipeline::Deps;

/// How far a first look goes back.
const LOOK_BACK: Duration = Duration::from_secs(3600);

/// Deliveries are logged when they have failed, which takes GitHub's ten seconds and some more.
const LOGGED_WITHIN: Duration = Duration::from_secs(60);

/// Looks at GitHub's log again and again.
#[derive(Debug, Default)]
pub struct Missed {
    seen_ms: Option<u64>,
}

impl Missed {
    /// Has sent again what could not be delivered since the last time; `None` where GitHub keeps
    /// no log for us.
    ///
    /// # Errors
    /// GitHub does not answer. The next time begins where this one did.
    pub async fn ask_again(&mut self, deps: &Deps) -> Result<Option<Redelivered>, GitHubError> {
        let earliest = unix_ms(deps.clock.now() - LOOK_BACK);
        let since_ms = self.seen_ms.map_or(earliest, |seen_ms| seen_ms.max(earliest));
        let redelivered = deps.github.redeliver(since_ms).await?;
        if let Some(Redelivered { newest_ms, .. }) = redelivered {
            let overlap = u64::try_from(LOGGED_WITHIN.as_millis()).unwrap_or(u64::MAX);
            self.seen_ms = Some(newest_ms.saturating_sub(overlap).max(since_ms));
        }
        Ok(redelivered)
    }
}
