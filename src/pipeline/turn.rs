//! One at a time on a pull request's conversation: whoever creates check runs and the comment first
//! reads which there are, and nobody may create some in between.

use std::time::Duration;

use crate::lease::hold::hold;
use crate::lease::{Obstacle, Wait, Wish};
use crate::outcome::Stop;
use crate::pipeline::cx::Cx;

/// How long a turn is waited for: some requests to GitHub of somebody else.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does the work when it is this job's turn.
///
/// A turn keeps the conversation tidy; it protects no environment. When it cannot be had in time,
/// also because nobody can say whose it is, the work is done all the same: a check run that is
/// there twice is better than a gate that does not move while the lease store is away. Not sooner:
/// a store that was emptied grants nothing for a while, and two looks that do not wait for it show
/// everything twice.
pub(crate) async fn in_turn<T>(
    cx: &Cx<'_>,
    work: impl AsyncFnOnce() -> Result<T, Stop>,
) -> Result<T, Stop> {
    let told = |obstacle: &Obstacle| tracing::debug!(job = %cx.job.id, %obstacle, "waits its turn");
    let wish = Wish::turn(&cx.job, Wait::UpTo { at_most: PATIENCE, told: &told }, &cx.cancel);
    let mut work = Some(work);
    let keeper = cx.deps.keeper();
    let done = hold(&keeper, wish, async |turn| match work.take() {
        Some(work) => {
            cx.mandate.bind(turn);
            work().await.map(Some)
        }
        None => Ok(None),
    });
    let done = done.await;
    if !matches!(done, Err(Stop::Interrupted(_))) {
        cx.mandate.unbind();
    }
    match (done, work) {
        (Ok(Some(value)), _) => Ok(value),
        (Err(Stop::Later { why, .. }), Some(work)) => {
            tracing::warn!(job = %cx.job.id, %why, "goes on without its turn");
            work().await
        }
        (Err(stop), _) => Err(stop),
        (Ok(None), _) => {
            Err(Stop::Broken { what: "a turn was given twice".to_owned(), source: None })
        }
    }
}
