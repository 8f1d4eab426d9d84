//! What is kept comes back whole, and what was changed does not come back.
#![allow(clippy::unwrap_used)]

use sluice::names::JobId;

use super::*;

const STICKY: &str = "<!-- sluice:comment project=warehouse -->";
const SEAL: &str = "<!-- sluice:gate:v1 payload.tag -->";

fn head() -> Sha {
    Sha::new("a".repeat(40)).unwrap()
}

fn check(name: &str, conclusion: Conclusion, summary: &str) -> CheckWrite {
    CheckWrite {
        id: None,
        name: name.to_owned(),
        external_id: JobId::new("job-1").unwrap(),
        status: CheckStatus::Completed(conclusion),
        title: String::new(),
        summary: summary.to_owned(),
        details_url: None,
    }
}

fn written(checks: &[CheckWrite]) -> (Pages, String) {
    let mut pages = Pages::new(head());
    checks.iter().for_each(|check| pages.write(check));
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let body = pages.fitted(&marker(STICKY), &names);
    (pages, body)
}

#[test]
fn pages_come_back_as_they_were_written() {
    let plan = format!("{SEAL}\n\n**Plan**\n\n```\n<details>\n```\n\nline\r\n\n");
    let checks = [
        check("Plan (warehouse)", Conclusion::Success, &plan),
        check("Tests", Conclusion::Failure, "2 of 3 failed"),
    ];
    let (pages, body) = written(&checks);
    let read = Pages::read(&body).unwrap();
    assert_eq!((&read, &read.head), (&pages, &head()));
    let digest = pages.due(&checks[0]).unwrap();
    let text = read.text("Plan (warehouse)", &digest).unwrap();
    assert!(text.starts_with(SEAL) && text.ends_with("line"), "{text}");
    assert_eq!(digest.len(), 22);
    let shown = "\n<details>\n<summary>Tests</summary>\n\n<!-- sluice:page VGVzdHM -->\n\
                 2 of 3 failed\n<!-- sluice:page-end -->\n\n</details>\n";
    assert!(body.ends_with(shown), "{body}");
}

#[test]
fn what_was_changed_does_not_count() {
    let checks =
        [check("Plan", Conclusion::Success, SEAL), check("Tests", Conclusion::Success, SEAL)];
    let (pages, body) = written(&checks);
    let digests = [pages.due(&checks[0]).unwrap(), pages.due(&checks[1]).unwrap()];
    assert_ne!(digests[0], digests[1], "the same text of another check");
    let edited = Pages::read(&body.replace("payload", "another")).unwrap();
    assert_eq!(edited.text("Plan", &digests[0]), None);
    let [plan, tests] = ["Plan", "Tests"].map(|name| URL_SAFE_NO_PAD.encode(name));
    let moved = body.replace(&plan, "").replace(&tests, &plan);
    assert_eq!(Pages::read(&moved).unwrap().text("Plan", &digests[1]), None);
    for gone in ["", "no pages", "<!-- sluice:checks-of zz -->"] {
        assert_eq!(Pages::read(gone), None);
    }
}

#[test]
fn an_open_check_keeps_its_marks_only() {
    let mark = "<!-- sluice:command IC_1 -->";
    let mut open = check("Deploy", Conclusion::Success, &format!("3 of 7\n{mark}"));
    for status in [
        CheckStatus::Queued,
        CheckStatus::InProgress,
        CheckStatus::Completed(Conclusion::Neutral),
        CheckStatus::Completed(Conclusion::Cancelled),
    ] {
        open.status = status;
        assert_eq!(kept(&open), mark);
    }
    let (pages, body) = written(std::slice::from_ref(&open));
    assert!(pages.due(&open).is_some() && !body.contains("<details>"), "{body}");
    open.summary = "3 of 7".to_owned();
    let mut pages = pages;
    pages.write(&open);
    assert!(pages.is_empty() && pages.due(&open).is_none());
}

#[test]
fn a_comment_never_grows_too_long_and_seals_are_kept() {
    let seal = format!("<!-- sluice:gate:v1 {} -->", "s".repeat(15_000));
    let long = "a line of a very long plan\n".repeat(5_000);
    let checks: Vec<CheckWrite> = (0..6)
        .map(|n| check(&format!("Check {n}"), Conclusion::Success, &format!("{seal}\n{long}")))
        .take(2)
        .chain((2..6).map(|n| check(&format!("Check {n}"), Conclusion::Success, &long)))
        .collect();
    let (pages, body) = written(&checks);
    assert!(body.len() <= MOST, "{}", body.len());
    let read = Pages::read(&body).unwrap();
    for (n, check) in checks.iter().enumerate() {
        let text = read.text(&check.name, &pages.due(check).unwrap());
        assert_eq!(text.unwrap().starts_with(&seal), n < 2, "{n}");
    }
}

#[test]
fn what_was_written_before_stays_as_its_status_names_it() {
    let long = "a line of a very long plan\n".repeat(5_000);
    let first: Vec<CheckWrite> =
        (0..7).map(|n| check(&format!("Check {n}"), Conclusion::Success, &long)).collect();
    let (mut pages, _) = written(&first);
    let digests: Vec<_> = first.iter().map(|check| pages.due(check).unwrap()).collect();
    let huge = format!("<!-- sluice:gate:v1 {} -->", "s".repeat(60_000));
    let late = check("Late", Conclusion::Success, &huge);
    pages.write(&late);
    let body = pages.fitted(&marker(STICKY), &["Late"]);
    assert!(body.len() <= MOST, "{}", body.len());
    let read = Pages::read(&body).unwrap();
    for (check, digest) in first.iter().zip(&digests) {
        assert!(read.text(&check.name, digest).is_some(), "{}", check.name);
    }
    let due = pages.due(&late).unwrap();
    assert_eq!(read.text("Late", &due), None, "no room: it counts as never written");
}

#[test]
fn the_marker_is_no_sticky_comments() {
    let marker = marker(STICKY);
    assert!(!marker.contains(STICKY) && !STICKY.contains(&marker));
    assert_ne!(marker, super::marker("<!-- sluice:comment project=lake -->"));
}
