//! DuckDB and git, asked from outside of sluice: witnesses that have nothing to do with what they
//! testify. DuckDB is filled from here, too, before the story begins.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(180);

const REVENUE: &str = "
import duckdb, json, sys
with duckdb.connect(sys.argv[1], read_only=True) as warehouse:
    rows = warehouse.sql('SELECT * FROM shop.revenue ORDER BY ordered_on').fetchall()
print(json.dumps([[str(day), *rest] for day, *rest in rows]))
";

/// The warehouse, and a Python that can open it.
pub(crate) struct Warehouse {
    pub(crate) python: PathBuf,
    pub(crate) database: PathBuf,
}

impl Warehouse {
    /// Brings the project's first state into prod.
    pub(crate) async fn deploy_first(&self, project: &Path) -> anyhow::Result<()> {
        const MAIN: &str = "from sqlmesh.cli.main import cli; cli()";
        let plan = ["-c", MAIN, "plan", "--auto-apply", "--no-prompts"];
        let mut command = Command::new(&self.python);
        command
            .args(plan)
            .current_dir(project)
            .env("SQLMESH__DISABLE_ANONYMIZED_ANALYTICS", "true")
            .env("PYTHONWARNINGS", "ignore");
        read(command).await.context("the first state could not be deployed")?;
        // What it left behind is not the project's.
        for left in [".cache", ".logs", "logs"] {
            match std::fs::remove_dir_all(project.join(left)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Fails unless prod's revenue is this: day, revenue, orders.
    pub(crate) async fn expect_revenue(&self, expected: &[(&str, i64, i64)]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.python);
        command.args(["-c", REVENUE]).arg(&self.database);
        let rows: serde_json::Value = serde_json::from_str(&read(command).await?)?;
        let expected = serde_json::to_value(expected)?;
        ensure!(rows == expected, "prod's revenue is {rows} instead of {expected}");
        Ok(())
    }
}

/// The subjects of the commits on `main` in a bare repository, oldest first.
pub(crate) async fn main_of(repository: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new("git");
    command.arg("--git-dir").arg(repository).args(["log", "--reverse", "--format=%s", "main"]);
    Ok(read(command).await?.lines().map(str::to_owned).collect())
}

async fn read(mut command: Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?
        .wait_with_output();
    let output = tokio::time::timeout(PATIENCE, output).await.context("it took too long")??;
    if !output.status.success() {
        let [said, complained] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        bail!("{}\n{said}\n{complained}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
