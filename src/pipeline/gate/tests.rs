//! Lint and unit tests: is the merged tree sound? Also run by a deploy whose tree is not the one
//! that the gate tested.

use crate::engine::{EngineError, Fault, LintReport, TestFailure, TestReport};
use crate::outcome::{Reason, Stage, StageOutcome, Stop};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, Ended, stop_of_engine};
use crate::pipeline::gate::Desk;
use crate::render::checks::{self, CheckKind};

/// A report that may say that the tree is not sound.
pub(crate) trait Sound {
    fn is_sound(&self) -> bool;
}

impl Sound for LintReport {
    fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }
}

impl Sound for TestReport {
    fn is_sound(&self) -> bool {
        self.failures.is_empty()
    }
}

impl Ended for LintReport {
    fn ended(&self) -> StageOutcome {
        if self.is_sound() { StageOutcome::Ok } else { StageOutcome::Failed }
    }
}

impl Ended for TestReport {
    fn ended(&self) -> StageOutcome {
        if self.is_sound() { StageOutcome::Ok } else { StageOutcome::Failed }
    }
}

/// The linter, shown on the board. A project without it is sound.
pub(crate) async fn lint(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    bridge: &mut Bridge,
) -> Result<LintReport, Stop> {
    if !desk.policy.linter {
        return Ok(LintReport::default());
    }
    desk.board.say(CheckKind::Linter, checks::running(CheckKind::Linter));
    let report = cx.stage(Stage::Lint, run_lint(bridge)).await?;
    desk.board.say(CheckKind::Linter, checks::lint(&report));
    Ok(report)
}

/// The unit tests, shown on the board; run also when the linter found something.
pub(crate) async fn unit_tests(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    bridge: &mut Bridge,
) -> Result<TestReport, Stop> {
    desk.board.say(CheckKind::UnitTests, checks::running(CheckKind::UnitTests));
    let report = cx.stage(Stage::Test, run_tests(bridge)).await?;
    desk.board.say(CheckKind::UnitTests, checks::tests(&report));
    Ok(report)
}

/// A linter that fails itself is a violation.
pub(crate) async fn run_lint(bridge: &mut Bridge) -> Result<LintReport, Stop> {
    match bridge.session.lint().await {
        Err(EngineError::Declared { class: Fault::Lint, message, .. }) => {
            Ok(LintReport { errors: vec![message], warnings: Vec::new() })
        }
        other => other.map_err(|error| stop_of_engine(error, Reason::TestsFailed)),
    }
}

/// A test runner that fails itself is a failing test.
pub(crate) async fn run_tests(bridge: &mut Bridge) -> Result<TestReport, Stop> {
    match bridge.session.test().await {
        Err(EngineError::Declared { class: Fault::Test, message, .. }) => Ok(TestReport {
            failures: vec![TestFailure { name: "unit tests".to_owned(), text: message }],
            ..TestReport::default()
        }),
        other => other.map_err(|error| stop_of_engine(error, Reason::TestsFailed)),
    }
}
