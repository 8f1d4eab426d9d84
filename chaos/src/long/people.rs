//! People at random: pull requests that are opened, approved too early, pushed to too late.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sluice::clock::{Clock as _, SystemClock};
use sluice_sim::world::CheckConclusion;
use sluice_sim::{Pr, PrSnapshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::town::{DEPLOY, Town};

/// How many pull requests are on their way at once.
const AT_ONCE: usize = 6;

/// How long a pull request may take, whatever happens meanwhile.
const ARRIVES_WITHIN: Duration = Duration::from_secs(300);

/// Everybody who opens pull requests.
pub(super) struct Crowd {
    town: Arc<Town>,
    random: StdRng,
}

impl Crowd {
    pub(super) fn new(town: Arc<Town>, random: StdRng) -> Self {
        Self { town, random }
    }

    /// Brings pull requests to prod until it is over; says how many arrived.
    pub(super) async fn run(mut self, over: &CancellationToken) -> anyhow::Result<usize> {
        let (mut number, mut arrived) = (0, 0);
        let mut under_way = JoinSet::new();
        while !over.is_cancelled() || !under_way.is_empty() {
            while !over.is_cancelled() && under_way.len() < AT_ONCE {
                number += 1;
                let random = StdRng::seed_from_u64(self.random.random());
                let one = One { town: self.town.clone(), random, model: format!("m_{number}") };
                under_way.spawn(one.lives());
            }
            if let Some(ended) = under_way.join_next().await {
                ended??;
                arrived += 1;
            }
        }
        Ok(arrived)
    }
}

/// One pull request.
struct One {
    town: Arc<Town>,
    random: StdRng,
    model: String,
}

impl One {
    async fn lives(mut self) -> anyhow::Result<()> {
        self.hesitates(2000).await;
        let (town, model) = (self.town.clone(), self.model.clone());
        let takes = self.random.random_range(5..400);
        let text = format!("SELECT 1 AS {model} -- takes {takes} ms\n");
        let pr = match self.random.random_range(0..6) {
            0 => town.opens_quietly(&model, &text).await?,
            _ => town.opens(&model, &text).await?,
        };
        let arrives = tokio::time::timeout(ARRIVES_WITHIN, self.arrives(&pr)).await;
        arrives.with_context(|| format!("#{} is late:\n{}", pr.number, town.post_mortem(&pr)))?
    }

    async fn arrives(&mut self, pr: &Pr) -> anyhow::Result<()> {
        let town = self.town.clone();
        if self.random.random_bool(0.3) {
            self.hesitates(1500).await;
            drop(town.carol.approves(pr).await);
        }
        let mut pushes = self.random.random_range(0..3);
        loop {
            let seen = town.github.pr(pr)?;
            if seen.merged_as.is_some() {
                // A deploy that died in silence is finished by another, when a sweep has found it.
                if seen.conclusion(DEPLOY) == Some(CheckConclusion::Success) {
                    return Ok(());
                }
                self.hesitates(1000).await;
                continue;
            }
            if pushes > 0 && self.random.random_bool(0.5) {
                pushes -= 1;
                self.pushes(pr).await;
            }
            self.approves(pr, &seen).await;
            self.hesitates(3000).await;
        }
    }

    /// Approves or commands what seems to need it.
    async fn approves(&mut self, pr: &Pr, seen: &PrSnapshot) {
        if seen.conclusion(crate::town::PROD_PLAN).is_none() {
            return;
        }
        let approved = self.town.github.world(|world| {
            let pull = world.pull(pr).ok()?.1;
            let mut reviews = pull.reviews.iter();
            Some(reviews.any(|review| review.commit == pull.head_oid))
        });
        let refused = seen.check(DEPLOY).is_some_and(|check| check.conclusion.is_some());
        // She may be too late, or repeat herself: neither is wrong.
        if approved != Some(true) || refused {
            drop(self.town.carol.approves(pr).await);
        } else if self.random.random_bool(0.05) {
            drop(self.town.carol.comments(pr, "/deploy").await);
        }
    }

    async fn pushes(&mut self, pr: &Pr) {
        let (path, number) = (format!("models/{}.sql", self.model), self.random.random::<u16>());
        let text = format!("SELECT {number} AS {} -- takes 20 ms\n", self.model);
        drop(self.town.alice.pushes(pr, &[(&path, Some(&text))]).await);
    }

    async fn hesitates(&mut self, most_ms: u64) {
        let pause = Duration::from_millis(self.random.random_range(10..most_ms));
        SystemClock.sleep(pause).await;
    }
}
