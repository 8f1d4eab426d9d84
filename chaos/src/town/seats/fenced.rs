//! Bridges whose worker lives and lost the lease under which they worked: watched until they are
//! gone, as those are whose worker is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{GLANCE, Hiring, watch};
use crate::history::{Happened, Line, Reader};

/// The bridges that ever changed something, by the worker that started them and the environment.
#[derive(Default)]
struct Bridges {
    workers: BTreeMap<u32, u32>,
    at_work: BTreeMap<(u32, String), Vec<u32>>,
}

impl Bridges {
    /// Takes note of a line; hands out the bridges that are to be gone soon because of it.
    fn follow(&mut self, line: Line) -> Vec<u32> {
        match line.what {
            Happened::BridgeStarted { bridge, .. } => {
                self.workers.insert(bridge, line.pid);
            }
            Happened::ApplyBegan(apply) => {
                if let Some(worker) = self.workers.get(&line.pid) {
                    self.at_work.entry((*worker, apply.environment)).or_default().push(line.pid);
                }
            }
            Happened::LeaseLost { key, .. } => {
                let environment = key.rsplit('/').next().unwrap_or_default().to_owned();
                return self.at_work.remove(&(line.pid, environment)).unwrap_or_default();
            }
            _ => {}
        }
        Vec::new()
    }
}

/// Watches the bridges of every lease that is lost, until the seats are closed, and then those that
/// are watched already to their end.
pub(super) async fn watch_all(hiring: Arc<Hiring>, closed: CancellationToken) {
    let (mut reader, mut bridges) = (Reader::of(hiring.folder.path()), Bridges::default());
    let mut watching = JoinSet::new();
    let mut glances = tokio::time::interval(5 * GLANCE);
    loop {
        tokio::select! {
            _ = glances.tick() => {}
            () = closed.cancelled() => break,
        }
        match reader.news() {
            Ok(lines) => {
                for bridge in lines.into_iter().flat_map(|line| bridges.follow(line)) {
                    watching.spawn(watch(bridge, hiring.lost_for, hiring.history.clone()));
                }
            }
            Err(error) => tracing::error!(%error, "the history could not be read"),
        }
    }
    while watching.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ApplyLine;

    fn line(pid: u32, what: Happened) -> Line {
        Line { at_ms: 0, who: String::new(), pid, what }
    }

    fn began(bridge: u32, environment: &str) -> [Line; 2] {
        let started = Happened::BridgeStarted { bridge, pr: 1, head: String::new() };
        let [plan, head, tree] = [(); 3].map(|()| String::new());
        let apply = ApplyLine { environment: environment.to_owned(), plan, pr: 1, head, tree };
        [line(7, started), line(bridge, Happened::ApplyBegan(apply))]
    }

    #[test]
    fn the_bridges_of_a_lost_lease_are_those_that_its_worker_let_change_that_environment() {
        let mut bridges = Bridges::default();
        let told = began(20, "prod").into_iter().chain(began(21, "warehouse_1"));
        assert!(told.flat_map(|line| bridges.follow(line)).next().is_none());
        let lost = |worker, key: &str| {
            let (key, job) = (key.to_owned(), String::new());
            line(worker, Happened::LeaseLost { key, job, pr: 1 })
        };
        assert_eq!(bridges.follow(lost(8, "warehouse/prod")), [0; 0], "another worker's");
        assert_eq!(bridges.follow(lost(7, "warehouse/pr/1")), [0; 0], "no environment");
        assert_eq!(bridges.follow(lost(7, "warehouse/prod")), [20]);
        assert_eq!(bridges.follow(lost(7, "warehouse/prod")), [0; 0], "it is watched already");
    }
}
