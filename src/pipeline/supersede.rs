//! Gate checks of heads that were replaced: they are not begun, or stopped.
//!
//! Owns when a gate check watches for a newer head and what becomes of the checks of an older one.
//! The ledger only gives the hint: it may name an older head, and forget. GitHub says which head it
//! is before anything is stopped. A deploy is none of this: it goes on once it applies.

use std::pin::pin;
use std::time::Duration;

use crate::github::{Facts, PrState};
use crate::job::GateCheck;
use crate::names::Sha;
use crate::outcome::Stop;
use crate::pipeline::board::Board;
use crate::pipeline::coalesce;
use crate::pipeline::cx::{Cx, stop_of_github};
use crate::pipeline::judge;
use crate::render::checks::{self, CheckKind};

/// Why a gate check does not begin yet.
const WAITS: &str = "the gate check of the last push will do";

/// How often the ledger is asked for a newer head.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long GitHub is not asked again about a head that it did not name; twice as long each time.
/// What it reads from may lag behind what somebody else has read.
const ASK_GITHUB_AGAIN: Duration = Duration::from_secs(5);

/// How often one gate check asks GitHub at most. It goes on then, whatever the ledger says.
const MOST_QUESTIONS: u32 = 8;

/// Returns when no more pushes are waited for before this gate check begins.
pub(crate) async fn settled(cx: &Cx<'_>, check: &GateCheck) -> Result<(), Stop> {
    let Some(lately) = coalesce::before(cx).await else { return Ok(()) };
    match lately.unsettled(check.head.as_ref(), cx.deps.settings.settle) {
        Some(after) => Err(Stop::Later { why: WAITS.to_owned(), after }),
        None => Ok(()),
    }
}

/// Works on a head until that is done, or until it is the head no more: then the work is cancelled,
/// waited for, and [`Stop::Superseded`].
pub(crate) async fn watched<T>(
    cx: &Cx<'_>,
    head: &Sha,
    work: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    let mut work = pin!(work);
    let newer = tokio::select! {
        biased;
        result = &mut work => return result,
        newer = newer(cx, head) => newer,
    };
    cx.note(replaced(head, &newer));
    cx.cancel.cancel();
    match work.await {
        Err(Stop::Interrupted(_)) => Err(Stop::Superseded(newer)),
        result => result,
    }
}

/// A line for the timeline.
fn replaced(head: &Sha, newer: &Sha) -> String {
    format!("{} was replaced by {}", head.short(), newer.short())
}

/// Returns the head that replaced this one, once there is one.
///
/// GitHub is asked outside any stage: one of the work runs, and is what people see.
async fn newer(cx: &Cx<'_>, head: &Sha) -> Sha {
    let clock = &cx.deps.clock;
    let mut doubted: Option<Sha> = None;
    let (mut pause, mut ask_at) = (ASK_GITHUB_AGAIN, clock.instant());
    for _ in 0..MOST_QUESTIONS {
        let hinted = loop {
            clock.sleep(ASK_EVERY).await;
            let seen = coalesce::before(cx).await.and_then(|lately| lately.head);
            let Some(other) = seen.map(|seen| seen.sha).filter(|sha| sha != head) else { continue };
            if doubted.as_ref() != Some(&other) || clock.instant() >= ask_at {
                break other;
            }
        };
        match cx.facts(None).await {
            Ok(Facts { state: PrState::Open, head: now, .. }) if now != *head => return now,
            Ok(_) => {}
            Err(why) => tracing::debug!(job = %cx.job.id, %why, "nobody says what the head is"),
        }
        ask_at = clock.instant() + pause;
        (doubted, pause) = (Some(hinted), pause * 2);
    }
    std::future::pending().await
}

/// Ends the gate check of a head that was replaced before it began: nobody else concludes what was
/// announced of it.
pub(crate) async fn left(cx: &Cx<'_>, facts: Facts, head: &Sha) -> Result<Stop, Stop> {
    let newer = facts.head.clone();
    cx.note(replaced(head, &newer));
    let checks = cx.deps.github.checks(&cx.ask(None), head).await.map_err(stop_of_github)?;
    let facts = Facts { head: head.clone(), checks, ..facts };
    let board = Board::new(cx, &facts);
    for kind in board.open() {
        if kind == CheckKind::Deploy && judge::deploy_is_under_way(cx, &facts) {
            continue;
        }
        board.say(kind, judge::keeping(cx, &facts, kind, checks::superseded(&newer)));
    }
    board.flush().await?;
    Ok(Stop::Superseded(newer))
}
