//! A service of our own, from programs that are installed, on a free port of this machine only.
//!
//! Owns the words that each server must be started with so that it shares nothing with one that
//! already runs: port, directory, account, node name, cookie. All of it is thrown away at the end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;

use super::guarded::{Account, Guarded};
use super::{Running, Service, await_ready};
use crate::leash::EndsOn;
use crate::{debian, shell};

/// Redis and PostgreSQL answer within a second, RabbitMQ within 18 s on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Starts a private `service`.
///
/// # Errors
/// When a program is not installed, or it ends or stays silent instead of answering.
pub(super) fn start(service: Service) -> anyhow::Result<Running> {
    let directory = directory_for(service)?;
    let started = match service {
        Service::RabbitMq => start_rabbitmq(&directory),
        Service::Redis => start_redis(&directory),
        Service::Postgres => start_postgres(&directory),
    };
    // A program that was started removes its directory; here none was.
    let (port, mut started) = started.inspect_err(|_| remove(&directory))?;
    if let Some(server) = started.first_mut() {
        await_ready(service, port, server, START_LIMIT)?;
    }
    let origin = format!("started a private one at 127.0.0.1:{port}");
    Ok(Running { service, url: service.url(port), origin, started })
}

/// The port, and what runs: the server first.
type Started = (u16, Vec<Guarded>);

fn start_redis(directory: &Path) -> anyhow::Result<Started> {
    let port = free_port()?;
    let mut server = Command::new(installed("redis-server", &[])?);
    server.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
    server.arg("--dir").arg(directory);
    Ok((port, vec![Guarded::start(&server, directory, EndsOn::Terminate, None)?]))
}

fn start_postgres(directory: &Path) -> anyhow::Result<Started> {
    let folders = postgres_folders();
    let (initdb, postgres) = (installed("initdb", &folders)?, installed("postgres", &folders)?);
    // It refuses to run as root.
    let account = if debian::is_root() {
        let account = Account::named("postgres").or_else(|| Account::named("nobody"));
        Some(account.context("no account to run it under: neither postgres nor nobody exists")?)
    } else {
        None
    };
    let mut create = Command::new(initdb);
    create.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"]);
    create.args(["--locale=C", "--pgdata"]).arg(directory.join("data")).current_dir(directory);
    if let Some(account) = account {
        account.own(directory)?;
        account.apply(&mut create);
    }
    let created = shell::capture(&mut create, START_LIMIT)?;
    let complaint = String::from_utf8_lossy(&created.stderr);
    anyhow::ensure!(created.status.success(), "initdb failed: {}", complaint.trim());

    let port = free_port()?;
    let mut server = Command::new(postgres);
    server.arg("-D").arg(directory.join("data")).args(["-p", &port.to_string()]);
    server.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
    server.arg("-c").arg(format!("unix_socket_directories={}", directory.display()));
    Ok((port, vec![Guarded::start(&server, directory, EndsOn::Interrupt, account)?]))
}

/// Where Debian keeps what it does not put on `PATH`, the newest version first.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

/// A broker with its own Erlang name service: one that the broker starts as a daemon would leave
/// our process group, and outlive us.
fn start_rabbitmq(directory: &Path) -> anyhow::Result<Started> {
    // Debian's own wrapper on PATH switches the account and drops the environment.
    let server = installed("rabbitmq-server", &[PathBuf::from("/usr/lib/rabbitmq/bin")])?;
    let epmd = installed("epmd", &[])?;
    let (port, inner_port, epmd_port) = (free_port()?, free_port()?, free_port()?.to_string());

    let names_directory = directory_for(Service::RabbitMq)?;
    let mut names = Command::new(epmd);
    names.args(["-address", "127.0.0.1", "-port", &epmd_port]);
    let names = Guarded::start(&names, &names_directory, EndsOn::Terminate, None)
        .inspect_err(|_| remove(&names_directory))?;

    let settings = directory.join("rabbitmq.conf");
    let plugins = directory.join("enabled_plugins");
    std::fs::write(&settings, "log.console = true\nlog.file = false\n")?;
    std::fs::write(&plugins, "[].\n")?;
    let mut server = Command::new(server);
    server
        .env("HOME", directory)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", epmd_port)
        .env("RABBITMQ_NODENAME", format!("sluice-test-{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", inner_port.to_string())
        .env("RABBITMQ_MNESIA_BASE", directory.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", directory.join("log"))
        .env("RABBITMQ_PID_FILE", directory.join("pid"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_CONFIG_FILE", settings)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins);
    let server = Guarded::start(&server, directory, EndsOn::Terminate, None)?;
    Ok((port, vec![server, names]))
}

fn installed(program: &str, folders: &[PathBuf]) -> anyhow::Result<PathBuf> {
    shell::find_program(program, folders).with_context(|| format!("{program} is not installed"))
}

/// A port that was free a moment ago. Another program may take it first: then the start fails.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A new directory for one program.
pub(super) fn directory_for(service: Service) -> anyhow::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sluice-{}-{}-{count}", service.compose_name(), std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// Best effort: what stays is an empty directory among temporary files.
fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        eprintln!("cannot remove {}: {error}", directory.display());
    }
}
