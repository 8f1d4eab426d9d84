//! Everything that the checker wants to know of a town when it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice::clock::{Clock as _, SystemClock, unix_ms};
use sluice::lease::{LeaseInfo, Leases as _, Standing};
use sluice::names::ProjectName;
use sluice::queue::Queue as _;
use sluice::queue::dead::DeadLetters as _;
use sluice_sim::World;
use sluice_sim::world::{PullState, Repository, ReviewState};

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
    /// Why messages failed for good.
    pub dead: Vec<String>,
    /// Leases that are still held or reserved, as text.
    pub leases: Vec<String>,
    /// How long it takes at most until a lost lease can be had again.
    pub rests: Duration,
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
    /// The required approver's approvals: of which head, and when (in milliseconds since 1970, by
    /// GitHub's clock in whole seconds).
    pub approvals: Vec<(String, u64)>,
    /// The required approver's deploy commands: of which head, and when.
    pub commands: Vec<(String, u64)>,
    /// What is shown more than once on its head or its conversation.
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
            dead: letters.into_iter().map(|letter| letter.reason).collect(),
            leases: held,
            rests: rests(&self.setup),
        })
    }
}

impl Town {
    /// What is held or reserved although nobody works: looked at until it is nothing, or until what
    /// the dead had held must have run out.
    async fn leases_left(&self) -> anyhow::Result<Vec<String>> {
        let (leases, project) = (self.setup.store()?.leases(), ProjectName::new(PROJECT)?);
        let over = SystemClock.instant() + rests(&self.setup) + Duration::from_secs(2);
        let mut glances = tokio::time::interval(Duration::from_millis(200));
        loop {
            glances.tick().await;
            let left = leases.inspect(&project).await?;
            let rests = |lease: &LeaseInfo| matches!(lease.standing, Standing::Resting { .. });
            let left = left
                .iter()
                .filter(|lease| !rests(lease))
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
    let runs = || {
        let on_head = repository.runs.values().filter(|run| run.commit == pull.head_oid);
        on_head.filter(|run| run.app == world.app().slug)
    };
    let mut shown = BTreeMap::<String, usize>::new();
    for run in runs() {
        *shown.entry(format!("check run {}", run.name)).or_default() += 1;
    }
    let ours = repository.comments_of(number).filter(|one| one.body.contains(COMMENT));
    shown.insert("sticky comment".to_owned(), ours.count());
    let twice = shown.into_iter().filter(|(_, times)| *times > 1);
    Ok(PullFacts {
        number,
        head: pull.head_oid.as_str().to_owned(),
        open: pull.state == PullState::Open,
        merged_tree: merged.map(|tree| tree.as_str().to_owned()),
        approvals: approved
            .map(|review| (review.commit.as_str().to_owned(), unix_ms(review.submitted_at)))
            .collect(),
        commands: commands(repository, number),
        shown_twice: twice.map(|(what, times)| format!("{times} × {what}")).collect(),
        unconcluded: runs()
            .filter(|run| run.conclusion.is_none())
            .map(|run| run.name.clone())
            .collect(),
    })
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
