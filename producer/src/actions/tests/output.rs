//! The outputs' file.

use std::collections::BTreeMap;

use sluice::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};
use sluice::render::checks::{self, CheckKind};

use super::outcome::outcome;
use crate::actions::output::*;

/// Reads the file as the runner does.
fn parsed(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (Some(at), other) if other.is_none_or(|other| at < other) => {
                values.insert(line[..at].to_owned(), line[at + 1..].to_owned());
            }
            (_, Some(at)) => {
                let end = &line[at + 2..];
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
                values.insert(line[..at].to_owned(), value.join("\n"));
            }
            _ => panic!("not an output: {line:?}"),
        }
    }
    values
}

fn project() -> Project {
    Project {
        name: sluice::names::ProjectName::new("w").unwrap(),
        repository: sluice::names::Repository::new("acme/w").unwrap(),
        path: String::new(),
        python: Python::Interpreter("python3".into()),
        also: vec![],
        gateway: None,
        pass_env: Vec::new(),
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository: SharesRepository::No,
    }
}

#[test]
fn keys_are_made_of_the_checks_names_as_the_reference_bot_makes_them() {
    for kind in CheckKind::ALL {
        let name = checks::name(kind, &project()).replace("SQLMesh - ", "").to_lowercase();
        let key: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        assert_eq!(kind.key(), key);
    }
}

#[test]
fn what_is_concluded_is_told_and_nothing_else() {
    let mut seen = outcome(&[
        (CheckKind::UnitTests, "success"),
        (CheckKind::PrEnvironment, "success"),
        (CheckKind::Deploy, "queued"),
    ]);
    seen.shown.environment = Some("warehouse_7".to_owned());
    seen.shown.built_by = Some("actions:1:1".to_owned());
    let told = parsed(&of(&[seen.clone()], Keys::Plain, "actions:1:1"));
    let expected = [
        ("created_pr_environment", "true"),
        ("pr_environment_name", "warehouse_7"),
        ("pr_environment_synced", "success"),
        ("run_unit_tests", "success"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(told, BTreeMap::from(expected.clone()));
    let again = parsed(&of(&[seen.clone()], Keys::Plain, "actions:1:2"));
    assert!(!again.contains_key(CREATED), "another event has built it");
    let of_each = parsed(&of(&[seen], Keys::OfEachProject, "actions:1:1"));
    assert!(of_each.contains_key("warehouse_run_unit_tests"), "{of_each:?}");
    assert_eq!(of_each.len(), expected.len());
}

#[test]
fn a_value_cannot_add_an_output() {
    let evil = "success\nrun_unit_tests=success\nEOF\n";
    let told = parsed(&format!("{}{}", entry("a", evil), entry("b", "x")));
    assert_eq!(told.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(told["a"].trim_end(), evil.trim_end());
    assert_ne!(entry("a", evil), entry("a", evil), "nobody can foresee the end");
}
