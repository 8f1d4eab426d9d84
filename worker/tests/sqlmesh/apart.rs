//! A stranger's code runs, and finds nothing.

use std::net::TcpListener;
use std::path::Path;

use sluice::engine::{EngineError, Session as _};
use sluice_worker::sqlmesh::{BridgeSession, can_run_apart};
use tokio_util::sync::CancellationToken;

use crate::shop::{Shop, runs, until};

/// A project's configuration that tries what a stranger might, and says how it went.
const CURIOUS: &str = r#"
import json, os, pathlib, socket, subprocess, sys

def tried(what):
    try:
        return repr(what())
    except BaseException as error:
        return type(error).__name__

def dials(port):
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return "reached"

def fills(name):
    return pathlib.Path("/tmp", name).write_bytes(bytes(400 << 20))

here = pathlib.Path(__file__).parent
package = pathlib.Path(sys.modules["sluice_bridge"].__file__).parent
status = open("/proc/self/status")
plan = json.loads((here / "plan.json").read_text())
found = {
    "environment": sorted(os.environ),
    "secret": tried(lambda: pathlib.Path(plan["secret"]).read_text()),
    "network": tried(lambda: dials(plan["port"])),
    "checkout": tried(lambda: (here / "planted.py").write_text("x")),
    "scripts": tried(lambda: (package / "x").write_text("x")),
    "root": tried(lambda: pathlib.Path("/planted").write_text("x")),
    "dev": tried(lambda: pathlib.Path("/dev/planted").write_text("x")),
    "worker": tried(lambda: open(f"/proc/{plan['pid']}/environ").read()),
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "doors": sorted(str(path) for path in package.parent.iterdir()),
    "user": os.getuid(),
    "capabilities": [line.split()[1] for line in status if line.startswith("CapEff")],
    "door": [tried(lambda: (path / "x").write_text("x")) for path in package.parent.iterdir()],
    "scratch": tried(lambda: pathlib.Path("/tmp/x").write_text("x")),
    "large": [tried(lambda: fills(name)) for name in "abc"],
    "memory": tried(lambda: len(bytearray(5 << 30))),
    "users": tried(lambda: subprocess.run(["unshare", "--user", "true"], check=True)),
}
raise Exception("FOUND " + json.dumps(found))
"#;

/// A session apart, in a shop of its own.
async fn opened(shop: &Shop) -> Result<BridgeSession, EngineError> {
    let cancel = CancellationToken::new();
    shop.bridges.session_apart(&shop.project, shop.site(), shop.folder.path(), cancel).await
}

/// What a curious project found.
async fn found(shop: &Shop, secret: &Path, port: u16) -> serde_json::Value {
    let plan = serde_json::json!({ "secret": secret, "port": port, "pid": std::process::id() });
    shop.write("plan.json", &plan.to_string());
    shop.write("config.py", CURIOUS);
    std::fs::remove_file(shop.path("config.yaml")).unwrap();
    let mut session = opened(shop).await.unwrap();
    let error = session.load().await.unwrap_err();
    let EngineError::Declared { message, .. } = &error else { panic!("{error}") };
    let (_, found) = message.split_once("FOUND ").unwrap_or_else(|| panic!("{message}"));
    let found = serde_json::Deserializer::from_str(found).into_iter().next();
    Box::new(session).close().await.unwrap();
    found.unwrap().unwrap()
}

#[tokio::test]
async fn a_strangers_code_finds_nothing_of_the_worker() {
    can_run_apart().await.unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "a private key").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shop = Shop::new().await;
    let found = found(&shop, secret.path(), port).await;
    let of = |name: &str| found[name].as_str().unwrap_or_else(|| panic!("{name}: {found:#}"));
    assert_eq!(of("secret"), "FileNotFoundError", "{found:#}");
    assert!(["OSError", "ConnectionRefusedError"].contains(&of("network")), "{found:#}");
    for place in ["checkout", "scripts", "root", "dev"] {
        assert_eq!(of(place), "OSError", "{place} is read-only: {found:#}");
    }
    assert_eq!(of("worker"), "FileNotFoundError", "{found:#}");
    assert!(found["processes"].as_u64().unwrap() < 10, "{found:#}");
    assert_eq!(found["user"], 65534);
    assert_eq!(found["capabilities"], serde_json::json!(["0000000000000000"]));
    let names: Vec<&str> =
        found["environment"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(!names.contains(&"CARGO_PKG_NAME"), "passed to this project by its name: {names:?}");
    assert!(names.iter().all(|name| !name.starts_with("CARGO")), "{names:?}");
    assert_eq!(of("scratch"), "1", "there is a place to write to");
    let large = ["419430400", "419430400", "OSError"];
    assert_eq!(found["large"], serde_json::json!(large), "and it has a bound: {found:#}");
    assert_eq!(of("memory"), "MemoryError", "{found:#}");
    assert_eq!(of("users"), "CalledProcessError", "no other user, with all rights: {found:#}");
    let doors = found["doors"].as_array().unwrap();
    assert_eq!(doors.len(), 2, "the package, and a folder that takes no file: {found:#}");
    let door: Vec<&str> =
        found["door"].as_array().unwrap().iter().filter_map(|how| how.as_str()).collect();
    assert!(!door.contains(&"1") && door.contains(&"FileNotFoundError"), "{found:#}");
    assert!(!shop.path("planted.py").exists());
}

#[tokio::test]
async fn linter_and_tests_run_apart() {
    let shop = Shop::new().await;
    let mut session = opened(&shop).await.unwrap();
    assert_eq!(session.load().await.unwrap().models, 3);
    assert_eq!(session.lint().await.unwrap().errors, Vec::<String>::new());
    let report = session.test().await.unwrap();
    assert_eq!((report.ran, report.failures.len()), (1, 0), "{report:?}");
    Box::new(session).close().await.unwrap();
    assert!(!shop.path("cache").exists(), "nothing is left in a cache of ours");
}

#[tokio::test]
async fn what_a_stranger_starts_ends_with_the_session() {
    let shop = Shop::new().await;
    let cancel = CancellationToken::new();
    let forks = "import subprocess\nsubprocess.Popen(['sleep', '86321'], start_new_session=True)\n";
    shop.write("macros/__init__.py", forks);
    let site = shop.site();
    let session =
        shop.bridges.session_apart(&shop.project, site, shop.folder.path(), cancel.clone());
    let mut session = session.await.unwrap();
    session.load().await.unwrap();
    let pids = sleepers();
    assert!(!pids.is_empty(), "it started some");
    cancel.cancel();
    drop(session);
    until("they are gone", || !pids.iter().any(|pid| runs(*pid))).await;
}

/// The processes that sleep for that long.
fn sleepers() -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let is_it = |entry: &std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.starts_with(b"sleep\x0086321")
    };
    all.filter(is_it).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
