//! A database of a test's own, on the server that `SLUICE_TEST_POSTGRES_URL` names.
//!
//! It is asked in Python, with the driver that SQLMesh has: one driver for all.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sluice_worker::sqlmesh::{Environments, REQUIREMENTS, default_folder};

/// Where the server is unless the environment says otherwise.
const USUAL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// Runs statements in a transaction each, and prints the rows of the last one.
const ASK: &str = r#"
import json, sys
import psycopg2
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()
for statement in sys.argv[2:]:
    cursor.execute(statement)
rows = cursor.fetchall() if cursor.description else []
print(json.dumps([[None if it is None else str(it) for it in row] for row in rows]))
"#;

/// A database; it ends with this value.
pub struct Database {
    pub python: PathBuf,
    server: String,
    name: String,
}

impl Database {
    /// A new one, with nothing in it.
    pub async fn new() -> Self {
        let told = Arc::new(|line: &str| println!("{line}"));
        let environments =
            Environments { folder: default_folder().unwrap(), base: "python3".into(), told };
        let python = environments.interpreter(REQUIREMENTS).await.unwrap();
        let server = std::env::var("SLUICE_TEST_POSTGRES_URL").unwrap_or_else(|_| USUAL.to_owned());
        let name = format!("sluice_test_{}", uuid());
        ask(&python, &server, &[&format!("CREATE DATABASE {name}")]).unwrap();
        Self { python, server, name }
    }

    /// Runs each statement by itself; the rows of the last one, as text.
    pub fn ask(&self, statements: &[&str]) -> Vec<Vec<String>> {
        ask(&self.python, &self.url(), statements).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks something that takes its time.
    pub async fn wait(&self, query: &'static str) {
        let (python, url) = (self.python.clone(), self.url());
        let asked = tokio::task::spawn_blocking(move || ask(&python, &url, &[query]));
        asked.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
    }

    /// The address of this database.
    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// What SQLMesh's configuration calls a connection to it.
    pub fn connection(&self) -> String {
        let url = self.url();
        let (account, place) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        let (address, name) = place.split_once('/').unwrap();
        let (host, port) = address.split_once(':').unwrap_or((address, "5432"));
        format!(
            "{{type: postgres, host: '{host}', port: {port}, user: '{user}', \
             password: '{password}', database: '{name}'}}"
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let gone = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        if let Err(error) = ask(&self.python, &self.server, &[&gone]) {
            println!("{error}");
        }
    }
}

fn ask(python: &Path, url: &str, statements: &[&str]) -> Result<Vec<Vec<String>>, String> {
    let mut asked = Command::new(python);
    asked.args(["-c", ASK, url]).args(statements).stdin(Stdio::null());
    let output = asked.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{statements:?}\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let rows: Vec<Vec<Option<String>>> =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let text = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
    Ok(rows.into_iter().map(text).collect())
}

fn uuid() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}
