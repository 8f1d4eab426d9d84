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

#[tokio::test]
async fn a_conflict_is_over_sqlmeshs_own_table() {
    runs(
        "
from duckdb import IOException
from sluice_bridge.faults import classify

twice = 'duplicate key value violates unique constraint '
assert classify(Exception(twice + '\"_snapshots_pkey\"'), 'apply') == 'conflict'
assert classify(Exception(twice + '\"daily_snapshots_pkey\"'), 'apply') == 'other'
assert classify(Exception(twice + '\"ids\" in table _snapshots_of_stock'), 'apply') == 'other'
locked = 'Could not set lock on file \"x.duckdb\"'
assert classify(IOException(locked), 'apply') == 'other', 'a model attached it'
assert classify(Exception(locked), 'plan') == 'other'
",
    )
    .await;
}

#[tokio::test]
async fn a_server_outlives_a_connection_that_fails() {
    runs(
        "
import errno, os, socket
from sluice_bridge.server import Limits, Server

server = Server('s', 0, 1, Limits(max_jobs=0, silence_s=60))
gone = socket.socket(socket.AF_UNIX)
gone.connect('s')
gone.close()
server._accept()  # there is nobody to tell that it is busy

def no_fork():
    raise OSError(errno.EAGAIN, 'no more processes')

os.fork = no_fork
server._max_jobs = 1
client = socket.socket(socket.AF_UNIX)
client.connect('s')
server._accept()
assert client.recv(1) == b'', 'hung up'
server._listener.setblocking(False)
server._accept()
",
    )
    .await;
}
