//! The App's own log of webhooks: what GitHub could not deliver is sent again.
//!
//! GitHub repeats nothing by itself, and keeps its log for three days. A delivery that is sent
//! again has the GUID of the first one, so that whoever got it after all takes it for known. Owns
//! how far the log is read. Refuses to know what an event is for.

use std::collections::HashMap;

use http::Method;
use serde::Deserialize;
use sluice::clock::unix_ms;
use sluice::event;
use sluice::github::{GitHubError, Redelivered};

use super::HttpGitHub;
use super::account::Account;
use super::limits::{Failure, succeed};
use super::patience::Tries;

/// Pages of a hundred that are read at once.
const MOST_PAGES: usize = 20;
/// Deliveries that are sent again at once; the next time goes on.
const MOST_AGAIN: usize = 50;
/// How often one is sent again. What nobody takes then, the sweep makes up for.
const MOST_ATTEMPTS: usize = 4;

/// How far before what is new the log is read, to count the attempts at what is not taken.
const LOOK_BACK_MS: u64 = 60 * 60 * 1000;

const LOG: &str = "/app/hook/deliveries?per_page=100";

/// One attempt, as the log lists it.
#[derive(Debug, Deserialize)]
struct Attempt {
    id: u64,
    guid: String,
    delivered_at: String,
    status_code: u16,
    event: String,
}

impl HttpGitHub {
    pub(super) async fn redeliver_since(
        &self,
        since_ms: u64,
    ) -> Result<Option<Redelivered>, GitHubError> {
        let Account::App(_) = &self.client.account else { return Ok(None) };
        let log = self.log_since(since_ms.saturating_sub(LOOK_BACK_MS)).await?;
        let new = || log.iter().map(|(at_ms, _)| *at_ms).filter(|at_ms| *at_ms >= since_ms);
        let newest_ms = new().max().unwrap_or(since_ms);
        let mut redelivered = Redelivered { seen: new().count(), again: 0, newest_ms };
        for id in undelivered(&log, since_ms) {
            if redelivered.again == MOST_AGAIN {
                tracing::warn!("GitHub could not deliver more webhooks than are asked for at once");
                // What is left is looked for again.
                redelivered.newest_ms = since_ms;
                break;
            }
            match self.send_again(id).await {
                Ok(()) => redelivered.again += 1,
                // Of this one: the others are not to wait for it.
                Err(error @ GitHubError::Invalid(_)) => {
                    tracing::warn!(id, %error, "GitHub does not send a webhook again");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(redelivered))
    }

    /// The attempts since then, newest first, each with its time.
    async fn log_since(&self, since_ms: u64) -> Result<Vec<(u64, Attempt)>, GitHubError> {
        let (mut log, mut path) = (Vec::new(), LOG.to_owned());
        for _ in 0..MOST_PAGES {
            let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
            let (page, next) = loop {
                match self.page(&path).await {
                    Ok(page) => break page,
                    Err(failure) => tries.after(failure).await?,
                }
            };
            let is_last = page.iter().any(|(at_ms, _)| *at_ms < since_ms);
            log.extend(page.into_iter().filter(|(at_ms, _)| *at_ms >= since_ms));
            match next {
                Some(next) if !is_last => path = next,
                _ => return Ok(log),
            }
        }
        tracing::info!("GitHub's log of webhooks is longer than what is read of it at once");
        Ok(log)
    }

    async fn page(&self, path: &str) -> Result<(Vec<(u64, Attempt)>, Option<String>), Failure> {
        let call = self.client.rest("deliveries", Method::GET, path, None);
        let answer = self.client.send_as_app(&call).await?;
        let answer = succeed(answer, "the App's log of webhooks", self.client.clock.now())?;
        let odd = |source: Box<dyn std::error::Error + Send + Sync>| Failure::Ambiguous {
            what: "a log of another shape than asked for".to_owned(),
            source: Some(source),
        };
        let page: Vec<Attempt> =
            serde_json::from_slice(&answer.body).map_err(|source| odd(Box::new(source)))?;
        let timed = page.into_iter().map(|attempt| {
            let at = humantime::parse_rfc3339(&attempt.delivered_at);
            at.map(|at| (unix_ms(at), attempt)).map_err(|source| odd(Box::new(source)))
        });
        Ok((timed.collect::<Result<_, _>>()?, self.client.next_page_of(&answer.headers)))
    }

    async fn send_again(&self, id: u64) -> Result<(), GitHubError> {
        let path = format!("/app/hook/deliveries/{id}/attempts");
        let call = self.client.rest("deliveries", Method::POST, &path, None);
        // Not repeated: who gets it twice knows it by its GUID, and the next look at the log sees
        // whether it was sent.
        let answer = self.client.send_as_app(&call).await?;
        match succeed(answer, "the delivery", self.client.clock.now()) {
            // It is too old by now.
            Err(Failure::Final(GitHubError::NotFound(_))) => Ok(()),
            answer => Ok(answer.map(drop)?),
        }
    }
}

/// The newest attempt at each delivery that nobody took, and that somebody may take yet: one that
/// failed since then.
fn undelivered(log: &[(u64, Attempt)], since_ms: u64) -> Vec<u64> {
    let mut attempts: HashMap<&str, Vec<&(u64, Attempt)>> = HashMap::new();
    for attempt in log {
        attempts.entry(&attempt.1.guid).or_default().push(attempt);
    }
    let mut ids: Vec<u64> = attempts
        .into_values()
        .filter(|tried| tried.len() < MOST_ATTEMPTS && tried.iter().all(|(_, one)| is_lost(one)))
        .filter_map(|tried| tried.into_iter().max_by_key(|(at_ms, one)| (*at_ms, one.id)))
        .filter(|(at_ms, _)| *at_ms >= since_ms)
        .map(|(_, newest)| newest.id)
        .collect();
    // As they happened.
    ids.sort_unstable();
    ids
}

/// Whether nobody answered, or nobody who has read it: what we refused, we refuse again.
fn is_lost(attempt: &Attempt) -> bool {
    let unread = attempt.status_code == 0
        || attempt.status_code >= 500
        || matches!(attempt.status_code, 404 | 408 | 429);
    unread && event::leads_to_jobs(&attempt.event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(id: u64, guid: &str, status_code: u16, event: &str) -> (u64, Attempt) {
        let (guid, event) = (guid.to_owned(), event.to_owned());
        (id, Attempt { id, guid, delivered_at: String::new(), status_code, event })
    }

    #[test]
    fn what_was_not_taken_is_sent_again_and_nothing_else() {
        let log = [
            attempt(9, "a", 0, "pull_request"),
            attempt(8, "b", 200, "pull_request"),
            attempt(7, "b", 502, "pull_request"),
            attempt(6, "c", 401, "pull_request"),
            attempt(5, "d", 503, "workflow_run"),
            attempt(4, "a", 504, "pull_request"),
            attempt(3, "e", 404, "issue_comment"),
        ];
        assert_eq!(undelivered(&log, 3), [3, 9]);
        assert_eq!(undelivered(&log, 4), [9], "it is not new");
        let often: Vec<_> = (1..=4).map(|id| attempt(id, "a", 0, "pull_request")).collect();
        assert_eq!(undelivered(&often, 4), [0_u64; 0], "it had its chances");
        assert_eq!(undelivered(&often[..3], 3), [3]);
    }
}
