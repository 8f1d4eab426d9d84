//! The story that the demo tells, line by line. Each line waits until what it tells has happened.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use sluice::clock::{Clock, SystemClock};
use sluice::names::PrNumber;
use sluice_sim::world::{CheckConclusion, Role};
use sluice_sim::{Actor, Pr, PrSnapshot, PrSpec, RepositoryName, Standin};

use super::project::{self, Change};
use crate::timeline::Timeline;

const TESTS: &str = "SQLMesh - Run Unit Tests";
const APPROVAL: &str = "SQLMesh - Has Required Approval";
pub(crate) const DEPLOY: &str = "SQLMesh - Prod Environment Synced";

const WITHOUT_CANCELLED: &str = "Leave cancelled orders out";
const WITH_COUNT: &str = "Count the orders of a day";

/// How long one line of the story may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// What the story needs.
pub(crate) struct Stage {
    pub(crate) github: Standin,
    pub(crate) repository: RepositoryName,
    pub(crate) timeline: Arc<Timeline>,
}

/// What came of it.
pub(crate) struct Told {
    /// Deployed and merged, with their titles, in the order of their merges.
    pub(crate) merged: Vec<(Pr, &'static str)>,
    /// Held, each for its reason.
    pub(crate) held: Vec<Pr>,
}

/// Tells the story from its beginning to its end.
pub(crate) async fn tell(stage: &Stage) -> anyhow::Result<Told> {
    let [alice, bob, carol, mallory] =
        ["alice", "bob", "carol", "mallory"].map(|login| stage.github.user(login));
    for person in [&alice, &bob, &carol] {
        person.joins(&stage.repository, Role::Write).await?;
    }
    mallory.joins(&stage.repository, Role::Read).await?;

    let cancelled = stage
        .opens(&alice, "leave-cancelled-out", WITHOUT_CANCELLED, project::without_cancelled())
        .await?;
    stage.until(&cancelled, DEPLOY, CheckConclusion::Skipped).await?;

    stage.says(&cancelled, "mallory comments /deploy");
    let comment = mallory.comments(&cancelled, "/deploy").await?;
    stage.until_answered(&cancelled, comment).await?;

    let doubled = stage.opens(&bob, "double", "Double the revenue", project::doubled()).await?;
    stage.until(&doubled, TESTS, CheckConclusion::Failure).await?;
    stage.says(&doubled, "carol approves it all the same");
    carol.approves(&doubled).await?;
    stage.until(&doubled, APPROVAL, CheckConclusion::Success).await?;
    stage.until(&doubled, DEPLOY, CheckConclusion::Skipped).await?;

    let counted =
        stage.opens(&bob, "count-orders", WITH_COUNT, project::with_order_count()).await?;
    stage.until(&counted, DEPLOY, CheckConclusion::Skipped).await?;
    let paid =
        stage.opens(&alice, "only-paid", "Keep paid orders only", project::only_paid()).await?;
    stage.until(&paid, DEPLOY, CheckConclusion::Skipped).await?;

    stage.says(&cancelled, "carol approves");
    carol.approves(&cancelled).await?;
    stage.until_queued(&cancelled).await?;
    stage.says(&counted, "carol approves this one, too: two deploys want prod");
    carol.approves(&counted).await?;
    stage.until_merged(&cancelled).await?;
    stage.until_merged(&counted).await?;

    stage.says(&paid, "carol approves a change that conflicts with what was merged meanwhile");
    carol.approves(&paid).await?;
    stage.until(&paid, DEPLOY, CheckConclusion::Failure).await?;
    let merged = vec![(cancelled, WITHOUT_CANCELLED), (counted, WITH_COUNT)];
    Ok(Told { merged, held: vec![doubled, paid] })
}

impl Stage {
    pub(crate) async fn opens(
        &self,
        who: &Actor,
        branch: &str,
        title: &str,
        changes: Vec<Change>,
    ) -> anyhow::Result<Pr> {
        let mut spec = PrSpec::new(branch).title(title);
        for (path, text) in changes {
            spec = spec.file(path, &text);
        }
        let pr = who.opens_pr(&self.repository, spec).await?;
        self.says(&pr, &format!("{} opens “{title}”", who.login()));
        Ok(pr)
    }

    fn says(&self, pr: &Pr, text: &str) {
        self.timeline.tell(now(), Some(PrNumber(pr.number)), text);
    }

    /// Waits until a check of the pull request is concluded so.
    pub(crate) async fn until(
        &self,
        pr: &Pr,
        check: &str,
        end: CheckConclusion,
    ) -> anyhow::Result<()> {
        let concluded = |seen: &PrSnapshot| (seen.conclusion(check) == Some(end)).then_some(());
        self.wait(pr, &format!("“{check}” to end as {end:?}"), concluded).await
    }

    /// Waits until the deploy is on its way.
    async fn until_queued(&self, pr: &Pr) -> anyhow::Result<()> {
        let queued = |seen: &PrSnapshot| {
            let check = seen.check(DEPLOY)?;
            check.conclusion.is_none().then_some(())
        };
        self.wait(pr, "its deploy to be queued", queued).await
    }

    pub(crate) async fn until_merged(&self, pr: &Pr) -> anyhow::Result<()> {
        let ended = |seen: &PrSnapshot| {
            let check = seen.check(DEPLOY)?;
            let failed = check.conclusion == Some(CheckConclusion::Failure);
            let done = check.conclusion == Some(CheckConclusion::Success) && seen.is_merged();
            (failed || done).then(|| (done, check.clone()))
        };
        let (done, said) = self.wait(pr, "merged", ended).await?;
        if !done {
            let [title, summary] = [said.title, said.summary].map(Option::unwrap_or_default);
            bail!("pull request {} was not deployed: {title}\n{summary}", pr.number);
        }
        Ok(())
    }

    /// Waits until a comment has its reaction.
    async fn until_answered(&self, pr: &Pr, comment: u64) -> anyhow::Result<()> {
        let answered = |seen: &PrSnapshot| {
            let comment = seen.comments.iter().find(|c| c.id == comment)?;
            (!comment.reactions.is_empty()).then_some(())
        };
        self.wait(pr, "an answer to the comment", answered).await
    }

    async fn wait<T>(
        &self,
        pr: &Pr,
        what: &str,
        mut happened: impl FnMut(&PrSnapshot) -> Option<T>,
    ) -> anyhow::Result<T> {
        let look = |world: &sluice_sim::World| happened(&PrSnapshot::take(world, pr).ok()?);
        let waited = self.github.until(PATIENCE, look).await;
        waited.with_context(|| {
            let seen = self.github.pr(pr);
            format!("pull request {}: waited for {what}, but: {seen:#?}", pr.number)
        })
    }
}

fn now() -> SystemTime {
    SystemClock.now()
}
