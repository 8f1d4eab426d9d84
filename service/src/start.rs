//! How a process starts and ends: its arguments, its configuration, its exit code.
//!
//! Owns what the roles' command lines have in common.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sluice::config::{Config, LogFormat, Role, process_variables};

use crate::logs::{last_words, log, redact};

/// The configuration, unless another one is named.
const CONFIG: &str = "sluice.toml";

/// The arguments of every process that runs on.
#[derive(Debug, Args)]
pub struct Start {
    /// The configuration.
    #[arg(long, global = true, default_value = CONFIG)]
    config: PathBuf,
    /// Print the configuration as it is understood, without secrets, and stop.
    #[arg(long, global = true)]
    print_config: bool,
    /// How logs are written to standard error: `text` or `json`. Overrides `log.format`.
    #[arg(long, global = true)]
    log_format: Option<LogFormat>,
}

impl Start {
    /// The configuration, with logs set up as it says; `None` when it was only to be printed.
    ///
    /// # Errors
    /// All problems of the configuration at once.
    pub fn begin(&self, roles: &[Role]) -> anyhow::Result<Option<Config>> {
        self.begin_with(Some(&self.config), roles)
    }

    /// The same where there may be no file, and the environment says it all.
    ///
    /// # Errors
    /// All problems of the configuration at once; a file that was named and is not there is one.
    pub fn begin_anywhere(&self, roles: &[Role]) -> anyhow::Result<Option<Config>> {
        let is_there = self.config.exists() || self.config != Path::new(CONFIG);
        self.begin_with(is_there.then_some(&*self.config), roles)
    }

    fn begin_with(&self, file: Option<&Path>, roles: &[Role]) -> anyhow::Result<Option<Config>> {
        let config = Config::load(file, &process_variables(), roles)?;
        if self.print_config {
            anstream::print!("{}", config.redacted());
            return Ok(None);
        }
        log("info", self.log_format.unwrap_or(config.log.format));
        redact(config.redactor(&process_variables()));
        Ok(Some(config))
    }
}

/// How a process that was told to end has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// In order: every job has ended or was given back.
    InOrder,
    /// Something did not end in time and was left behind; its messages come back by themselves,
    /// its leases when their time is up.
    LeftBehind,
    /// As this code says, whose meaning the verb documents, and which has been explained.
    As(u8),
}

/// What the process says to whoever started it: 0 when it did what it was for, 1 when it could not
/// (the reason is on standard error), 3 when it ended and left something behind. 2 is clap's, for
/// arguments that nobody knows.
pub fn exit(done: anyhow::Result<Ended>) -> ExitCode {
    match done {
        Ok(Ended::InOrder) => ExitCode::SUCCESS,
        Ok(Ended::LeftBehind) => ExitCode::from(3),
        Ok(Ended::As(code)) => ExitCode::from(code),
        Err(error) => {
            tracing::debug!(?error, "the process failed");
            anstream::eprintln!("{}", last_words(&error));
            ExitCode::FAILURE
        }
    }
}

/// This process, for people who ask who holds a lease: role, host and process.
pub fn host(role: &str) -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{role} on {}, process {}", host.as_deref().unwrap_or("?"), std::process::id())
}

/// Who runs this command: account and host.
pub fn operator() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let user = user.map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name);
    format!("{user}@{}", host.as_deref().unwrap_or("?"))
}
