//! What sort of token GitHub is asked with, and what checks can be with it.
//!
//! Owns what is said of each. Refuses to ask anything.

use sluice::config::ChecksAs;
use sluice_worker::github::{Reached, TokenKind};

use super::Findings;

const CHECK: &str = "GitHub's token";

/// What statuses lack, and what does not.
const LOST: &str = "what is lost: the pages of checks (a comment has them), their Re-run button \
                    (push again, or sluice-producer enqueue gate-check), GitHub's word that it was \
                    sluice (whoever may push may give a status of the same name), and requests: \
                    each status is one, so that a pull request takes about twice as many of the \
                    500 writes an hour. A GitHub App (github.app_id, github.private_key_file) has \
                    all of this";

/// And what a token with permissions of its own lacks beside.
const UNSEEN: &str = "; nor can this sort of token read the check runs of others: where such are \
                      required and one of ours is pending, they count as not successful. It needs \
                      commit statuses, contents, issues and pull requests to read and write";

pub(super) fn judge(reached: &Reached, checks: ChecksAs, findings: &mut Findings) {
    match (reached.token, checks) {
        (TokenKind::Personal | TokenKind::FineGrained, ChecksAs::CheckRuns) => findings.bad(
            CHECK,
            format!("{}, and github.checks is \"check_runs\"", whose(reached)),
            "GitHub lets only Apps write check runs: give workers the id and the key of a GitHub \
             App, or leave out github.checks",
        ),
        (TokenKind::Personal, _) => findings.fair(CHECK, statuses(reached), LOST),
        (TokenKind::FineGrained, _) => {
            findings.fair(CHECK, statuses(reached), &format!("{LOST}{UNSEEN}"));
        }
        (TokenKind::OurApp | TokenKind::Installation, ChecksAs::Statuses) => findings.fair(
            CHECK,
            "of an App, and checks are commit statuses",
            "an App may write check runs, which hold more: leave out github.checks",
        ),
        (TokenKind::OurApp, _) => findings.good(CHECK, "made with the App's key, and renewed"),
        (TokenKind::Installation, _) => findings.fair(
            CHECK,
            "of an App's installation",
            "it ends an hour after it was made, and sluice cannot renew it: give it the App's id \
             and private key instead (github.app_id, github.private_key_file)",
        ),
        (TokenKind::Unknown, _) => findings.fair(
            CHECK,
            "it cannot be told whether it may write check runs",
            "only the token of a GitHub App's installation may; with any other, checks become \
             commit statuses, which hold less",
        ),
    }
}

fn whose(reached: &Reached) -> String {
    match &reached.person {
        Some(login) => format!("a person's ({login}), or an OAuth App's"),
        None => "a person's, or an OAuth App's".to_owned(),
    }
}

fn statuses(reached: &Reached) -> String {
    let by = reached.person.as_deref().unwrap_or("whose it is");
    format!("{}: checks are commit statuses by {by}, not check runs", whose(reached))
}

#[cfg(test)]
mod tests {
    use sluice::redact::Redactor;

    use super::*;

    #[test]
    fn what_a_token_can_do_about_checks_is_said() {
        let redactor = Redactor::new(Vec::<&str>::new());
        let mut findings = Findings { all: Vec::new(), redactor };
        let mut said = |token, checks| {
            let person = Some("robot".to_owned());
            let reached = Reached { now_ms: None, remaining: None, token, person };
            judge(&reached, checks, &mut findings);
            let found = findings.all.last().map(|f| (f.health.word(), f.found.clone()));
            let (health, found) = found.unwrap_or_default();
            (health, found.contains("commit statuses by robot"))
        };
        for kind in [TokenKind::Personal, TokenKind::FineGrained] {
            assert_eq!(said(kind, ChecksAs::Auto), ("warning", true));
            assert_eq!(said(kind, ChecksAs::Statuses), ("warning", true));
            assert_eq!(said(kind, ChecksAs::CheckRuns), ("problem", false));
        }
        assert_eq!(said(TokenKind::OurApp, ChecksAs::Auto), ("ok", false));
        for (kind, checks) in [
            (TokenKind::OurApp, ChecksAs::Statuses),
            (TokenKind::Installation, ChecksAs::Auto),
            (TokenKind::Unknown, ChecksAs::Auto),
        ] {
            assert_eq!(said(kind, checks), ("warning", false));
        }
    }
}
