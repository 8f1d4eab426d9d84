//! The bridge's Python, where no project brings about what it has to stand.

use std::path::Path;
use std::process::Command;

use crate::shop::Shop;

/// Runs a script beside the bridge's package, with the project's interpreter.
async fn runs(script: &str) {
    let shop = Shop::new().await;
    let sluice::project::Python::Interpreter(python) = &shop.project.python else { panic!() };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlmesh");
    let ran = Command::new(python)
        .args(["-B", "-c", script])
        .env("PYTHONPATH", package)
        .current_dir(shop.folder.path())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test]
async fn an_error_after_many_warnings_is_still_an_error() {
    runs(
        "
from types import SimpleNamespace as Thing
from sluice_bridge.project import MAX_FINDINGS, Project

def found(level):
    return Thing(violation_type=level, rule=Thing(name='r'), model=Thing(name='m'),
                 violation_msg='is not well')

project = Project.__new__(Project)
findings = [found('warning')] * (MAX_FINDINGS + 7) + [found('error')]
project.context = Thing(lint_models=lambda **_: findings)
report = project.lint()
assert report['errors'] == ['m: r: is not well'], report['errors']
assert len(report['warnings']) == MAX_FINDINGS + 1
assert report['warnings'][-1] == '… and 7 more warnings', report['warnings'][-1]
",
    )
    .await;
}
