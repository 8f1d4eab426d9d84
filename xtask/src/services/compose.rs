//! A service from docker-compose.yml, where a Docker engine answers.
//!
//! Compose runs in the foreground and guarded, so its containers stop when the tests end.

use std::process::Command;
use std::time::Duration;

use sluice_rig::probe::await_ready;
use sluice_rig::{EndsOn, Guarded, Service, new_directory};

use super::{Running, Started};
use crate::shell;

const ENGINE_LIMIT: Duration = Duration::from_secs(10);

/// An image may have to be fetched first.
const START_LIMIT: Duration = Duration::from_secs(300);

/// Starts `service` at its usual port.
///
/// # Errors
/// When there is no compose file, no engine, no such service in the file, or it does not answer.
pub(super) fn start(service: Service) -> anyhow::Result<Running> {
    let file = shell::root().join("docker-compose.yml");
    anyhow::ensure!(file.exists(), "there is no docker-compose.yml");
    anyhow::ensure!(
        shell::succeeds(Command::new("docker").arg("info"), ENGINE_LIMIT),
        "no Docker engine answers"
    );
    let mut compose = compose();
    compose.arg("--file").arg(&file).args(["--project-name", "sluice-xtask"]);
    compose.args(["up", "--no-deps", service.compose_name()]);
    let directory = new_directory(service.compose_name())?;
    let mut started = Guarded::start(&compose, &directory, EndsOn::Terminate, None)?;
    let port = service.usual_port();
    await_ready(service, port, &mut started, START_LIMIT)?;
    let origin = format!("started by docker compose at 127.0.0.1:{port}");
    Ok(Running {
        service,
        url: service.url(port),
        origin,
        started: Some(Started::Program(Box::new(started))),
    })
}

/// Version 2 is a plug-in of docker, version 1 a program of its own.
fn compose() -> Command {
    let mut plugin = Command::new("docker");
    plugin.arg("compose");
    let mut version = Command::new("docker");
    if shell::succeeds(version.args(["compose", "version"]), ENGINE_LIMIT) {
        return plugin;
    }
    Command::new("docker-compose")
}
