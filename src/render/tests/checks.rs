//! Check runs.

use super::views::*;
use crate::engine::{LintReport, Plan, Progress, TestFailure, TestReport};
use crate::github::{CheckStatus, Owned, Owner, Ownership};
use crate::names::Login;
use crate::outcome::{Conclusion, Reason, Refusal};
use crate::policy::approval::Approval;
use crate::policy::owners::{Owners, Unapproved};
use crate::project::SharesRepository;
use crate::redact::Redactor;
use crate::render::checks::{self, CheckKind, MOST_SUMMARY, PrEnvironment, Said};
use crate::render::deploy;

/// Title, standing and summary, one after the other.
fn read(said: &[Said]) -> String {
    let one = |said: &Said| format!("# {:?}: {}\n{}\n", said.status, said.title, said.summary);
    said.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_are_those_that_protection_rules_have() {
    let alone = checks::names(&project(SharesRepository::No));
    assert_eq!(
        alone,
        [
            "SQLMesh - Linter",
            "SQLMesh - Run Unit Tests",
            "SQLMesh - Has Required Approval",
            "SQLMesh - PR Environment Synced",
            "SQLMesh - Prod Plan Preview",
            "SQLMesh - Prod Environment Synced",
        ]
    );
    let shared = checks::name(CheckKind::Linter, &project(SharesRepository::Yes));
    assert_eq!(shared, "SQLMesh - Linter (warehouse)");
}

#[test]
fn lint_and_tests() {
    let lint = |errors: &[&str], warnings: &[&str]| {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        checks::lint(&LintReport { errors: owned(errors), warnings: owned(warnings) })
    };
    let failure = TestFailure {
        name: "test_orders".into(),
        text: "AssertionError:\n```\n</details> @erin\n```".into(),
    };
    insta::assert_snapshot!(read(&[
        lint(&[], &[]),
        lint(&[], &["db.orders: noselectstar"]),
        lint(&["db.orders: ambiguousorinvalidcolumn"], &["db.orders: noselectstar"]),
        checks::tests(&TestReport { ran: 3, skipped: 1, failures: vec![] }),
        checks::tests(&TestReport { ran: 3, skipped: 0, failures: vec![failure] }),
    ]));
}

#[test]
fn approvals() {
    let missing = |by: &[&str], needed, could: &[&str], notes: &[&str]| Approval::Missing {
        by: logins(by),
        needed,
        could: logins(could),
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
    };
    insta::assert_snapshot!(read(&[
        checks::approval(&Approval::Given { by: logins(&["carol", "dave"]) }),
        checks::approval(&missing(&[], 1, &["carol", "dave"], &["dave asked for changes"])),
        checks::approval(&missing(&["carol"], 2, &["dave"], &[])),
        checks::approval(&missing(&[], 1, &[], &["carol is the author"])),
        checks::approval(&Approval::NotRequired),
    ]));
}

#[test]
fn code_owners() {
    let named = |owners: &[&str]| owners.iter().map(|one| Owner::User(Login::new(*one))).collect();
    let unapproved = |file: &str, owners: &[&str], hopeless| Unapproved {
        files: vec![file.to_owned(), "b.sql".to_owned()],
        owners: named(owners),
        notes: vec!["dave asked for changes".to_owned()],
        hopeless,
    };
    let file = |place: Option<&str>, skipped: Vec<usize>| {
        let place = place.map(str::to_owned);
        let owned = Owned { place, skipped, ..Owned::default() };
        Ownership::Known(owned)
    };
    let (plain, odd) =
        (file(Some("CODEOWNERS"), vec![]), file(Some("CODEOWNERS"), (2..14).collect()));
    let missing = Owners::Missing(vec![
        unapproved("a.sql", &["dave", "erin"], false),
        unapproved("@c.sql", &["alice"], true),
    ]);
    let given = || checks::approval(&Approval::Given { by: logins(&["carol"]) });
    let nobody = || checks::approval(&Approval::NotRequired);
    let by = Owners::Given { by: logins(&["dave"]) };
    let unknown = Owners::Unknown("GitHub does not list all changed files".to_owned());
    let need =
        Approval::Missing { by: vec![], needed: 1, could: logins(&["carol"]), notes: vec![] };
    insta::assert_snapshot!(read(&[
        checks::with_owners(given(), &Owners::NotAsked, &plain, "main"),
        checks::with_owners(given(), &by, &plain, "main"),
        checks::with_owners(nobody(), &by, &plain, "main"),
        checks::with_owners(given(), &Owners::Given { by: vec![] }, &file(None, vec![]), "main"),
        checks::with_owners(given(), &missing, &odd, "main"),
        checks::with_owners(checks::approval(&need), &missing, &plain, "main"),
        checks::with_owners(nobody(), &unknown, &Ownership::NotAsked, "main"),
    ]));
}

#[test]
fn the_environment_and_the_preview() {
    let (environment, plan) = (environment(), plan());
    let quiet = Plan { has_effect: false, has_changes: false, models: vec![], ..plan.clone() };
    let models = ["db.orders".to_owned()];
    insta::assert_snapshot!(read(&[
        checks::pr_environment(&environment, PrEnvironment::Synced(&plan)),
        checks::pr_environment(&environment, PrEnvironment::NoChanges),
        checks::pr_environment(&environment, PrEnvironment::LintFailed),
        checks::pr_environment(&environment, PrEnvironment::TestsFailed),
        checks::pr_environment(&environment, PrEnvironment::Uncategorized(&models)),
        checks::prod_plan(&plan),
        checks::prod_plan(&quiet),
        checks::plan_refused(
            CheckKind::ProdPlan,
            Conclusion::ActionRequired,
            &Refusal::new(Reason::PlanError, "Start date is after end date."),
        ),
    ]));
}

#[test]
fn before_and_instead_of_a_result() {
    insta::assert_snapshot!(read(&[
        checks::queued(CheckKind::UnitTests),
        checks::running(CheckKind::ProdPlan),
        checks::skipped(CheckKind::ProdPlan, "Unit tests fail, so no plan was made."),
        checks::superseded(&sha("c0ffee")),
        checks::not_concerned(&project(SharesRepository::Yes)),
    ]));
}

#[test]
fn deploys() {
    let (head, merged, plan, owner) = (sha("c0ffee"), sha("3e36ed"), plan(), owner());
    let progress =
        Progress { phase: "backfill".into(), model: Some("db.orders".into()), done: 3, total: 10 };
    let carol = logins(&["carol"]);
    let done =
        deploy::Done { head: &head, plan: Some(&plan), approved_by: &carol, merged: Some(&merged) };
    insta::assert_snapshot!(read(&[
        deploy::deployed(done),
        deploy::deployed(deploy::Done { plan: None, approved_by: &[], merged: None, ..done }),
        deploy::waiting(Some(1), Some(&owner)),
        deploy::waiting(Some(3), None),
        deploy::waiting(None, None),
        deploy::applying(&progress),
        deploy::trying_again("The broker went away.", &Redactor::default()),
        deploy::applied_not_merged("Base branch was modified.", "It is tried again in a minute."),
        deploy::applied_merged_elsewhere(
            "It was merged into `staging`.",
            "Bring it to production."
        ),
    ]));
}

#[test]
fn refusals_show_the_first_and_conclude_as_the_gravest() {
    let of = |reasons: &[Reason]| {
        let refusals: Vec<Refusal> = reasons
            .iter()
            .map(|reason| Refusal::new(*reason, format!("It is `{reason}`.")))
            .collect();
        deploy::refused(&refusals)
    };
    let rows: [(&[Reason], Conclusion); 5] = [
        (&[Reason::NotApproved], Conclusion::Skipped),
        (&[Reason::NotApproved, Reason::Dirty], Conclusion::Failure),
        (&[Reason::NotApproved, Reason::PlanChanged], Conclusion::ActionRequired),
        (&[Reason::PlanChanged, Reason::Blocked], Conclusion::Failure),
        (&[], Conclusion::Skipped),
    ];
    for (reasons, expected) in rows {
        assert_eq!(of(reasons).status, CheckStatus::Completed(expected), "{reasons:?}");
    }
    let several_lines = Refusal::new(Reason::PlanError, "Plan failed:\n```\n@erin <b>\n");
    insta::assert_snapshot!(read(&[
        of(&[Reason::NotApproved, Reason::GateMissing]),
        deploy::refused(&[several_lines]),
    ]));
}

#[test]
fn an_error_is_told_without_secrets_and_with_its_last_lines() {
    let redactor = Redactor::new(["s3cret-value"]);
    let tail: String = (0..40).map(|n| format!("line {n} s3cret-value\n")).collect();
    let said = deploy::broken("connect to postgres://u:pw@db/x failed", Some(&tail), &redactor);
    assert_eq!(said.status, CheckStatus::Completed(Conclusion::Failure));
    assert!(!said.summary.contains("s3cret-value") && !said.summary.contains("pw@"), "{said:?}");
    assert!(said.summary.contains("line 39") && !said.summary.contains("line 9 "), "{said:?}");
    assert_eq!(checks::broken(CheckKind::UnitTests, "x", None, &redactor).title, "Tests Failed");
}

#[test]
fn whatever_is_said_fits() {
    let failures = (0..60)
        .map(|n| TestFailure { name: format!("test_{n}"), text: "é".repeat(5_000) })
        .collect();
    let said = checks::tests(&TestReport { ran: 60, skipped: 0, failures });
    assert!(said.summary.len() <= MOST_SUMMARY && said.summary.contains("cut here"));
    let names = logins(&["a-name-of-some-length"; 30]);
    let said = checks::approval(&Approval::Given { by: names });
    assert_eq!(said.title.chars().count(), 255);
}

#[test]
fn a_seal_comes_first() {
    let said = checks::queued(CheckKind::Deploy).sealed("<!-- seal -->");
    assert_eq!(said.summary, "<!-- seal -->\nWaits for a worker.");
}
