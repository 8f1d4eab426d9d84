//! `sluice doctor`: checks everything that a cluster needs, and says what to do.
//!
//! Owns the findings and how they are shown. Each check is in a file of its own: configuration
//! here, `stores`, `hub` (GitHub), `machine` (git, Python, the data folder).

use std::sync::Arc;

use serde_json::{Value, json};
use sluice::clock::{Clock, SystemClock};
use sluice::config::{Config, LogFormat, Role, process_variables};
use sluice::redact::Redactor;
use sluice_service::Ended;

use super::{Common, answer};

mod hub;
mod machine;
mod stores;
mod token;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// As it should be.
    Good,
    /// It works; something could be better, or cannot be told.
    Fair,
    /// It has to be mended.
    Bad,
}

impl Health {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Fair => "warning",
            Self::Bad => "problem",
        }
    }
}

/// What a check found.
#[derive(Debug)]
struct Finding {
    /// What was checked, in a word or two.
    check: String,
    health: Health,
    found: String,
    /// What to do about it; empty when nothing is to be done.
    advice: String,
}

/// Everything that was found, without secrets.
struct Findings {
    all: Vec<Finding>,
    redactor: Redactor,
}

impl Findings {
    fn good(&mut self, check: &str, found: impl Into<String>) {
        self.add(check, Health::Good, found.into(), "");
    }

    fn fair(&mut self, check: &str, found: impl Into<String>, advice: &str) {
        self.add(check, Health::Fair, found.into(), advice);
    }

    fn bad(&mut self, check: &str, found: impl Into<String>, advice: &str) {
        self.add(check, Health::Bad, found.into(), advice);
    }

    fn add(&mut self, check: &str, health: Health, found: String, advice: &str) {
        let found = self.redactor.redact(&found).into_owned();
        let (check, advice) = (check.to_owned(), advice.to_owned());
        self.all.push(Finding { check, health, found, advice });
    }

    fn words(&self) -> String {
        let mut out = String::new();
        for Finding { check, health, found, advice } in &self.all {
            out += &format!("{:8} {check}: {found}\n", health.word());
            if !advice.is_empty() {
                out += &format!("         → {advice}\n");
            }
        }
        out
    }

    fn json(&self) -> Value {
        let finding = |finding: &Finding| {
            json!({
                "check": finding.check,
                "health": finding.health.word(),
                "found": finding.found,
                "advice": finding.advice,
            })
        };
        json!({ "findings": self.all.iter().map(finding).collect::<Vec<_>>() })
    }

    fn bad_ones(&self) -> usize {
        self.all.iter().filter(|finding| finding.health == Health::Bad).count()
    }
}

/// Checks. Fails when something has to be mended.
pub(crate) async fn run(common: &Common) -> anyhow::Result<Ended> {
    sluice_service::log("error", LogFormat::Text);
    let findings = examine(common).await;
    answer(common.json, &findings.words(), &findings.json());
    let bad = findings.bad_ones();
    anyhow::ensure!(bad == 0, "to be mended: {bad}");
    Ok(Ended::InOrder)
}

async fn examine(common: &Common) -> Findings {
    let variables = process_variables();
    let both = [Role::Producer, Role::Worker];
    let mut findings = Findings { all: Vec::new(), redactor: Redactor::new(Vec::<&str>::new()) };
    let config = match Config::load(Some(&common.config), &variables, &both) {
        Ok(config) => {
            findings.redactor = config.redactor(&variables);
            let projects = config.projects.len();
            findings.good("configuration", format!("sound, with {projects} projects"));
            config
        }
        Err(errors) => {
            let advice = "mend the file or the environment; where only one role runs, only its \
                          secrets have to be there";
            findings.bad("configuration", errors.to_string(), advice);
            match Config::load(Some(&common.config), &variables, &[]) {
                Ok(config) => config,
                Err(_) => return findings,
            }
        }
    };
    findings.redactor = config.redactor(&variables);
    sluice_service::redact(findings.redactor.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    stores::check(&config, &clock, &mut findings).await;
    hub::check(&config, &clock, &mut findings).await;
    machine::check(&config, &mut findings).await;
    findings
}

/// How far two clocks are apart. Times that people see, and which approval came after which push,
/// depend on it; leases do not.
fn clock_skew(check: &str, ours_ms: u64, theirs_ms: u64, findings: &mut Findings) {
    let apart = ours_ms.abs_diff(theirs_ms);
    if apart < 2_000 {
        findings.good(check, "the clocks agree within 2 s");
    } else {
        let found = format!("the clocks are {:.1} s apart", apart as f64 / 1000.0);
        let advice = "run a time service (NTP) on every machine";
        match apart {
            0..30_000 => findings.fair(check, found, advice),
            _ => findings.bad(check, found, advice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_said_with_what_to_do() {
        let mut findings = Findings { all: Vec::new(), redactor: Redactor::new(["hush-hush"]) };
        findings.good("git", "version 2.43.0");
        findings.fair("Redis", "keeps nothing on disk", "set appendonly yes");
        findings.bad("RabbitMQ", "refused: hush-hush", "start it");
        clock_skew("GitHub's clock", 1_000_000, 1_000_900, &mut findings);
        clock_skew("Redis' clock", 1_000_000, 940_000, &mut findings);
        insta::assert_snapshot!(findings.words(), @r###"
        ok       git: version 2.43.0
        warning  Redis: keeps nothing on disk
                 → set appendonly yes
        problem  RabbitMQ: refused: [redacted]
                 → start it
        ok       GitHub's clock: the clocks agree within 2 s
        problem  Redis' clock: the clocks are 60.0 s apart
                 → run a time service (NTP) on every machine
        "###);
        assert_eq!(findings.bad_ones(), 2);
        assert!(!findings.json().to_string().contains("hush-hush"));
    }
}
