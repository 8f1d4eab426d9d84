//! Checkouts with the real git: against bare repositories on disk, and over HTTP with a token.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod engine;
mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use server::{Hold, Http, Server, git};
use sluice::engine::{EngineError, Fault, Source};
use sluice::names::{PrNumber, ProjectName, Repository, Sha};
use sluice::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};
use sluice_worker::checkout::{
    Anonymous, Credentials, Mirrors, NoToken, Settings, Timeouts, Token, UrlTemplate,
};
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "ghs_0123456789abcdefghij";
const MAIN: &str = "refs/heads/main";
const PULL: &str = "refs/pull/7/head";

struct Bearer;

#[async_trait]
impl Credentials for Bearer {
    async fn token(&self, _: &Repository) -> Result<Option<Token>, NoToken> {
        Ok(Some(Token::new(TOKEN)))
    }
}

fn settings(data: &Path, url: &str) -> Settings {
    Settings {
        data_dir: data.to_owned(),
        git: "git".into(),
        url: UrlTemplate::new(url).unwrap(),
        credentials: Arc::new(Anonymous),
        timeouts: Timeouts::default(),
    }
}

fn project(path: &str) -> Arc<Project> {
    Arc::new(Project {
        name: ProjectName::new("warehouse").unwrap(),
        repository: Repository::new("acme/monorepo").unwrap(),
        path: path.to_owned(),
        python: Python::Interpreter("python3".into()),
        also: vec![],
        gateway: None,
        pass_env: Vec::new(),
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository: SharesRepository::No,
    })
}

fn source(base: &Sha, head: &Sha) -> Source {
    Source {
        project: project("warehouse"),
        pr: PrNumber(7),
        base_branch: "main".to_owned(),
        base: base.clone(),
        head: head.clone(),
        confined: false,
    }
}

/// `main` and a pull request that went different ways since `first`: base, head.
fn diverged(server: &Server) -> (Sha, Sha) {
    let first = server.commit(
        None,
        MAIN,
        &[("warehouse/config.yaml", "x: 1\n"), ("warehouse/models/a.sql", "SELECT 1\n")],
    );
    let base = server.commit(Some(&first), MAIN, &[("warehouse/models/b.sql", "SELECT 2\n")]);
    let head = server.commit(Some(&first), PULL, &[("warehouse/models/a.sql", "SELECT 3\n")]);
    (base, head)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_head_is_merged_into_the_base_as_it_is_now() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    let cancel = CancellationToken::new();
    let tree = mirrors.merged(&source(&base, &head), &cancel).await.unwrap();
    assert_eq!(read(&tree.project().join("models/a.sql")), "SELECT 3\n");
    assert_eq!(read(&tree.project().join("models/b.sql")), "SELECT 2\n");
    assert!(!tree.root().join(".git").exists(), "a project is not led to the mirror");

    let work = server.root().join("work");
    git(&work, &["checkout", "--quiet", "--detach", base.as_str()]);
    git(&work, &["merge", "--quiet", "--no-edit", head.as_str()]);
    let checkout = tree.checkout();
    assert_eq!(checkout.tree.as_str(), git(&work, &["rev-parse", "HEAD^{tree}"]));
    assert_eq!(checkout.project_tree.as_str(), git(&work, &["rev-parse", "HEAD:warehouse"]));
}

#[tokio::test]
async fn a_conflict_names_its_files() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, _) = diverged(&server);
    let base = server.commit(Some(&base), MAIN, &[("warehouse/models/a.sql", "SELECT 8\n")]);
    let first = Sha::new(git(&server.root().join("work"), &["rev-parse", "HEAD~2"])).unwrap();
    let head = server.commit(Some(&first), PULL, &[("warehouse/models/a.sql", "SELECT 9\n")]);
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    let error = mirrors.merged(&source(&base, &head), &CancellationToken::new()).await.unwrap_err();
    let EngineError::MergeConflict { files } = error else { panic!("{error}") };
    assert_eq!(files, ["warehouse/models/a.sql"]);
}

#[tokio::test]
async fn a_head_that_moved_is_no_commit() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    server.commit(Some(&base), PULL, &[("x", "1")]);
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    let cancel = CancellationToken::new();
    let error = mirrors.merged(&source(&base, &head), &cancel).await.unwrap_err();
    assert!(matches!(&error, EngineError::NoCommit(gone) if *gone == head), "{error}");

    let nobody = Source { pr: PrNumber(8), ..source(&base, &head) };
    let error = mirrors.merged(&nobody, &cancel).await.unwrap_err();
    assert!(matches!(&error, EngineError::NoCommit(gone) if *gone == head), "{error}");
    let ghost = Sha::new("e".repeat(40)).unwrap();
    let error = mirrors.configuration(&project(""), &ghost, &cancel).await.unwrap_err();
    assert!(matches!(&error, EngineError::NoCommit(gone) if *gone == ghost), "{error}");
}

#[tokio::test]
async fn what_is_here_is_not_fetched_again() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let cancel = CancellationToken::new();
    let first = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    first.merged(&source(&base, &head), &cancel).await.unwrap();
    server.vanish();
    first.merged(&source(&base, &head), &cancel).await.expect("the mirror has it");
    let second = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    second.merged(&source(&base, &head), &cancel).await.expect("another worker finds it, too");
    let error = second.merged(&source(&head, &Sha::new("e".repeat(40)).unwrap()), &cancel).await;
    assert!(matches!(error, Err(EngineError::Broken { .. })), "not gone, only unreachable");
}

#[tokio::test]
async fn jobs_and_workers_share_a_mirror() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, _) = diverged(&server);
    let workers: [Arc<Mirrors>; 2] = std::array::from_fn(|_| {
        Arc::new(Mirrors::new(settings(data.path(), &server.file_url())).unwrap())
    });
    let jobs = (0..8_u64).map(|number| {
        let text = format!("SELECT {number}\n");
        let to = format!("refs/pull/{number}/head");
        let head = server.commit(Some(&base), &to, &[("warehouse/models/n.sql", &text)]);
        let job = Source { pr: PrNumber(number), ..source(&base, &head) };
        let mirrors = workers[usize::try_from(number % 2).unwrap()].clone();
        tokio::spawn(async move {
            let tree = mirrors.merged(&job, &CancellationToken::new()).await.unwrap();
            assert_eq!(read(&tree.project().join("models/n.sql")), text);
        })
    });
    futures_util::future::try_join_all(jobs.collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn the_token_opens_the_door_and_is_written_down_nowhere() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let http = Http::start(&server, TOKEN, Hold::Nothing).await;
    let cancel = CancellationToken::new();
    let with_token = Settings { credentials: Arc::new(Bearer), ..settings(data.path(), &http.url) };
    let mirrors = Mirrors::new(with_token).unwrap();
    let tree = mirrors.merged(&source(&base, &head), &cancel).await.unwrap();
    assert!(tree.project().join("models/b.sql").exists());
    assert!(http.requests() <= 4, "{} requests", http.requests());
    let found = std::process::Command::new("grep")
        .args(["--recursive", "--files-with-matches", "--text", TOKEN])
        .arg(data.path())
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "the token is in {found:?}");

    let other = tempfile::tempdir().unwrap();
    let without = Mirrors::new(settings(other.path(), &http.url)).unwrap();
    let error = without.merged(&source(&base, &head), &cancel).await.unwrap_err();
    assert!(matches!(error, EngineError::Broken { .. }), "{error}");
}

/// The command lines of all processes that name `needle`.
fn command_lines(needle: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).into_owned())
    });
    lines.filter(|line| line.contains(needle)).collect()
}

#[tokio::test]
async fn cancelling_ends_git_and_its_helpers_which_never_showed_the_token() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let http = Http::start(&server, TOKEN, Hold::Packs).await;
    let address = http.url.split('{').next().unwrap().to_owned();
    let with_token = Settings { credentials: Arc::new(Bearer), ..settings(data.path(), &http.url) };
    let mirrors = Mirrors::new(with_token).unwrap();
    let cancel = CancellationToken::new();
    let job = tokio::spawn({
        let cancel = cancel.clone();
        async move { mirrors.merged(&source(&base, &head), &cancel).await.map(|_| ()) }
    });
    http.asked().await;
    let running = command_lines(&address);
    assert!(running.len() >= 2, "git and its HTTP helper: {running:?}");
    assert!(command_lines(TOKEN).is_empty(), "the token is in a command line");
    cancel.cancel();
    assert!(matches!(job.await.unwrap(), Err(EngineError::Cancelled)));
    // The helper is init's child by now, which may take a moment to bury it.
    let gone = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while !command_lines(&address).is_empty() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("git is gone");
}

#[tokio::test]
async fn a_fetch_that_takes_too_long_is_stopped() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let http = Http::start(&server, TOKEN, Hold::Packs).await;
    let timeouts = Timeouts { fetch: Duration::from_secs(1), ..Timeouts::default() };
    let base_settings = settings(data.path(), &http.url);
    let short = Settings { credentials: Arc::new(Bearer), timeouts, ..base_settings };
    let mirrors = Mirrors::new(short).unwrap();
    let error = mirrors.merged(&source(&base, &head), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, EngineError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_killed_gits_lock_files_are_not_in_the_way() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let cancel = CancellationToken::new();
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    mirrors.merged(&source(&base, &head), &cancel).await.unwrap();
    let newer = server.commit(Some(&head), PULL, &[("x", "1")]);
    let lock = data.path().join("mirrors/acme+monorepo.git/refs/pull/7/head.lock");
    std::fs::write(&lock, "").unwrap();
    let next = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    next.merged(&source(&base, &newer), &cancel).await.unwrap();
}

#[tokio::test]
async fn no_branch_name_is_an_option() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    for name in ["--upload-pack=touch owned", "a:b", "*"] {
        let evil = Source { base_branch: name.to_owned(), ..source(&base, &head) };
        let error = mirrors.merged(&evil, &CancellationToken::new()).await.unwrap_err();
        assert!(error.to_string().contains("not a branch name"), "{error}");
    }
}

#[tokio::test]
async fn a_project_folder_that_leads_elsewhere_is_refused() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, _) = diverged(&server);
    let head = server.link(&base, PULL, "warehouse", "/etc");
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    let cancel = CancellationToken::new();
    let error = mirrors.merged(&source(&base, &head), &cancel).await.unwrap_err();
    assert!(matches!(error, EngineError::Declared { class: Fault::Load, .. }), "{error}");
    let outside = Source { project: project("../.."), ..source(&base, &head) };
    let error = mirrors.merged(&outside, &cancel).await.unwrap_err();
    assert!(matches!(error, EngineError::Declared { class: Fault::Load, .. }), "{error}");
}

#[tokio::test]
async fn a_dropped_worktree_and_a_dead_workers_are_removed() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let dead = data.path().join("sites/site-dead");
    std::fs::create_dir_all(dead.join("plots/0/files")).unwrap();
    std::fs::write(dead.join("lock"), "").unwrap();
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    assert!(!dead.exists());
    let tree = mirrors.merged(&source(&base, &head), &CancellationToken::new()).await.unwrap();
    let _second = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    assert!(tree.project().exists(), "a living worker's tree is left alone");
    let root = tree.root().to_owned();
    drop(tree);
    assert!(!root.exists(), "gone at once");
}

#[tokio::test]
async fn a_yaml_configuration_needs_no_tree_and_a_python_one_gets_it() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, _) = diverged(&server);
    let code = server.commit(
        Some(&base),
        "refs/heads/code",
        &[("warehouse/config.py", "import shared\n"), ("shared.py", "")],
    );
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    let cancel = CancellationToken::new();
    let yaml = mirrors.configuration(&project("warehouse"), &base, &cancel).await.unwrap();
    assert_eq!(read(&yaml.project().join("config.yaml")), "x: 1\n");
    assert!(!yaml.project().join("models").exists());
    let python = mirrors.configuration(&project("warehouse"), &code, &cancel).await.unwrap();
    assert!(python.root().join("shared.py").exists() && python.project().join("models").exists());
}

#[tokio::test]
async fn equal_files_have_equal_times_in_every_checkout() {
    let (server, data) = (Server::new(), tempfile::tempdir().unwrap());
    let (base, head) = diverged(&server);
    let mirrors = Mirrors::new(settings(data.path(), &server.file_url())).unwrap();
    let cancel = CancellationToken::new();
    let one = mirrors.merged(&source(&base, &head), &cancel).await.unwrap();
    let two = mirrors.merged(&source(&base, &base), &cancel).await.unwrap();
    let time = |tree: &sluice_worker::checkout::Worktree, model: &str| {
        std::fs::metadata(tree.project().join("models").join(model)).unwrap().modified().unwrap()
    };
    assert_eq!(time(&one, "b.sql"), time(&two, "b.sql"), "the cache hits");
    assert_ne!(time(&one, "a.sql"), time(&two, "a.sql"), "the cache does not lie");
}
