//! The services that tests may ask for: RabbitMQ, Redis, PostgreSQL.
//!
//! Owns where each is looked for and the order of the attempts: an address that is already set, the
//! usual local port, a private one from installed programs, docker compose, apt-get. What was
//! started here ends with the value that [`prepare`] returns. Knows nothing of what tests do there.

mod compose;
mod guarded;
mod private;
mod probe;

use std::fmt;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;

use crate::{debian, shell};
use guarded::Guarded;
use probe::Answer;

/// What the test suites ask for.
///
/// Empty: every suite of today runs on the embedded adapters, so `cargo xtask test` starts nothing.
/// The change that adds a suite over a real broker, lease store or warehouse adds its service here.
pub(crate) const REQUIRED: &[Service] = &[];

/// A service that sluice, or a project that it deploys, talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    RabbitMq,
    Redis,
    Postgres,
}

impl Service {
    /// Each of them, in the order in which they are shown.
    pub(crate) const ALL: [Self; 3] = [Self::RabbitMq, Self::Redis, Self::Postgres];

    /// The environment variable in which tests find its URL.
    fn variable(self) -> &'static str {
        match self {
            Self::RabbitMq => "SLUICE_TEST_AMQP_URL",
            Self::Redis => "SLUICE_TEST_REDIS_URL",
            Self::Postgres => "SLUICE_TEST_POSTGRES_URL",
        }
    }

    fn usual_port(self) -> u16 {
        match self {
            Self::RabbitMq => 5672,
            Self::Redis => 6379,
            Self::Postgres => 5432,
        }
    }

    /// The URL of an instance on `port` of this machine, with the account that [`probe`] tries.
    fn url(self, port: u16) -> String {
        match self {
            Self::RabbitMq => format!("amqp://guest:guest@127.0.0.1:{port}/%2f"),
            Self::Redis => format!("redis://127.0.0.1:{port}/0"),
            Self::Postgres => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        }
    }

    /// Its name in docker-compose.yml.
    fn compose_name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    fn debian_package(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq-server",
            Self::Redis => "redis-server",
            Self::Postgres => "postgresql",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RabbitMq => "RabbitMQ",
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A service that answers: where, and how it came to be there.
struct Running {
    service: Service,
    url: String,
    origin: String,
    /// What was started for it, the last first: it ends when this is dropped.
    started: Vec<Guarded>,
}

impl Running {
    fn found(service: Service, url: String, origin: &str) -> Self {
        Self { service, url, origin: origin.to_owned(), started: Vec::new() }
    }
}

/// Services that answer, for as long as this value lives.
pub(crate) struct Prepared(Vec<Running>);

impl Prepared {
    /// What to add to the environment of the tests.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|running| (running.service.variable(), running.url.as_str()))
    }
}

/// Finds or starts `services`.
///
/// # Errors
/// For every one that could not be had, what was tried and why it did not work.
pub(crate) fn prepare(services: &[Service]) -> anyhow::Result<Prepared> {
    let mut prepared = Vec::new();
    let mut missing = Vec::new();
    for &service in services {
        match provide(service) {
            Ok(running) => {
                println!("{service:<10} {}", running.origin);
                prepared.push(running);
            }
            Err(reasons) => missing.push(format!("no {service}:\n  {}", reasons.join("\n  "))),
        }
    }
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(Prepared(prepared))
}

/// The verb `services`: shows where each is, and keeps what was started until input ends.
pub(crate) fn serve_until_input_ends() -> anyhow::Result<()> {
    let prepared = prepare(&Service::ALL)?;
    for (variable, url) in prepared.environment() {
        println!("export {variable}={url}");
    }
    if prepared.0.iter().any(|running| !running.started.is_empty()) {
        println!("What was started ends with standard input (Ctrl-D), or with this program.");
        let mut ignored = [0; 1024];
        while std::io::stdin().read(&mut ignored).context("cannot read standard input")? > 0 {}
    }
    Ok(())
}

/// One way to come by a service that nobody runs yet.
type Attempt = fn(Service) -> anyhow::Result<Running>;

const ATTEMPTS: [(&str, Attempt); 3] = [
    ("a private one", private::start),
    ("docker compose", compose::start),
    ("apt-get", install_and_start),
];

/// The first way that works, or why none did.
fn provide(service: Service) -> Result<Running, Vec<String>> {
    if let Ok(url) = std::env::var(service.variable()) {
        let origin = format!("as {} says", service.variable());
        return Ok(Running::found(service, url, &origin));
    }
    let port = service.usual_port();
    let mut reasons = match probe::ask(service, local(port)) {
        Answer::Ready => {
            let origin = format!("found at 127.0.0.1:{port}");
            return Ok(Running::found(service, service.url(port), &origin));
        }
        Answer::Refused(why) => vec![format!("127.0.0.1:{port}: {why}")],
    };
    for (name, attempt) in ATTEMPTS {
        match attempt(service) {
            Ok(running) => return Ok(running),
            Err(error) => reasons.push(format!("{name}: {error:#}")),
        }
    }
    Err(reasons)
}

fn install_and_start(service: Service) -> anyhow::Result<Running> {
    debian::install(&[service.debian_package()])?;
    // The package may have started it at the usual port, or (in a container) not at all.
    let port = service.usual_port();
    if matches!(probe::ask(service, local(port)), Answer::Ready) {
        let origin = format!("installed, at 127.0.0.1:{port}");
        return Ok(Running::found(service, service.url(port), &origin));
    }
    private::start(service)
}

/// Waits until `service` answers at `port`, as long as `started` has not ended.
fn await_ready(
    service: Service,
    port: u16,
    started: &mut Guarded,
    limit: Duration,
) -> anyhow::Result<()> {
    let mut last = String::new();
    let answered = shell::wait_for(limit, || {
        match probe::ask(service, local(port)) {
            Answer::Ready => return Ok(Some(())),
            Answer::Refused(why) => last = why,
        }
        if let Some(status) = started.ended()? {
            anyhow::bail!("{service} ended ({status}) before it answered:\n{}", started.log());
        }
        Ok(None)
    })?;
    answered.with_context(|| {
        let limit = limit.as_secs();
        format!("{service} did not answer within {limit} s ({last}):\n{}", started.log())
    })
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
