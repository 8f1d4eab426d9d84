//! Verbs while a store is away: each ends in time, says what is missing, and shows what it can.

use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Cluster, usual};

/// A verb may take so long on a busy machine. The stores are given some seconds for each answer.
const WITHIN: Duration = Duration::from_secs(40);

const VERBS: [&[&str]; 8] = [
    &["status", "--json"],
    &["unlock", "warehouse", "--reason", "a test", "--json"],
    &["pause", "warehouse", "--reason", "a test", "--json"],
    &["resume", "warehouse", "--json"],
    &["dead", "list", "--json"],
    &["dead", "retry", "--all", "--json"],
    &["dead", "drop", "an-id", "--json"],
    &["doctor", "--json"],
];

/// Those that need the broker, and those that need Redis.
const OF_THE_QUEUE: [&str; 3] = ["status", "dead", "doctor"];
const OF_THE_LEASES: [&str; 5] = ["status", "unlock", "pause", "resume", "doctor"];

/// What all verbs say, at the same time.
async fn all_say(cluster: &Cluster) -> Vec<(&'static str, Output)> {
    let mut running = tokio::task::JoinSet::new();
    for verb in VERBS {
        let mut command = cluster.command(verb);
        running.spawn_blocking(move || (verb[0], command.output().unwrap()));
    }
    let all = tokio::time::timeout(WITHIN, running.join_all()).await;
    all.expect("a verb hangs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

/// Verbs that need what is away fail with a sentence; the others do not notice.
async fn away(cluster: &Cluster, needed_by: &[&str]) {
    for (verb, output) in all_say(cluster).await {
        let all = [said(&output), String::from_utf8_lossy(&output.stdout).into_owned()].concat();
        assert!(!all.contains("hush") && !all.contains("panicked"), "{verb}: {all}");
        // The doctor finds a problem in any case: nobody is at GitHub's address. There is no dead
        // letter `an-id`, and to name it is a failure.
        if needed_by.contains(&verb) {
            assert_eq!(output.status.code(), Some(1), "{verb}: {all}");
            assert!(all.contains("error: "), "{verb}: {all}");
        } else if !["doctor", "dead"].contains(&verb) {
            assert_eq!(output.status.code(), Some(0), "{verb}: {all}");
        }
        match verb {
            "status" => partial(&json(&output), needed_by),
            "doctor" => examined(&json(&output), needed_by),
            _ => {}
        }
    }
}

/// What can be asked is shown, and what cannot is named.
fn partial(status: &Value, needed_by: &[&str]) {
    let troubles = status["troubles"].as_array().unwrap();
    assert!(!troubles.is_empty(), "{status:#}");
    match needed_by == OF_THE_QUEUE {
        true => assert_eq!(status["pauses"][0]["reason"], "seen without a broker", "{status:#}"),
        false => assert_eq!(status["dead"], 0, "{status:#}"),
    }
}

fn examined(doctor: &Value, needed_by: &[&str]) {
    let health = |check: &str| {
        let findings = doctor["findings"].as_array().unwrap().iter();
        findings.clone().find(|finding| finding["check"] == check).map(|found| &found["health"])
    };
    let (away, there) = match needed_by == OF_THE_QUEUE {
        true => ("RabbitMQ", "Redis"),
        false => ("Redis", "RabbitMQ"),
    };
    assert_eq!(health(away), Some(&Value::from("problem")), "{doctor:#}");
    assert_eq!(health(there), Some(&Value::from("ok")), "{doctor:#}");
}

/// An address where nobody is, and one where somebody listens and never says a word.
fn nobody_and_silence() -> (Vec<String>, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("127.0.0.1:{}", sluice_rig::free_port().unwrap());
    (vec![nobody, silent.local_addr().unwrap().to_string()], silent)
}

#[tokio::test]
async fn without_a_broker_every_verb_ends_and_says_so() {
    let cluster = Cluster::new();
    cluster.thaw().await;
    cluster.json(&["pause", "--all", "--reason", "seen without a broker"]).await;
    let (addresses, _silent) = nobody_and_silence();
    let usual = usual("SLUICE_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
    let file = std::fs::read_to_string(cluster.file()).unwrap();
    for address in addresses {
        let away = format!("amqp://guest:hush-hush@{address}/%2f");
        std::fs::write(cluster.file(), file.replace(&usual, &away)).unwrap();
        self::away(&cluster, &OF_THE_QUEUE).await;
    }
    cluster.finish().await;
}

#[tokio::test]
async fn without_redis_every_verb_ends_and_says_so() {
    let cluster = Cluster::new();
    let (addresses, _silent) = nobody_and_silence();
    let usual = usual("SLUICE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0");
    let file = std::fs::read_to_string(cluster.file()).unwrap();
    for address in addresses {
        let away = format!("redis://:hush-hush@{address}/0");
        std::fs::write(cluster.file(), file.replace(&usual, &away)).unwrap();
        self::away(&cluster, &OF_THE_LEASES).await;
    }
    cluster.finish().await;
}
