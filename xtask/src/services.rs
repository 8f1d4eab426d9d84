//! The services that tests may ask for: RabbitMQ, Redis, PostgreSQL.
//!
//! Owns where each is looked for and the order of the attempts: an address that is already set, the
//! usual local port, a private one from installed programs, docker compose, apt-get. What was
//! started here ends with the value that [`prepare`] returns. Knows nothing of what tests do there.

mod compose;
mod private;

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use sluice_rig::probe::{self, Answer};
use sluice_rig::{Broker, Guarded, Redis, Service};

use crate::debian;

/// What the test suites ask for.
pub(crate) const REQUIRED: &[Service] = &Service::ALL;

/// A service that answers: where, and how it came to be there.
struct Running {
    service: Service,
    url: String,
    origin: String,
    /// What was started for it: it ends when this is dropped.
    started: Option<Started>,
}

/// What was started for a service.
#[expect(dead_code, reason = "it is kept for its end")]
enum Started {
    Broker(Box<Broker>),
    Redis(Box<Redis>),
    Program(Box<Guarded>),
}

impl Running {
    fn found(service: Service, url: String, origin: &str) -> Self {
        Self { service, url, origin: origin.to_owned(), started: None }
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
    if prepared.0.iter().any(|running| running.started.is_some()) {
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

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
