//! How checks are shown: as check runs, or as commit statuses where the token may write no runs.
//!
//! GitHub lets only Apps write check runs. Owns how that is learned, once: from what GitHub says to
//! the first of them, or to whoever reads them. Refuses to take an App that lacks a permission for
//! a person: that is to be mended.

use std::sync::OnceLock;

use sluice::config::ChecksAs;

use super::Auth;
use super::graphql::Problem;

/// How GitHub begins, or what it says within, a refusal that no permission would change.
const TO_PERSONS: [&str; 3] = [
    "personal access token",
    "authenticate via a github app",
    "correct permissions to execute `createcheckrun`",
];

/// The way that checks go, as soon as it is known.
#[derive(Debug)]
pub(super) struct Way {
    known: OnceLock<Known>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Runs,
    Statuses,
}

impl Way {
    pub(super) fn new(auth: &Auth, wanted: ChecksAs) -> Self {
        let known = match (wanted, auth) {
            (ChecksAs::Statuses, _) => OnceLock::from(Known::Statuses),
            (ChecksAs::CheckRuns, _) | (ChecksAs::Auto, Auth::App { .. }) => {
                OnceLock::from(Known::Runs)
            }
            (ChecksAs::Auto, Auth::Token(_)) => OnceLock::new(),
        };
        Self { known }
    }

    /// Whether checks are written as commit statuses.
    pub(super) fn is_statuses(&self) -> bool {
        self.known.get() == Some(&Known::Statuses)
    }

    /// Whether checks of ours may be check runs.
    pub(super) fn may_be_runs(&self) -> bool {
        !self.is_statuses()
    }

    /// Whether checks of ours may be commit statuses.
    pub(super) fn may_be_statuses(&self) -> bool {
        self.known.get() != Some(&Known::Runs)
    }

    /// A check run was written.
    pub(super) fn runs_are_written(&self) {
        self.known.get_or_init(|| Known::Runs);
    }

    /// Takes note of what GitHub refuses when check runs are written or read.
    pub(super) fn hears(&self, problem: &Problem) {
        if is_refused_to_persons(problem) && self.known.get().is_none() {
            let learned = *self.known.get_or_init(|| Known::Statuses);
            tracing::info!(?learned, "GitHub lets this token write no check runs");
        }
    }

    /// Whether an answer may lack what this problem is about: check runs, which a person's token
    /// need not be able to read. Never for an App: it would find none of its own.
    pub(super) fn may_lack(&self, problem: &Problem) -> bool {
        let mut path = problem.path();
        self.may_be_statuses()
            && path.any(|name| matches!(name, "checkSuites" | "contexts"))
            && is_refused_to_persons(problem)
    }
}

fn is_refused_to_persons(problem: &Problem) -> bool {
    let said = problem.message.to_ascii_lowercase();
    problem.is("FORBIDDEN") && TO_PERSONS.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn refused(message: &str) -> Problem {
        let path = ["w0", "checkSuites"];
        serde_json::from_value(json!({"type": "FORBIDDEN", "message": message, "path": path}))
            .unwrap()
    }

    fn of_token(wanted: ChecksAs) -> Way {
        Way::new(&Auth::Token(String::from("token").into()), wanted)
    }

    #[test]
    fn what_is_refused_to_persons_is_learned_once_and_nothing_else_is() {
        for message in [
            "Resource not accessible by personal access token",
            "You must authenticate via a GitHub App.",
            "alice does not have the correct permissions to execute `CreateCheckRun`",
        ] {
            let way = of_token(ChecksAs::Auto);
            assert!(way.may_lack(&refused(message)) && !way.is_statuses());
            way.hears(&refused(message));
            assert!(way.is_statuses() && !way.may_be_runs(), "{message}");
        }
        for message in ["Resource not accessible by integration", "Repository was archived"] {
            let way = of_token(ChecksAs::Auto);
            way.hears(&refused(message));
            assert!(!way.is_statuses() && !way.may_lack(&refused(message)), "{message}");
        }
    }

    #[test]
    fn who_writes_check_runs_goes_on_with_them() {
        let message = "Resource not accessible by personal access token";
        let way = of_token(ChecksAs::Auto);
        way.runs_are_written();
        for way in [way, of_token(ChecksAs::CheckRuns)] {
            way.hears(&refused(message));
            assert!(!way.may_be_statuses() && !way.may_lack(&refused(message)));
        }
        assert!(of_token(ChecksAs::Statuses).is_statuses());
    }
}
