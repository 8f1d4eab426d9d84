//! The contract of the `Pauses` port: who is held to it.

use sluice::pause::{MemoryPauses, Pauses};

use super::contract;
use crate::redis::Corner;

/// An adapter with nothing paused.
trait Bench {
    fn pauses(&self) -> &dyn Pauses;
}

impl Bench for MemoryPauses {
    fn pauses(&self) -> &dyn Pauses {
        self
    }
}

struct Redis {
    pauses: sluice_store::RedisPauses,
    _corner: Corner,
}

impl Redis {
    async fn new() -> Self {
        let corner = Corner::new();
        Self { pauses: corner.store().await.pauses(), _corner: corner }
    }
}

impl Bench for Redis {
    fn pauses(&self) -> &dyn Pauses {
        &self.pauses
    }
}

macro_rules! pauses {
    ($adapter:ident, $bench:expr) => {
        contract!(
            $adapter,
            $bench,
            [
                one_of_all_and_one_of_a_project_are_two,
                the_last_word_on_a_project_counts,
                whoever_waits_hears_of_a_beginning_and_an_end,
                waiting_is_bounded,
            ]
        );
    };
}

pauses!(memory, sluice::pause::MemoryPauses::default());
pauses!(redis, crate::contracts::pauses::Redis::new().await);

mod clauses {
    use std::time::Duration;

    use sluice::names::ProjectName;
    use sluice::pause::{Pause, Pauses, is_paused};

    use super::Bench;

    fn project(name: &str) -> ProjectName {
        ProjectName::new(name).unwrap()
    }

    fn pause(project: Option<ProjectName>, reason: &str) -> Pause {
        Pause { project, reason: reason.to_owned(), by: "carol@ops".to_owned(), since_ms: 1 }
    }

    pub(super) async fn one_of_all_and_one_of_a_project_are_two(bench: &impl Bench) {
        let pauses = bench.pauses();
        assert!(pauses.list().await.unwrap().is_empty());
        let (all, lake) = (pause(None, "release"), pause(Some(project("lake")), "\"migration\""));
        let warehouse = pause(Some(project("warehouse")), "");
        for paused in [&warehouse, &lake, &all] {
            pauses.pause(paused.clone()).await.unwrap();
        }
        assert_eq!(pauses.list().await.unwrap(), [all, lake.clone(), warehouse]);
        assert!(pauses.resume(None).await.unwrap());
        assert!(!pauses.resume(None).await.unwrap(), "it was ended twice");
        assert!(pauses.resume(Some(&project("warehouse"))).await.unwrap());
        let left = pauses.list().await.unwrap();
        assert_eq!(left, [lake]);
        assert!(is_paused(&left, &project("lake")) && !is_paused(&left, &project("warehouse")));
    }

    pub(super) async fn the_last_word_on_a_project_counts(bench: &impl Bench) {
        let pauses = bench.pauses();
        pauses.pause(pause(Some(project("lake")), "first")).await.unwrap();
        let second = pause(Some(project("lake")), "second");
        pauses.pause(second.clone()).await.unwrap();
        assert_eq!(pauses.list().await.unwrap(), [second]);
    }

    pub(super) async fn whoever_waits_hears_of_a_beginning_and_an_end(bench: &impl Bench) {
        let pauses = bench.pauses();
        hears(pauses, async { pauses.pause(pause(None, "")).await.unwrap() }).await;
        hears(pauses, async { assert!(pauses.resume(None).await.unwrap()) }).await;
    }

    async fn hears(pauses: &dyn Pauses, change: impl Future<Output = ()>) {
        // Polled in this order: it waits before anything changes.
        let both = async { tokio::join!(pauses.changed(Duration::from_secs(3600)), change) };
        tokio::time::timeout(Duration::from_secs(10), both).await.expect("it was not heard");
    }

    pub(super) async fn waiting_is_bounded(bench: &impl Bench) {
        bench.pauses().changed(Duration::from_millis(10)).await;
    }
}
