//! What a status says is what was to be said, and nothing else is taken for ours.
#![allow(clippy::unwrap_used)]

use sluice::names::JobId;

use super::*;
use crate::github::shape::Creator;

const HEAD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PAGE: &str = "https://status.example/jobs/1";

fn head() -> Sha {
    Sha::new(HEAD).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn check(status: CheckStatus) -> CheckWrite {
    CheckWrite {
        id: None,
        name: "SQLMesh - Linter".to_owned(),
        external_id: JobId::new(format!("deploy:warehouse:7:{HEAD}")).unwrap(),
        status,
        title: "Linter passed".to_owned(),
        summary: String::new(),
        details_url: None,
    }
}

fn line(status: CheckStatus, page: Option<&str>) -> Line {
    Line::of(&check(status), page.map(str::to_owned), None, at(1_700_000_000))
}

/// A line as GitHub gives it back.
fn given(line: &Line) -> Given {
    Given {
        id: NodeId::new("SC_1").unwrap(),
        context: "SQLMesh - Linter".to_owned(),
        state: state(line.status).to_ascii_uppercase(),
        description: Some(line.title.clone()),
        target_url: Some(line.address(PAGE, &head())),
        created_at: "2023-11-14T22:13:20Z".to_owned(),
        creator: Some(Creator { kind: "User".to_owned(), login: Login::new("robot") }),
    }
}

fn read(given: Given) -> Option<Shown> {
    Shown::read(given, &Login::new("robot"), &head())
}

#[test]
fn what_does_not_pass_as_a_check_run_never_passes_as_a_status() {
    let states = ALL.map(|status| (status.label(), state(status)));
    let expected = [
        ("queued", "pending"),
        ("in_progress", "pending"),
        ("success", "success"),
        ("failure", "failure"),
        ("neutral", "success"),
        ("skipped", "success"),
        ("action_required", "failure"),
        ("cancelled", "error"),
    ];
    assert_eq!(states, expected);
}

#[test]
fn every_line_comes_back_as_it_was() {
    for status in ALL {
        for page in [None, Some("abcdefghijklmnopqrst-_")] {
            let line = line(status, page);
            assert_eq!(read(given(&line)).unwrap().line, line);
        }
    }
}

#[test]
fn an_address_leads_where_it_did() {
    let line = line(CheckStatus::Queued, Some("d"));
    let of = |base| line.address(base, &head());
    let value = "sluice=1.queued.6553f100.d.deploy~cwarehouse~c7~c~h";
    assert_eq!(of("https://h/a"), format!("https://h/a?{value}"));
    assert_eq!(of("https://h/a?b=c"), format!("https://h/a?b=c&{value}"));
    let comment = "https://h/pull/7#issuecomment-8";
    assert_eq!(of(comment), format!("https://h/pull/7?{value}#issuecomment-8"));
    assert!(of(comment).len() < 255 && of(PAGE).len() < 255);
}

#[test]
fn a_jobs_id_may_hold_anything_that_such_an_id_may() {
    for id in ["a@b.c?d&e#f%g~h", HEAD, "gate:w:7:-_", "~", "::~c~41"] {
        let short = shortened(id, &head());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        assert!(short.chars().all(is_plain), "{short}");
        assert_eq!(lengthened(&short, &head()).as_deref(), Some(id));
    }
    for broken in ["~", "~4", "~zz", "~00", "~ä", "a~"] {
        assert_eq!(lengthened(broken, &head()), None, "{broken}");
    }
}

#[test]
fn a_strangers_status_is_not_ours_whatever_it_says() {
    let ours = given(&line(CheckStatus::Completed(Conclusion::Success), None));
    let by = |kind: &str, login: &str, viewer: &str| {
        let creator = Some(Creator { kind: kind.to_owned(), login: Login::new(login) });
        Shown::read(Given { creator, ..ours.clone() }, &Login::new(viewer), &head()).is_some()
    };
    assert!(by("User", "robot", "robot") && by("Bot", "sluice", "sluice[bot]"));
    assert!(!by("User", "mallory", "robot"), "somebody else");
    assert!(!by("Bot", "robot", "robot") && !by("User", "sluice", "sluice[bot]"), "a namesake");
    assert!(read(Given { creator: None, ..ours }).is_none(), "an account that is gone");
}

#[test]
fn what_another_tool_of_the_account_says_is_not_ours() {
    let ours = given(&line(CheckStatus::Completed(Conclusion::Failure), None));
    let url = |url: Option<&str>| Given { target_url: url.map(str::to_owned), ..ours.clone() };
    for other in [
        None,
        Some(PAGE),
        Some("https://h/?sluice=2.failure.1.0.job"),
        Some("https://h/?sluice=1.failure.1"),
        Some("https://h/?sluice=1.perfect.1.0.job"),
    ] {
        assert!(read(url(other)).is_none(), "{other:?}");
    }
    // GitHub's word and ours differ: neither counts.
    assert!(read(Given { state: "SUCCESS".to_owned(), ..ours }).is_none());
}

#[test]
fn how_far_something_is_is_told_sparingly() {
    let shown = read(given(&line(CheckStatus::InProgress, None))).unwrap();
    let begun = 1_700_000_000;
    let next = |status, title: &str, job: Option<&str>, page: Option<&str>| {
        let mut check = check(status);
        check.title = title.to_owned();
        check.external_id = job.map_or(check.external_id, |job| JobId::new(job).unwrap());
        Line::of(&check, page.map(str::to_owned), Some(&shown), at(begun))
    };
    let will_do = |line: &Line, base: &str, after: u64| {
        shown.will_do((line, base), &head(), at(begun + after))
    };
    let same = next(CheckStatus::InProgress, "Linter passed", None, None);
    assert!(will_do(&same, PAGE, 100_000), "it says the same");
    assert!(!will_do(&same, "https://elsewhere", 100_000));
    let further = next(CheckStatus::InProgress, "2 of 3", None, None);
    assert!(will_do(&further, PAGE, 59) && !will_do(&further, PAGE, 60));
    for other in [
        next(CheckStatus::Completed(Conclusion::Success), "Linter passed", None, None),
        next(CheckStatus::InProgress, "Linter passed", Some("job-2"), None),
        next(CheckStatus::InProgress, "Linter passed", None, Some("digest")),
    ] {
        assert!(!will_do(&other, PAGE, 1), "{other:?}");
    }
}

#[test]
fn a_deploy_of_a_week_takes_no_more_statuses_than_github_allows() {
    let (begun, week) = (1_700_000_000, 7 * 24 * 3600);
    let mut shown = read(given(&line(CheckStatus::InProgress, None))).unwrap();
    let mut written = 0;
    for second in (0..week).step_by(5) {
        let now = at(begun + second);
        let mut check = check(CheckStatus::InProgress);
        check.title = format!("{second} of many");
        let next = Line::of(&check, None, Some(&shown), now);
        if !shown.will_do((&next, PAGE), &head(), now) {
            let created_at = humantime::format_rfc3339_seconds(now).to_string();
            shown = read(Given { created_at, ..given(&next) }).unwrap();
            written += 1;
        }
    }
    assert!((50..200).contains(&written), "{written}");
}

#[test]
fn a_check_that_is_queued_is_asked_for_anew() {
    let shown = read(given(&line(CheckStatus::InProgress, None))).unwrap();
    let asked = |status| Line::of(&check(status), None, Some(&shown), at(1_700_000_999)).asked_s;
    assert_eq!(asked(CheckStatus::InProgress), 1_700_000_000);
    assert_eq!(asked(CheckStatus::Queued), 1_700_000_999);
}

#[test]
fn a_title_fits() {
    assert_eq!(title("two\nlines"), "two lines");
    assert_eq!(title(&"ä".repeat(140)).chars().count(), 140);
    let cut = title(&"ä".repeat(141));
    assert!(cut.ends_with('…') && cut.chars().count() == 140);
}
