//! The real engine on the bench: SQLMesh with a warehouse in a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluice::clock::SystemClock;
use sluice::engine::{Engine, Used};
use sluice::project::{Project, Python};
use sluice_worker::engine::SqlMesh;
use sluice_worker::sqlmesh::{Bridges, Environments, REQUIREMENTS, Settings, default_folder};

use crate::town::{Setup, mirrors};

use super::village::Village;
use super::{Bench, File};

/// How long a session waits for the seat of the one before.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Real {
    village: Village,
    engine: Arc<SqlMesh>,
}

impl Real {
    pub(super) async fn new() -> Self {
        let told = Arc::new(|line: &str| println!("{line}"));
        let environments =
            Environments { folder: default_folder().unwrap(), base: "python3".into(), told };
        let python = Python::Interpreter(environments.interpreter(REQUIREMENTS).await.unwrap());
        let bridges = Bridges::new(Settings::new(environments), Arc::new(SystemClock)).unwrap();
        // DuckDB lets one process at a time write.
        let project = Project { python, max_sessions: 1, ..Setup::default().project };
        let folder = tempfile::tempdir().unwrap();
        let files = [
            configuration(folder.path(), "carol"),
            orders(10),
            totals("SUM(amount)"),
            ("tests/test_totals.yaml".to_owned(), TEST.to_owned()),
        ];
        let village = Village::new(project, folder, &files).await;
        let (mirrors, data) = (mirrors(&village.standin, village.folder()), village.folder());
        let engine = SqlMesh::new(mirrors, Arc::new(bridges), data, PATIENCE).unwrap();
        Self { village, engine: Arc::new(engine) }
    }
}

const TEST: &str = "test_totals:
  model: shop.totals
  inputs: {shop.orders: {rows: [{id: 1, amount: 2}, {id: 1, amount: 3}]}}
  outputs: {query: {rows: [{id: 1, total: 5}]}}
";

fn model(name: &str, kind: &str, query: &str) -> File {
    let sql = format!("MODEL (name shop.{name}, kind {kind});\n{query}\n");
    (format!("models/{name}.sql"), sql)
}

fn orders(amount: u32) -> File {
    model("orders", "FULL", &format!("SELECT 1 AS id, {amount} AS amount"))
}

fn totals(sum: &str) -> File {
    let query = format!("SELECT id, {sum} AS total FROM shop.orders GROUP BY id");
    model("totals", "VIEW", &query)
}

fn configuration(folder: &Path, approver: &str) -> File {
    let database = folder.join("warehouse.duckdb");
    let text = format!(
        "gateways: {{local: {{connection: {{type: duckdb, database: '{}'}}}}}}\n\
         default_gateway: local\n\
         model_defaults: {{dialect: duckdb, start: '2024-01-01'}}\n\
         linter: {{enabled: true, rules: [noselectstar]}}\n\
         users:\n\
         - {{username: owner, github_username: {approver}, roles: [required_approver]}}\n\
         cicd_bot: {{type: github, enable_deploy_command: true, merge_method: squash}}\n",
        database.display()
    );
    ("config.yaml".to_owned(), text)
}

impl Bench for Real {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    fn village(&self) -> &Village {
        &self.village
    }

    fn name(&self, model: &str) -> String {
        format!("shop.{model}")
    }

    fn orders(&self, amount: u32) -> File {
        orders(amount)
    }

    fn failing_totals(&self) -> File {
        totals("COUNT(amount)")
    }

    fn untidy(&self) -> File {
        model("untidy", "VIEW", "SELECT * FROM shop.orders")
    }

    fn configuration(&self, approver: &str) -> File {
        configuration(self.village.folder(), approver)
    }

    fn least_used(&self) -> Used {
        // It imported SQLMesh, or was forked from a process that had.
        Used { cpu: Duration::from_millis(1), peak_rss: 50 << 20 }
    }
}
