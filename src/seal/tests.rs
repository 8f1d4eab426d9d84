//! Seals hold, and nothing else passes for one.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::names::PrNumber;

fn project() -> ProjectName {
    ProjectName::new("warehouse").unwrap()
}

fn key() -> SealKey {
    SealKey::derive(b"webhook secret")
}

fn change(name: &str) -> DirectChange {
    DirectChange {
        name: name.into(),
        change: Change::DirectlyModified,
        category: Some("breaking".into()),
        forward_only: false,
        destructive: false,
        fingerprint: "1234567890-1234567890".into(),
    }
}

fn result(changes: Vec<DirectChange>) -> GateResult {
    let sha = |start: &str| Sha::new(format!("{start:0<40}")).unwrap();
    GateResult {
        v: VERSION,
        project: project(),
        pr: PrNumber(7),
        base_branch: "main".to_owned(),
        previewed: None,
        head: sha("c0ffee"),
        base: sha("ba5e"),
        policy: PolicySha::new("90110").unwrap(),
        outcome: GateOutcome::Passed,
        plan_digest: Some(plan_digest(&changes)),
        digest_input: changes,
        tree: sha("7ee"),
        made_ms: 3_000,
    }
}

fn unsealed(summary: &str) -> Option<GateResult> {
    unseal(summary, &key(), &project())
}

#[test]
fn a_result_travels_in_the_first_line_of_a_summary() {
    let result = result(vec![change("db.orders")]);
    let line = seal(&result, &key());
    assert!(!line.contains('\n') && line.starts_with("<!-- ") && line.ends_with(" -->"));
    assert!(!line[4..line.len() - 3].contains("--"), "HTML would end the comment there");
    assert_eq!(unsealed(&line), Some(result.clone()));
    assert_eq!(unsealed(&format!("{line}\r\nThe summary.")), Some(result));
}

#[test]
fn nothing_else_passes_for_a_seal() {
    let line = seal(&result(vec![]), &key());
    let (payload, tag) =
        line.strip_prefix(OPEN).unwrap().strip_suffix(CLOSE).unwrap().split_once('.').unwrap();
    let better = URL_SAFE_NO_PAD.encode(json(&GateResult { made_ms: 9, ..result(vec![]) }));
    let future = seal(&GateResult { v: VERSION + 1, ..result(vec![]) }, &key());
    let rows = [
        ("nothing", String::new()),
        ("a summary", "All is well.".to_owned()),
        ("not in the first line", format!("x\n{line}")),
        ("not at the line's start", format!("x {line}")),
        ("cut", line[..line.len() - 10].to_owned()),
        ("another content", format!("{OPEN}{better}.{tag}{CLOSE}")),
        ("no tag", format!("{OPEN}{payload}{CLOSE}")),
        ("an empty tag", format!("{OPEN}{payload}.{CLOSE}")),
        ("half a tag", format!("{OPEN}{payload}.{}{CLOSE}", &tag[..20])),
        ("sealed by another", seal(&result(vec![]), &SealKey::derive(b"other"))),
        ("of a future version", future),
        ("a very long line", format!("{OPEN}{}{CLOSE}", "x".repeat(100_000))),
    ];
    for (row, summary) in rows {
        assert_eq!(unsealed(&summary), None, "{row}");
    }
    let other = ProjectName::new("other").unwrap();
    assert_eq!(unseal(&line, &key(), &other), None, "another project's");
}

#[test]
fn a_large_plan_travels_as_its_digest() {
    let many: Vec<DirectChange> = (0..500).map(|n| change(&format!("db.model_{n}"))).collect();
    let line = seal(&result(many.clone()), &key());
    assert!(line.len() < 2_000, "{} bytes", line.len());
    let travelled = unsealed(&line).unwrap();
    assert_eq!(travelled.digest_input, []);
    assert_eq!(travelled.unforeseen(&many), [""; 0], "the digest is the plan's");
    assert_eq!(travelled.unforeseen(&many[1..]).len(), 1, "nobody can tell what was shown");
    let most: Vec<DirectChange> = many.into_iter().take(48).collect();
    let line = seal(&result(most.clone()), &key());
    assert_eq!(unsealed(&line).unwrap().digest_input, most, "{} bytes", line.len());
}

fn digest_of(change: &DirectChange) -> String {
    plan_digest(std::slice::from_ref(change))
}

#[test]
fn a_digest_is_of_the_set() {
    let (a, b) = (change("a"), change("b"));
    assert_eq!(plan_digest(&[a.clone(), b.clone()]), plan_digest(&[b.clone(), a.clone()]));
    assert_ne!(digest_of(&a), digest_of(&b));
    let others = [
        DirectChange { change: Change::Removed, ..a.clone() },
        DirectChange { category: None, ..a.clone() },
        DirectChange { forward_only: true, ..a.clone() },
        DirectChange { destructive: true, ..a.clone() },
        DirectChange { fingerprint: "1234567890-7".into(), ..a.clone() },
    ];
    for other in others {
        assert_ne!(digest_of(&a), digest_of(&other), "{other:?}");
        assert_eq!(difference(std::slice::from_ref(&a), &[other]).len(), 1);
    }
    assert_eq!(difference(&[a.clone(), change("b")], &[change("b"), a]), [""; 0]);
}

#[test]
fn a_difference_is_told_by_model() {
    let now = [
        DirectChange { forward_only: true, destructive: true, ..change("db.orders") },
        DirectChange { change: Change::Added, category: None, ..change("db.`new`\n") },
        DirectChange { fingerprint: "1234567890-7".into(), ..change("db.rewritten") },
        change("db.same"),
    ];
    let previewed =
        [change("db.gone"), change("db.orders"), change("db.rewritten"), change("db.same")];
    insta::assert_snapshot!(difference(&previewed, &now).join("\n"));
    let none = GateResult { plan_digest: None, ..result(vec![]) };
    assert_eq!(none.unforeseen(&[]), ["No plan was previewed for this head."]);
}

#[test]
fn a_plan_may_do_less_than_its_preview_and_nothing_else() {
    let shown = result(vec![change("db.a"), change("db.b")]);
    let other = DirectChange { fingerprint: "1234567890-7".into(), ..change("db.a") };
    let rows = [
        (vec![change("db.b"), change("db.a")], 0),
        (vec![change("db.a")], 0),
        (vec![], 0),
        (vec![change("db.c")], 3),
        (vec![change("db.a"), change("db.b"), change("db.c")], 1),
        (vec![other], 2),
    ];
    for (now, sentences) in rows {
        assert_eq!(shown.unforeseen(&now).len(), sentences, "{now:?}");
    }
}

#[test]
fn a_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", key()), "SealKey(…)");
}
