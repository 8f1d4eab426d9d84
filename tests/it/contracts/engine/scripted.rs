//! The scripted engine on the bench: what is wrong with a model is written into it.

use std::sync::Arc;

use sluice::engine::{Engine, Used};
use sluice::names::Login;
use sluice::policy::Policy;

use crate::town::{Scripted, Setup, mirrors, policy, written};

use super::village::Village;
use super::{Bench, File};

pub(super) struct Script {
    village: Village,
    engine: Arc<Scripted>,
}

impl Script {
    pub(super) async fn new() -> Self {
        let files = [configuration("carol"), orders(10), model("totals", "SELECT 1 AS total")];
        let folder = tempfile::tempdir().unwrap();
        let village = Village::new(Setup::default().project, folder, &files).await;
        let engine = Scripted::new(mirrors(&village.standin, village.folder()));
        Self { village, engine: Arc::new(engine) }
    }
}

fn model(name: &str, sql: &str) -> File {
    (format!("models/{name}.sql"), format!("{sql}\n"))
}

fn orders(amount: u32) -> File {
    model("orders", &format!("SELECT {amount} AS amount"))
}

fn configuration(approver: &str) -> File {
    let policy = Policy { approvers: vec![Login::new(approver)], ..policy() };
    ("config.yaml".to_owned(), written(&policy))
}

impl Bench for Script {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    fn village(&self) -> &Village {
        &self.village
    }

    fn name(&self, model: &str) -> String {
        model.to_owned()
    }

    fn orders(&self, amount: u32) -> File {
        orders(amount)
    }

    fn failing_totals(&self) -> File {
        model("totals", "SELECT 2 AS total -- fails test")
    }

    fn untidy(&self) -> File {
        model("untidy", "SELECT * FROM orders -- fails lint")
    }

    fn configuration(&self, approver: &str) -> File {
        configuration(approver)
    }

    fn least_used(&self) -> Used {
        Used::default()
    }
}
