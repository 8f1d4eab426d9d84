//! A git server for the tests: bare repositories on disk, reached as files or over HTTP.
//!
//! Owns how commits get there. Refuses to know what is tested with them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice::names::Sha;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

/// One repository, `acme/monorepo`.
pub(crate) struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Self { folder };
        let bare = server.bare();
        std::fs::create_dir_all(&bare).unwrap();
        git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        git(server.root(), &["init", "--quiet", "--initial-branch=main", "work"]);
        server
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file_url(&self) -> String {
        format!("file://{}/{{repository}}.git", self.root().display())
    }

    fn bare(&self) -> PathBuf {
        self.root().join("acme/monorepo.git")
    }

    /// A commit on top of `parent` that writes (or, without text, removes) files, pushed as `to`.
    pub(crate) fn commit(&self, parent: Option<&Sha>, to: &str, files: &[(&str, &str)]) -> Sha {
        let work = self.root().join("work");
        match parent {
            Some(parent) => git(&work, &["checkout", "--quiet", "--detach", parent.as_str()]),
            None => git(&work, &["checkout", "--quiet", "--orphan", "first"]),
        };
        for (path, text) in files {
            let path = work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.commit_all(to)
    }

    /// A commit on top of `parent` in which `path` is a link.
    pub(crate) fn link(&self, parent: &Sha, to: &str, path: &str, target: &str) -> Sha {
        let work = self.root().join("work");
        git(&work, &["checkout", "--quiet", "--detach", parent.as_str()]);
        git(&work, &["rm", "--quiet", "-r", "--ignore-unmatch", path]);
        std::os::unix::fs::symlink(target, work.join(path)).unwrap();
        self.commit_all(to)
    }

    fn commit_all(&self, to: &str) -> Sha {
        let work = self.root().join("work");
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "--allow-empty", "--message", "c"]);
        let bare = self.bare();
        git(&work, &["push", "--quiet", "--force", bare.to_str().unwrap(), &format!("HEAD:{to}")]);
        Sha::new(git(&work, &["rev-parse", "HEAD"])).unwrap()
    }

    /// Makes the server unreachable.
    pub(crate) fn vanish(&self) {
        std::fs::rename(self.bare(), self.root().join("elsewhere")).unwrap();
    }
}

/// What git printed.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "gc.auto=0"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The same over HTTP, for those who know the token.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) url: String,
    state: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    token: &'static str,
    requests: AtomicUsize,
    /// Whether packs are held back for ever, and who is told that one was asked for.
    hold: Hold,
    asked: Notify,
}

/// What the server does when it is asked for a pack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    Packs,
}

impl Http {
    pub(crate) async fn start(server: &Server, token: &'static str, hold: Hold) -> Self {
        let state = Arc::new(Shared {
            root: server.root().to_owned(),
            token,
            requests: AtomicUsize::new(0),
            hold,
            asked: Notify::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let router = Router::new().fallback(serve).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url: format!("http://{address}/{{repository}}.git"), state }
    }

    /// How many requests came, refused ones included.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Until a pack was asked for and is held back.
    pub(crate) async fn asked(&self) {
        self.state.asked.notified().await;
    }
}

async fn serve(State(state): State<Arc<Shared>>, request: Request) -> Response {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let expected = format!("Basic {}", STANDARD.encode(format!("x-access-token:{}", state.token)));
    let given = request.headers().get(header::AUTHORIZATION);
    if given.is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, challenge, state.token).into_response();
    }
    if state.hold == Hold::Packs && request.uri().path().ends_with("git-upload-pack") {
        state.asked.notify_one();
        std::future::pending::<()>().await;
    }
    backend(&state.root, request).await
}

async fn backend(root: &Path, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let text = |name: &str| {
        head.headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text("content-type"))
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", text("git-protocol"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&body).await.unwrap();
    response(child.wait_with_output().await.unwrap().stdout)
}

fn response(output: Vec<u8>) -> Response {
    let split = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..split]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(&value[..3]),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(Bytes::from(output).slice(split + 4..))).unwrap()
}
