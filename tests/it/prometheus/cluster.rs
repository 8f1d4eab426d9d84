//! One producer and two workers as processes of their own, on RabbitMQ, Redis and a real warehouse,
//! around one GitHub stand-in.

use std::net::SocketAddr;

use sluice_conformance::Watched;
use sluice_sim::world::CheckConclusion;
use sluice_sim::{Pr, PrSnapshot, PrSpec, Receiver, RepositoryName};

use crate::town::{DEPLOY, PATIENCE, PROD_PLAN};
use crate::warehouse::processes::Processes;
use crate::warehouse::{Shop, github, part};

/// The cluster.
pub struct Cluster {
    github: Watched,
    repository: RepositoryName,
    processes: Processes,
    _shop: Shop,
}

impl Cluster {
    /// One project, one approver (carol).
    pub async fn start() -> Self {
        let shop = Shop::empty().await;
        let configuration = format!(
            "{}users:\n- {{username: carol, github_username: carol, roles: [required_approver]}}\n\
             cicd_bot:\n  type: github\n  merge_method: squash\n  \
             auto_categorize_changes: {{sql: full}}\n",
            shop.configuration()
        );
        let (github, repository) = github(&shop, &configuration).await;
        let processes = Processes::start(&github, &shop.database.python, 2).await;
        let (url, secret) = (processes.webhooks(), processes.secret().to_owned());
        github.deliver_to(Receiver { url, secret });
        Self { github, repository, processes, _shop: shop }
    }

    /// The producer's address, and those of the workers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.processes.addresses()
    }

    /// Alice opens a pull request, carol approves it, prod gets it.
    pub async fn deploys_something(&self) {
        let (file, model) = part(1);
        let spec = PrSpec::new("change").file(&file, &model);
        let [alice, carol] = ["alice", "carol"].map(|login| self.github.user(login));
        let pr = alice.opens_pr(&self.repository, spec).await.unwrap();
        self.until(&pr, "gated", |seen| seen.conclusion(PROD_PLAN)).await;
        carol.approves(&pr).await.unwrap();
        let deployed = |seen: &PrSnapshot| seen.conclusion(DEPLOY);
        assert_eq!(self.until(&pr, "deployed", deployed).await, CheckConclusion::Success);
    }

    async fn until<T>(&self, pr: &Pr, what: &str, look: impl Fn(&PrSnapshot) -> Option<T>) -> T {
        let look = |world: &sluice_sim::World| look(&PrSnapshot::take(world, pr).unwrap());
        let seen = self.github.until(PATIENCE, look).await;
        seen.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.processes.logs()))
    }

    /// Everything ends in order.
    pub async fn stop(self) {
        self.processes.end().await;
    }
}
