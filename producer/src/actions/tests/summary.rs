//! The summary.

use std::time::Duration;

use sluice::config::{Config, Variables};
use sluice::render::checks::CheckKind;

use super::outcome::outcome;
use crate::actions::summary::of;
use crate::actions::wait::Over;

fn config() -> Config {
    let variables: Variables = [
        ("SLUICE_PROJECT__0__NAME", "warehouse"),
        ("SLUICE_PROJECT__0__REPOSITORY", "acme/warehouse"),
        ("SLUICE_PROJECT__0__PYTHON", "python3"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    Config::load(None, &variables, &[]).unwrap()
}

#[test]
fn it_shows_the_checks_and_what_is_wrong() {
    let mut seen = outcome(&[(CheckKind::Linter, "success"), (CheckKind::UnitTests, "failure")]);
    seen.shown.environment = Some("warehouse_7".to_owned());
    let text = of(&[seen], &Over::Ended, &config());
    let expected = "
### `warehouse`, pull request 7 at `aaaaaaa`

| check | conclusion | |
|---|---|---|
| SQLMesh - Linter | success | the title of linter |
| SQLMesh - Run Unit Tests | failure | the title of run\\_unit\\_tests |

The pull request's environment: `warehouse_7`.

- warehouse #\u{200b}7: run\\_unit\\_tests is failure: the title of run\\_unit\\_tests
";
    assert_eq!(text, expected);
}

#[test]
fn a_title_has_no_power_in_it() {
    let mut seen = outcome(&[(CheckKind::Linter, "failure")]);
    let check = seen.shown.checks.get_mut("linter").unwrap();
    check.title = "@acme/all <img src=x> | a | b |\n### [x](https://evil) #1".to_owned();
    let text = of(&[seen], &Over::Limit(Duration::from_secs(5)), &config());
    for power in ["@acme", "<img", "\n### [x]", "[x](", "#1"] {
        assert!(!text.contains(power), "{power:?} in {text}");
    }
    assert!(text.contains("the time limit of 5s is over"), "{text}");
}
