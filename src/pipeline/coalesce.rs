//! Events that bring nothing new: a pull request is looked at once for all that was heard before.
//!
//! Each event has a number. A look notes the newest one before it reads anything, and when it has
//! ended well all events up to that one were looked at: whatever they told of had happened by then,
//! and was read. No clock is asked, and what nobody knows is looked at. Refuses to know what a look
//! does. A command, and the look after a gate check, are never left out.

use crate::github::{Facts, PrState};
use crate::job::GateCheck;
use crate::ledger::Lately;
use crate::names::Sha;
use crate::outcome::Stop;
use crate::pipeline::cx::Cx;
use crate::pipeline::judge;
use crate::pipeline::turn::in_turn;

/// The approval gate check, as a job: the look that an event asks for.
pub(crate) async fn run(cx: &Cx<'_>, check: &GateCheck) -> Result<(), Stop> {
    let pull = (&check.project, check.pr);
    let heard = cx.deps.ledger.hear(pull, &message(cx), check.head.as_ref()).await;
    let Some((number, lately)) = heard else { return judge::run(cx).await };
    let event = Event { number, named: check.head.as_ref() };
    if event.brings_nothing(cx, &lately)? {
        return Ok(());
    }
    in_turn(cx, async || {
        // Somebody else may have looked while this one waited for its turn.
        let lately = before(cx).await;
        if let Some(lately) = &lately
            && event.brings_nothing(cx, lately)?
        {
            return Ok(());
        }
        noted(cx, lately, judge::look(cx)).await
    })
    .await
}

/// The same message whenever it comes back, and no other: two that follow from one event have the
/// same id when they ask for the same, but not at the same time.
fn message(cx: &Cx<'_>) -> String {
    format!("{}@{}", cx.envelope.id, cx.envelope.enqueued_ms)
}

/// What asks for a look.
struct Event<'a> {
    number: u64,
    /// The head that it names.
    named: Option<&'a Sha>,
}

impl Event<'_> {
    /// Whether it was looked at by another look already. [`Stop::Later`] when it has to wait for
    /// more pushes of a burst.
    fn brings_nothing(&self, cx: &Cx<'_>, lately: &Lately) -> Result<bool, Stop> {
        if lately.is_done(self.number, self.named) {
            cx.note("a look that began after this event has seen what it tells of");
            return Ok(true);
        }
        match lately.put_off(self.named, cx.deps.settings.settle) {
            Some(after) => Err(Stop::Later { why: "more pushes may follow".to_owned(), after }),
            None => Ok(false),
        }
    }
}

/// What was heard before a look reads anything.
pub(crate) async fn before(cx: &Cx<'_>) -> Option<Lately> {
    cx.deps.ledger.lately(&cx.project.name, cx.job.pr).await
}

/// Looks, and notes that all that was heard before was looked at.
pub(crate) async fn noted(
    cx: &Cx<'_>,
    before: Option<Lately>,
    look: impl Future<Output = Result<(), Stop>>,
) -> Result<(), Stop> {
    look.await?;
    if let Some(Lately { heard, .. }) = before {
        cx.deps.ledger.looked(&cx.project.name, cx.job.pr, heard).await;
    }
    Ok(())
}

/// Tells which head GitHub names.
pub(crate) async fn seen(cx: &Cx<'_>, facts: &Facts) {
    if facts.state == PrState::Open {
        cx.deps.ledger.see(&cx.project.name, facts.number, &facts.head).await;
    }
}
