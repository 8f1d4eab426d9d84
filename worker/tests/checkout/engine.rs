//! The engine's composition, with a bridge that starts no Python.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sluice::engine::{Engine, EngineError, Session};
use sluice::names::PolicySha;
use sluice::policy::{BotOptions, Policy};
use sluice::project::Project;
use sluice_worker::checkout::Mirrors;
use sluice_worker::engine::{Bridges, Ground, SqlMesh};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::server::Server;
use super::{diverged, project, read, settings, source};

/// Reads configurations, counts how often, and keeps the ground of what it was asked to open.
#[derive(Default)]
struct Counting {
    read: AtomicUsize,
    grounds: Mutex<Vec<Ground>>,
}

#[async_trait]
impl Bridges for Counting {
    async fn open(
        &self,
        _: Arc<Project>,
        ground: Ground,
        _: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError> {
        self.grounds.lock().await.push(ground);
        Err(EngineError::Halted("no Python in this test".to_owned()))
    }

    async fn policy(&self, _: &Project, folder: &Path) -> Result<Policy, EngineError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        assert_eq!(read(&folder.join("config.yaml")), "x: 1\n");
        Ok(policy())
    }

    fn version(&self, _: &Project) -> String {
        "1".to_owned()
    }
}

fn policy() -> Policy {
    let bot = BotOptions {
        invalidate_environment_after_deploy: true,
        enable_deploy_command: true,
        merge_method: None,
        command_namespace: None,
        auto_categorize_changes: serde_json::Value::Null,
        default_pr_start: None,
        default_pr_preview_start: "yesterday".to_owned(),
        skip_pr_backfill: true,
        pr_include_unmodified: false,
        run_on_deploy_to_prod: false,
        pr_environment_name: None,
        pr_min_intervals: None,
        pr_preview_min_intervals: 0,
        prod_branch_names: vec!["main".to_owned()],
        forward_only_branch_suffix: "-forward-only".to_owned(),
        check_if_blocked_on_deploy_to_prod: true,
    };
    Policy { approvers: Vec::new(), bot, linter: false }
}

fn engine(server: &Server, data: &Path, bridges: &Arc<Counting>) -> SqlMesh {
    let mirrors = Arc::new(Mirrors::new(settings(data, &server.file_url())).unwrap());
    SqlMesh::new(mirrors, bridges.clone(), data, Duration::from_millis(50)).unwrap()
}

#[tokio::test]
async fn a_policy_is_read_once_and_then_needs_neither_git_nor_python() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, _) = diverged(&server);
    let (project, id) = (project("warehouse"), PolicySha::new("ab12").unwrap());
    let bridges = Arc::new(Counting::default());
    let first = engine(&server, data.path(), &bridges);
    let asked = (0..8).map(|_| first.policy(&project, &base, &id));
    let answers = futures_util::future::try_join_all(asked).await.unwrap();
    assert!(answers.iter().all(|answer| **answer == policy()));
    server.vanish();
    std::fs::remove_dir_all(data.path().join("mirrors")).unwrap();
    let restarted = engine(&server, data.path(), &bridges);
    assert_eq!(*restarted.policy(&project, &base, &id).await.unwrap(), policy());
    assert_eq!(bridges.read.load(Ordering::SeqCst), 1);
    let other = PolicySha::new("cd34").unwrap();
    restarted.policy(&project, &base, &other).await.expect_err("nobody has read that one");
}

#[tokio::test]
async fn a_project_has_only_so_many_seats_and_a_ground_gives_its_own_back() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let bridges = Arc::new(Counting::default());
    let engine = engine(&server, data.path(), &bridges);
    let open = async || engine.open(&source(&base, &head), CancellationToken::new()).await.err();
    assert!(matches!(open().await, Some(EngineError::Halted(_))));
    assert!(matches!(open().await, Some(EngineError::Busy(_))), "max_sessions is 1");
    let ground = bridges.grounds.lock().await.pop().unwrap();
    assert!(ground.cache().is_dir() && !ground.cache().starts_with(ground.folder()));
    let folder = ground.folder().to_owned();
    drop(ground);
    assert!(!folder.exists());
    assert!(matches!(open().await, Some(EngineError::Halted(_))));
}

#[tokio::test]
async fn who_is_cancelled_gets_no_seat() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let engine = engine(&server, data.path(), &Arc::new(Counting::default()));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let refused = engine.open(&source(&base, &head), cancel).await.err();
    assert!(matches!(refused, Some(EngineError::Cancelled)));
}
