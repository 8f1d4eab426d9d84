//! Everything that the checker wants to know of a town when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sluice::clock::{Clock as _, SystemClock, unix_ms};
use sluice::lease::{LeaseInfo, LeaseKey, Leases as _, Standing};
use sluice::names::ProjectName;
use sluice::queue::Queue as _;
use sluice::queue::dead::DeadLetters as _;
use sluice_sim::World;
use sluice_sim::world::{CheckRun, PullState, Repository, ReviewState};

use super::{Town, quiet};
use crate::history::Line;
use crate::setup::{PROJECT, Setup};
use crate::warehouse::Models;

/// More dead letters than any town has.
const MOST_DEAD: usize = 1000;

/// The hidden text of the sticky comment.
const COMMENT: &str = "<!-- sluice:comment";

/// What is left of a town.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The history.
    pub lines: Vec<Line>,
    /// The pull requests, as GitHub has them.
    pub pulls: Vec<PullFacts>,
    /// The models on main.
    pub main: Models,
    /// The models in prod.
    pub prod: Models,
    /// How many messages wait.
    pub waiting: u64,
    /// Messages that failed for good.
    pub dead: Vec<Dead>,
    /// Leases that are still held or reserved, as text.
    pub leases: Vec<String>,
    /// How long it takes at most until a lost lease can be had again.
    pub rests: Duration,
}

/// A message that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Which.
    pub message: String,
    /// Why.
    pub reason: String,
}

/// A pull request, as GitHub has it.
#[derive(Debug, Clone, Default)]
pub struct PullFacts {
    /// Its number.
    pub number: u64,
    /// Its head.
    pub head: String,
    /// Whether it is still open.
    pub open: bool,
    /// The tree of the commit as which it was merged.
    pub merged_tree: Option<String>,
    /// When it was merged, in milliseconds since 1970.
    pub merged_ms: Option<u64>,
    /// The required approver's approvals: of which head, and when, in milliseconds since 1970. (The
    /// stand-in shows its clients whole seconds, and knows better.)
    pub approvals: Vec<(String, u64)>,
    /// The required approver's deploy commands: of which head, and when.
    pub commands: Vec<(String, u64)>,
    /// What is shown more than once on one of its heads or its conversation.
    pub shown_twice: Vec<String>,
    /// Checks of ours on its head that are not concluded.
    pub unconcluded: Vec<String>,
}

impl Town {
    /// Takes down how things stand.
    pub(super) async fn record(&self) -> anyhow::Result<Record> {
        let mut waiting = 0;
        for route in quiet::routes()? {
            waiting += self.queue.waiting(&route).await?.jobs;
        }
        let letters = self.queue.list(MOST_DEAD).await?;
        let held = self.leases_left().await?;
        let prod = self.prod()?;
        let (pulls, main) = self.github.world(|world| {
            let repository = world.repository(&self.repository)?;
            let pulls = repository.pulls.keys().map(|number| facts(world, repository, *number));
            let main = on_main(repository, &prod)?;
            anyhow::Ok((pulls.collect::<anyhow::Result<Vec<_>>>()?, main))
        })?;
        Ok(Record {
            lines: Vec::new(),
            pulls,
            main,
            prod,
            waiting,
            dead: letters
                .into_iter()
                .map(|letter| Dead { message: letter.id, reason: letter.reason })
                .collect(),
            leases: held,
            rests: rests(&self.setup),
        })
    }
}

impl Town {
    /// What is held or reserved although nobody works: looked at until it is nothing, or until what
    /// the dead had held must have run out. The sweep's is not: nobody gives it back.
    async fn leases_left(&self) -> anyhow::Result<Vec<String>> {
        let (leases, project) = (self.setup.store()?.leases(), ProjectName::new(PROJECT)?);
        let over = SystemClock.instant() + rests(&self.setup) + Duration::from_secs(2);
        let mut glances = tokio::time::interval(Duration::from_millis(200));
        loop {
            glances.tick().await;
            let left = leases.inspect(&project).await?;
            let is_over = |lease: &LeaseInfo| {
                matches!(lease.standing, Standing::Resting { .. })
                    || matches!(lease.key, LeaseKey::Sweep(_))
            };
            let left = left
                .iter()
                .filter(|lease| !is_over(lease))
                .map(|lease| format!("{} {:?}", lease.key, lease.standing));
            let left: Vec<String> = left.collect();
            if left.is_empty() || SystemClock.instant() >= over {
                return Ok(left);
            }
        }
    }
}

fn rests(setup: &Setup) -> Duration {
    let [ttl, _, _, lock_delay] = setup.lease_ms.map(Duration::from_millis);
    ttl + lock_delay
}

fn facts(world: &World, repository: &Repository, number: u64) -> anyhow::Result<PullFacts> {
    let pull = &repository.pulls[&number];
    let approved = pull.reviews.iter().filter(|review| {
        review.state == ReviewState::Approved && review.author.as_deref() == Some("carol")
    });
    let merged = pull.merged.as_ref().map(|merged| repository.tree(&merged.commit)).transpose()?;
    let heads = heads(repository, number);
    let ours = repository.runs.values().filter(|run| run.app == world.app().slug);
    let runs: Vec<&CheckRun> = ours.filter(|run| heads.contains(run.commit.as_str())).collect();
    let mut shown = BTreeMap::<String, Vec<String>>::new();
    for run in &runs {
        let which = format!("check run {} on {}", run.name, run.commit.as_str());
        shown.entry(which).or_default().push(made(run));
    }
    let ours = repository.comments_of(number).filter(|one| one.body.contains(COMMENT));
    let ours = ours.map(|one| format!("at {}", unix_ms(one.created_at)));
    shown.insert("sticky comment".to_owned(), ours.collect());
    let twice = shown.into_iter().filter(|(_, made)| made.len() > 1);
    Ok(PullFacts {
        number,
        head: pull.head_oid.as_str().to_owned(),
        open: pull.state == PullState::Open,
        merged_tree: merged.map(|tree| tree.as_str().to_owned()),
        merged_ms: pull.merged.as_ref().map(|merged| unix_ms(merged.at)),
        approvals: approved
            .map(|review| (review.commit.as_str().to_owned(), unix_ms(review.submitted_at)))
            .collect(),
        commands: commands(repository, number),
        shown_twice: twice
            .map(|(what, made)| format!("{} × {what}: {}", made.len(), made.join("; ")))
            .collect(),
        unconcluded: runs
            .iter()
            .filter(|run| run.commit == pull.head_oid && run.conclusion.is_none())
            .map(|run| run.name.clone())
            .collect(),
    })
}

/// For which job a check run was made, and when.
fn made(run: &CheckRun) -> String {
    let job = run.external_id.as_deref().unwrap_or("nobody");
    format!("for {job}, at {}", unix_ms(run.started_at))
}

/// Every head that a pull request had: what was pushed to its branch.
fn heads(repository: &Repository, number: u64) -> BTreeSet<&str> {
    let pull = &repository.pulls[&number];
    let branch = format!("refs/heads/{}", pull.head);
    let pushes = repository.activity.iter().filter(|push| push.reference == branch);
    pushes.map(|push| push.after.as_str()).chain([pull.head_oid.as_str()]).collect()
}

/// The required approver's deploy commands, each with the head that there was: what was pushed last
/// to the pull request's branch before.
fn commands(repository: &Repository, number: u64) -> Vec<(String, u64)> {
    let branch = format!("refs/heads/{}", repository.pulls[&number].head);
    let said = repository.comments_of(number).filter(|one| one.body.trim() == "/deploy");
    let of_head = said.filter_map(|comment| {
        let mut pushes = repository.activity.iter().filter(|push| push.reference == branch);
        let head = pushes.rfind(|push| push.at <= comment.created_at)?;
        Some((head.after.as_str().to_owned(), unix_ms(comment.created_at)))
    });
    of_head.collect()
}

/// The models on main, as far as prod has them or pull requests brought them.
fn on_main(repository: &Repository, prod: &Models) -> anyhow::Result<Models> {
    let brought = repository.pulls.values().map(|pull| pull.title.as_str());
    let names = prod.keys().map(String::as_str).chain(brought);
    let tip = repository.tip("main")?;
    let mut models = Models::new();
    for name in names {
        if let Some(text) = repository.file(tip, &format!("models/{name}.sql"))? {
            models.insert(name.to_owned(), String::from_utf8(text)?);
        }
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use sluice_conformance::Watched;
    use sluice_sim::world::NewCheckRun;
    use sluice_sim::{PrSpec, StandinConfig};

    use super::*;

    #[tokio::test]
    async fn what_is_twice_on_a_head_that_was_pushed_over_is_found() -> anyhow::Result<()> {
        let github = Watched::start(StandinConfig::default()).await?;
        let repository = github.repository("acme/warehouse").with_files(&[("a", "a")]).await?;
        let alice = github.user("alice");
        alice.joins(&repository, sluice_sim::world::Role::Write).await?;
        let spec = PrSpec::new("change").file("b", "b");
        let pr = alice.opens_pr(&repository, spec).await?;
        let first = github.pr(&pr)?.head;
        let reports = async |head: &str| {
            let (commit, name) = (head.to_owned(), "SQLMesh - Linter".to_owned());
            let new = NewCheckRun { name, commit, ..NewCheckRun::default() };
            let to = repository.clone();
            let report = move |world: &mut World| {
                let app = world.app().slug.clone();
                world.report_check(&app, &to, new)
            };
            github.change(report).await
        };
        let twice = || {
            github.world(|world| {
                anyhow::Ok(facts(world, world.repository(&repository)?, pr.number)?.shown_twice)
            })
        };
        reports(first.as_str()).await?;
        let second = alice.pushes(&pr, &[("b", Some("c"))]).await?;
        reports(second.as_str()).await?;
        assert_eq!(twice()?, [""; 0], "once on each head");
        reports(first.as_str()).await?;
        let twice = twice()?;
        let what = format!("2 × check run SQLMesh - Linter on {}: ", first.as_str());
        assert!(twice.len() == 1 && twice[0].starts_with(&what), "{twice:?}");
        Ok(())
    }
}
