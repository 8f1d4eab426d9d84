//! `sluice dead`: what failed for good, and what becomes of it.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sluice::clock::unix_ms;
use sluice::job::Envelope;
use sluice::queue::dead::{DeadLetter, Treated};
use sluice_service::Ended;

use super::show::{short, since};
use super::{Cluster, Common, Wanted};

/// What is done about dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// Show the oldest ones.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        most: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Put back at the tail of their queues, as if never tried.
    Retry(Which),
    /// Remove for good.
    Drop(Which),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// By their ids, as `sluice dead list` shows them.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All of them (the oldest 1000).
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

/// The most that `--all` means.
const MOST: usize = 1000;

/// Does it.
pub(crate) async fn run(dead: &Dead) -> anyhow::Result<Ended> {
    match dead {
        Dead::List { most, common } => list(common, *most).await,
        Dead::Retry(which) => treat(which, "retried").await,
        Dead::Drop(which) => treat(which, "dropped").await,
    }
}

async fn list(common: &Common, most: usize) -> anyhow::Result<Ended> {
    let cluster = Cluster::reach(common, Wanted::Queue)?;
    let letters = letters(&cluster, most).await?;
    let now_ms = unix_ms(cluster.clock.now());
    let all: Vec<Value> = letters.iter().map(letter_json).collect();
    cluster.answer(&words(&letters, now_ms), &json!({ "dead": all }));
    Ok(Ended::InOrder)
}

async fn letters(cluster: &Cluster, most: usize) -> anyhow::Result<Vec<DeadLetter>> {
    let letters = cluster.stores.dead.list(most).await;
    letters.map_err(|error| anyhow::anyhow!(cluster.said(&error)))
}

async fn treat(which: &Which, verb: &'static str) -> anyhow::Result<Ended> {
    let cluster = Cluster::reach(&which.common, Wanted::Queue)?;
    let ids = match which.all {
        true => letters(&cluster, MOST).await?.into_iter().map(|letter| letter.id).collect(),
        false => which.ids.clone(),
    };
    let dead = &cluster.stores.dead;
    let treated = match verb {
        "retried" => dead.retry(&ids).await,
        _ => dead.discard(&ids).await,
    };
    if !treated.done.is_empty() {
        let what = format!("{verb} dead letters: {}", short(&treated.done.join(", "), 500));
        cluster.note(what, None).await;
    }
    let told = Told::of(&ids, treated);
    cluster.answer(&told.words(verb), &told.json(verb));
    match told.treated.trouble {
        Some(trouble) => Err(anyhow::anyhow!("it went no further: {}", cluster.said(&trouble))),
        None => {
            let left = told.missing.len() + told.treated.refused.len();
            anyhow::ensure!(left == 0, "not done with all of them");
            Ok(Ended::InOrder)
        }
    }
}

/// What became of those that were named.
struct Told {
    treated: Treated,
    /// Those that are not there; nobody knows when there was trouble.
    missing: Vec<String>,
}

impl Told {
    fn of(ids: &[String], treated: Treated) -> Self {
        let is_told = |id: &&String| {
            treated.done.contains(id) || treated.refused.iter().any(|(refused, _)| refused == *id)
        };
        let missing = match treated.trouble {
            Some(_) => Vec::new(),
            None => ids.iter().filter(|id| !is_told(id)).cloned().collect(),
        };
        Self { treated, missing }
    }

    fn words(&self, verb: &str) -> String {
        let mut words = format!("{verb} {}", self.treated.done.len());
        for (id, why) in &self.treated.refused {
            let _ = write!(words, "\n{id} stays: {why}");
        }
        for id in &self.missing {
            let _ = write!(words, "\nthere is no dead letter {id}");
        }
        words
    }

    fn json(&self, verb: &str) -> Value {
        let refused = self.treated.refused.iter();
        let refused: Vec<Value> =
            refused.map(|(id, why)| json!({ "id": id, "why": why })).collect();
        json!({ verb: self.treated.done, "missing": self.missing, "refused": refused })
    }
}

fn words(letters: &[DeadLetter], now_ms: u64) -> String {
    if letters.is_empty() {
        return "nothing failed for good".to_owned();
    }
    let mut out = String::new();
    for letter in letters {
        let job = Envelope::from_bytes(&letter.bytes);
        let job = job.map_or("not a job of this version".to_owned(), |job| job.id.to_string());
        let ago = letter.died_ms.map(|died| format!(", {} ago", since(now_ms, died)));
        let _ = writeln!(out, "{}  {job}", letter.id);
        let _ = writeln!(
            out,
            "  from {} after {} tries{}: {}",
            letter.queue,
            letter.attempt.saturating_add(1),
            ago.unwrap_or_default(),
            short(&letter.reason, 200)
        );
    }
    out
}

fn letter_json(letter: &DeadLetter) -> Value {
    let message = serde_json::from_slice::<Value>(&letter.bytes).ok();
    json!({
        "id": letter.id,
        "queue": letter.queue,
        "attempt": letter.attempt,
        "reason": letter.reason,
        "died_ms": letter.died_ms,
        "message": message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_read() {
        let letter = |id: &str, bytes: &str, died_ms| DeadLetter {
            id: id.to_owned(),
            queue: "sluice.gate".to_owned(),
            bytes: bytes.as_bytes().to_vec(),
            attempt: 5,
            reason: "poison: it ended 2 worker processes".to_owned(),
            died_ms,
        };
        let job = r#"{"v":1,"id":"approval:w:7:d","enqueued_ms":1,"cause":"d","job":{"kind":
            "gate_check","project":"w","pr":7,"scope":"approval","head":null,"refresh":"no"}}"#;
        let letters = [letter("a1", job, Some(60_000)), letter("a2", "{}", None)];
        insta::assert_snapshot!(words(&letters, 95_000), @r###"
        a1  approval:w:7:d
          from sluice.gate after 6 tries, 35 s ago: poison: it ended 2 worker processes
        a2  not a job of this version
          from sluice.gate after 6 tries: poison: it ended 2 worker processes
        "###);
        assert_eq!(words(&[], 0), "nothing failed for good");
    }
}
