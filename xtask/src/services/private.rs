//! A service of our own, from programs that are installed, on a free port of this machine only.
//!
//! Owns PostgreSQL's words for it; those of the others are the rig's. All of it is thrown away at
//! the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use sluice_rig::probe::await_ready;
use sluice_rig::program::installed;
use sluice_rig::{Account, Broker, EndsOn, Guarded, Redis, Service};
use sluice_rig::{free_port, new_directory, remove};

use super::{Running, Started};
use crate::{debian, shell};

/// PostgreSQL answers within a second on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Starts a private `service`.
///
/// # Errors
/// When a program is not installed, or it ends or stays silent instead of answering.
pub(super) fn start(service: Service) -> anyhow::Result<Running> {
    let (port, started) = match service {
        Service::RabbitMq => {
            let mut broker = Broker::new("")?;
            broker.start()?;
            (broker.port(), Started::Broker(Box::new(broker)))
        }
        Service::Redis => {
            let mut redis = Redis::new()?;
            redis.start()?;
            (redis.port(), Started::Redis(Box::new(redis)))
        }
        Service::Postgres => start_postgres()?,
    };
    let origin = format!("started a private one at 127.0.0.1:{port}");
    Ok(Running { service, url: service.url(port), origin, started: Some(started) })
}

fn start_postgres() -> anyhow::Result<(u16, Started)> {
    let directory = new_directory(Service::Postgres.compose_name())?;
    // A program that was started removes its directory; here none was.
    let (port, mut server) = postgres(&directory).inspect_err(|_| remove(&directory))?;
    await_ready(Service::Postgres, port, &mut server, START_LIMIT)?;
    Ok((port, Started::Program(Box::new(server))))
}

fn postgres(directory: &Path) -> anyhow::Result<(u16, Guarded)> {
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
    Ok((port, Guarded::start(&server, directory, EndsOn::Interrupt, account)?))
}

/// Where Debian keeps what it does not put on `PATH`, the newest version first.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}
