//! When a town is quiet: no webhook is on its way, no message waits or is in hand.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use sluice::clock::{Clock as _, SystemClock};
use sluice::names::ProjectName;
use sluice::queue::{Queue as _, Route};
use sluice_sim::world::CheckRun;
use sluice_sim::{Oid, Pr, PrSnapshot, World};

use super::{DEPLOY, PATIENCE, Town};
use crate::checker;
use crate::hands::Hands;
use crate::history::{self, Happened, Line, Reader};
use crate::setup::PROJECT;

/// How often somebody looks.
const GLANCE: Duration = Duration::from_millis(100);

/// How many lines of the history go with a pull request that does not arrive.
const MOST_LINES: usize = 250;

/// How often in a row nothing has to be seen: what a job publishes at its end is counted by the
/// broker a little later.
const IN_A_ROW: u32 = 3;

/// Every route of a town.
pub(super) fn routes() -> anyhow::Result<[Route; 3]> {
    Ok([Route::Approval, Route::Gate, Route::Deploy(ProjectName::new(PROJECT)?)])
}

impl Town {
    /// Waits until it is quiet.
    ///
    /// # Errors
    /// It does not become quiet: with what still goes on.
    pub async fn until_quiet(&self) -> anyhow::Result<()> {
        let mut quiet = 0;
        let (mut history, mut hands) = (Reader::of(self.folder()), Hands::default());
        let waiting = async {
            let mut glances = tokio::time::interval(GLANCE);
            while quiet < IN_A_ROW {
                glances.tick().await;
                let nothing_waits = self.nothing_waits().await?;
                history.news()?.iter().for_each(|line| hands.follow(line));
                quiet = if nothing_waits && hands.count() == 0 { quiet + 1 } else { 0 };
            }
            anyhow::Ok(())
        };
        let waited = tokio::time::timeout(2 * PATIENCE, waiting).await;
        waited.with_context(|| format!("it is not quiet:\n{}", self.last_words(40)))?
    }

    /// Waits until the deploys of all merged pull requests have said how they ended: those that
    /// died in silence are found by a sweep. What takes too long is the checker's to tell.
    pub(super) async fn until_all_is_told(&self) -> anyhow::Result<()> {
        let end = SystemClock.instant() + PATIENCE;
        let mut glances = tokio::time::interval(GLANCE);
        while SystemClock.instant() < end && self.github.world(|world| self.is_untold(world))? {
            glances.tick().await;
        }
        Ok(())
    }

    fn is_untold(&self, world: &World) -> anyhow::Result<bool> {
        let repository = world.repository(&self.repository)?;
        let merged = repository.pulls.values().filter(|pull| pull.merged.is_some());
        let heads: BTreeSet<&Oid> = merged.map(|pull| &pull.head_oid).collect();
        let open = |run: &CheckRun| run.name == DEPLOY && run.conclusion.is_none();
        Ok(repository.runs.values().any(|run| open(run) && heads.contains(&run.commit)))
    }

    /// Waits for a line of the history, and hands it out.
    ///
    /// # Errors
    /// It does not come in time.
    pub async fn until_line(
        &self,
        what: &str,
        is_it: impl Fn(&Line) -> bool,
    ) -> anyhow::Result<Line> {
        let waiting = async {
            let mut glances = tokio::time::interval(GLANCE / 5);
            let mut history = Reader::of(self.folder());
            loop {
                glances.tick().await;
                if let Some(line) = history.news()?.into_iter().find(&is_it) {
                    return anyhow::Ok(line);
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.with_context(|| format!("in vain: {what}\n{}", self.last_words(40)))?
    }

    /// Waits until a bridge works on prod for a pull request: the bridge's process id and the
    /// worker's.
    ///
    /// # Errors
    /// It does not happen in time.
    pub async fn until_applying(&self, pr: &Pr) -> anyhow::Result<(u32, u32)> {
        let in_prod = |line: &Line| {
            matches!(&line.what, Happened::ApplyBegan(apply)
                if apply.environment == "prod" && apply.pr == pr.number)
        };
        let bridge = self.until_line("applying", in_prod).await?.pid;
        Ok((bridge, self.worker_of(bridge).await?))
    }

    /// The process id of the worker that started a bridge.
    ///
    /// # Errors
    /// There is none.
    pub async fn worker_of(&self, bridge: u32) -> anyhow::Result<u32> {
        let its_start = |line: &Line| match &line.what {
            Happened::BridgeStarted { bridge: pid, .. } => *pid == bridge,
            _ => false,
        };
        Ok(self.until_line("started", its_start).await?.pid)
    }

    /// How often prod was worked on for a pull request.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn applies(&self, pr: &Pr) -> anyhow::Result<usize> {
        let lines = history::read(self.folder())?;
        let in_prod = lines.iter().filter(|line| {
            matches!(&line.what, Happened::ApplyBegan(apply)
                if apply.environment == "prod" && apply.pr == pr.number)
        });
        Ok(in_prod.count())
    }

    async fn nothing_waits(&self) -> anyhow::Result<bool> {
        if !self.github.world(|world| world.deliveries().is_settled()) {
            return Ok(false);
        }
        if self.queue.delayed().await.ok() != Some(0) {
            return Ok(false);
        }
        for route in routes()? {
            // A broker that is away has nothing to say, and is not quiet.
            match self.queue.waiting(&route).await {
                Ok(waiting) if waiting.jobs == 0 => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The last lines of the history, and of what the workers logged.
    #[must_use]
    pub fn last_words(&self, lines: usize) -> String {
        let tail = |name: &str| {
            let text = std::fs::read_to_string(self.folder().join(name)).unwrap_or_default();
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        };
        format!("{}\n{}", tail("history.jsonl"), tail("sluice-chaos-worker.log"))
    }

    /// What a pull request looks like, and what was done for it, to prod, and to everybody.
    #[must_use]
    pub fn post_mortem(&self, pr: &Pr) -> String {
        let seen = self.github.world(|world| PrSnapshot::take(world, pr));
        let checks = seen.map(|seen| {
            let check = |check: &sluice_sim::CheckSnapshot| {
                format!("{}: {:?} {:?}", check.name, check.conclusion, check.title)
            };
            let state = format!("{:?} {}", seen.state, seen.head.as_str());
            std::iter::once(state).chain(seen.checks.iter().map(check)).collect::<Vec<_>>()
        });
        let checks = checks.unwrap_or_default().join("\n");
        let lines = history::read(self.folder()).unwrap_or_default();
        let mut about: Vec<String> = lines
            .iter()
            .filter(|line| checker::concerns(&line.what, pr.number))
            .map(|line| format!("{} {} {} {:?}", line.at_ms, line.who, line.pid, line.what))
            .collect();
        about.drain(..about.len().saturating_sub(MOST_LINES));
        format!("{checks}\n{}\nat last:\n{}", about.join("\n"), self.last_words(20))
    }
}
