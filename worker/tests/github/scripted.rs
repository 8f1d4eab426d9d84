//! A GitHub that says what it is told to say, one request at a time, and remembers the requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use serde_json::{Value, json};
use sluice::clock::{Clock, SystemClock};
use sluice::config::ChecksAs;
use sluice::observe::{Event, Observer, What};
use sluice_conformance::Ear;
use sluice_worker::github::{Auth, HttpGitHub, Patience, SecretString, Settings, WriteLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The token of every test: it may be seen in one header only.
pub(crate) const TOKEN: &str = "ghs_secret";

/// One answer.
pub(crate) enum Say {
    /// A status, headers and a body.
    Answer(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing, ever.
    Nothing,
    /// The connection is closed instead.
    Close,
}

/// A GraphQL reply with data only.
pub(crate) fn data(data: &Value) -> Say {
    Say::Answer(200, vec![], json!({ "data": data }).to_string())
}

/// A GraphQL reply with data and one problem.
pub(crate) fn problem(data: &Value, kind: &str, path: &[&str], message: &str) -> Say {
    let problem = json!({ "type": kind, "path": path, "message": message });
    Say::Answer(200, vec![], json!({ "data": data, "errors": [problem] }).to_string())
}

/// A status without a body worth reading.
pub(crate) fn status(status: u16) -> Say {
    Say::Answer(status, vec![], "<html>".to_owned())
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    /// All headers, lower case.
    pub(crate) head: String,
    /// The body, `Null` when there was none.
    pub(crate) body: Value,
}

impl Request {
    /// The GraphQL document.
    pub(crate) fn document(&self) -> &str {
        self.body["query"].as_str().unwrap_or_default()
    }
}

/// What the server and the test share.
#[derive(Default)]
struct Stage {
    script: Mutex<VecDeque<Say>>,
    seen: Mutex<Vec<Request>>,
}

/// Has a request judged: whatever is answered here, GitHub would have to take it.
fn is_heard(ear: &Ear, request: &Request) {
    let (method, path) = request.line.split_once(' ').unwrap();
    let path = path.strip_prefix("/api/v3").unwrap_or(path);
    let path = path.strip_prefix("/api").unwrap_or(path);
    let body = match &request.body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    ear.request(method, path, body.as_bytes());
}

/// What sluice told its observer, and how it paused.
#[derive(Default)]
pub(crate) struct Ears {
    told: Mutex<Vec<What>>,
    pauses: Mutex<Vec<Duration>>,
}

impl Observer for Ears {
    fn observe(&self, event: &Event) {
        self.told.lock().unwrap().push(event.what.clone());
    }
}

#[async_trait]
impl Clock for Ears {
    fn now(&self) -> SystemTime {
        SystemClock.now()
    }
    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
    async fn sleep(&self, duration: Duration) {
        self.pauses.lock().unwrap().push(duration);
    }
}

/// A scripted GitHub and a client of it.
pub(crate) struct Scripted {
    pub(crate) github: HttpGitHub,
    stage: Arc<Stage>,
    ears: Arc<Ears>,
    server: JoinHandle<()>,
}

impl Scripted {
    /// A GitHub at the root of its host.
    pub(crate) async fn says(script: Vec<Say>) -> Self {
        Self::at("", None, script).await
    }

    /// A GitHub at a path, with an App that is known from the start.
    pub(crate) async fn at(path: &str, app: Option<u64>, script: Vec<Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_url = format!("http://{}{path}", listener.local_addr().unwrap());
        let stage = Arc::new(Stage { script: Mutex::new(script.into()), ..Stage::default() });
        let ears = Arc::new(Ears::default());
        let server = tokio::spawn(serve(listener, stage.clone()));
        let github = HttpGitHub::new(&Settings {
            api_url,
            auth: Auth::Token(SecretString::from(TOKEN)),
            app,
            checks: ChecksAs::Auto,
            patience: Patience { request: Duration::from_millis(500), ..Patience::default() },
            limits: WriteLimits::NONE,
            observer: ears.clone(),
            clock: ears.clone(),
        });
        Self { github: github.unwrap(), stage, ears, server }
    }

    /// The requests so far. Ends the test's story: every answer was asked for.
    pub(crate) fn finish(self) -> Vec<Request> {
        self.server.abort();
        assert!(self.stage.script.lock().unwrap().is_empty(), "answers nobody asked for");
        let seen = self.stage.seen.lock().unwrap().clone();
        // Not while somebody waits for an answer: to read GitHub's schema takes its time.
        let ear = Ear::default();
        seen.iter().for_each(|request| is_heard(&ear, request));
        ear.conclude();
        seen
    }

    /// Status of each request that the observer was told of, with what is left of the limit.
    pub(crate) fn told(&self) -> Vec<(&'static str, u16, Option<u64>)> {
        let told = self.ears.told.lock().unwrap();
        let request = |what: &What| match what {
            What::GitHubRequest { verb, status, remaining, .. } => (*verb, *status, *remaining),
            other => panic!("{other:?}"),
        };
        told.iter().map(request).collect()
    }

    /// The pauses that were made, in order.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.ears.pauses.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(converse(socket, stage.clone()));
    }
}

/// One request per connection.
async fn converse(mut socket: TcpStream, stage: Arc<Stage>) -> std::io::Result<()> {
    let request = hear(&mut socket).await?;
    stage.seen.lock().unwrap().push(request);
    let say = stage.script.lock().unwrap().pop_front();
    match say.expect("a request that the script has no answer for") {
        Say::Close => Ok(()),
        Say::Nothing => std::future::pending().await,
        Say::Answer(status, headers, body) => {
            let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            let end = format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let head = format!("HTTP/1.1 {status} X\r\n{headers}{end}");
            socket.write_all(head.as_bytes()).await?;
            socket.write_all(body.as_bytes()).await?;
            socket.shutdown().await
        }
    }
}

async fn hear(socket: &mut TcpStream) -> std::io::Result<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        socket.read_buf(&mut bytes).await?;
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (line, head) = head.split_once("\r\n").unwrap_or_default();
    let (line, head) = (line.trim_end_matches(" HTTP/1.1").to_owned(), head.to_lowercase());
    let length = head.lines().find_map(|header| header.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < end + 4 + length {
        socket.read_buf(&mut bytes).await?;
    }
    let body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default();
    Ok(Request { line, head, body })
}
