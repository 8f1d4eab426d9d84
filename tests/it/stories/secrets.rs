//! Secrets that a warehouse says, and whatever way they could go out.

use std::io::Write;
use std::sync::{Arc, Mutex};

use sluice::redact::REDACTED;
use sluice_sim::Pr;
use sluice_sim::world::CheckConclusion;

use crate::town::{DEPLOY, SECRET, Setup, TESTS, Town};

/// A model whose failure names an account, a password that is configured, and a token.
fn sql(mark: &str) -> String {
    format!(
        "SELECT 'postgres://etl:pa_ss@warehouse/prod', '{SECRET}', \
         'ghs_0123456789abcdefghij' {mark}\n"
    )
}

const SECRETS: [&str; 4] = ["etl:pa", "ss@warehouse", SECRET, "0123456789abcdefghij"];

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Listens to this thread, which is all that a story runs on.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
        tracing::subscriber::set_default(lines.with_writer(move || log.clone()).finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Everything that people, machines and stores were told, by the way it went.
fn ways_out(town: &Town, pr: &Pr, log: &Log) -> Vec<(&'static str, String)> {
    let seen = town.see(pr);
    let checks: Vec<_> =
        seen.checks.iter().map(|check| format!("{:?}\n{:?}", check.title, check.summary)).collect();
    let comments: Vec<_> = seen.comments.iter().map(|comment| comment.body.clone()).collect();
    let dead = town.queue.dead();
    vec![
        ("check runs", checks.join("\n")),
        ("comments", comments.join("\n")),
        ("what journal, ledger and timeline hear", town.all()),
        ("dead letters", dead.iter().map(|letter| format!("{letter:?}\n")).collect()),
        ("metrics", town.metrics.render().unwrap()),
        ("log", log.text()),
    ]
}

fn none_is_said(ways: &[(&'static str, String)], said_in: &[&str]) {
    for (way, text) in ways {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in the {way}: {text}");
        }
        if said_in.contains(way) {
            assert!(text.contains(REDACTED), "nothing was said in the {way}: {text}");
        }
    }
}

#[tokio::test]
async fn a_secret_in_a_warehouse_error_leaves_no_way() {
    let log = Log::default();
    let _listening = log.listen();
    let town = Town::of(Setup { retries: 0, ..Setup::default() }).await;
    let pr = town.gated_pr("odd", "revenue", &sql("-- fails in prod")).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, DEPLOY, CheckConclusion::Failure).await;
    town.until_quiet().await;
    let told = ["check runs", "comments", "what journal, ledger and timeline hear", "log"];
    none_is_said(&ways_out(&town, &pr, &log), &[&told[..], &["dead letters"]].concat());
    town.finish_with(1).await;
}

#[tokio::test]
async fn a_secret_in_the_error_of_a_gate_leaves_no_way() {
    let log = Log::default();
    let _listening = log.listen();
    let town = Town::of(Setup { retries: 1, ..Setup::default() }).await;
    let pr = town.gated_pr("odd", "revenue", &sql("-- breaks in load")).await;
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Failure));
    let told = ["check runs", "what journal, ledger and timeline hear", "log", "dead letters"];
    none_is_said(&ways_out(&town, &pr, &log), &told);
    town.finish_with(1).await;
}
