//! Logs: to standard error, for people or for machines.
//!
//! Owns the form of a line. `RUST_LOG` chooses what is said.

use sluice::config::LogFormat;
use tracing_subscriber::EnvFilter;

/// Logs in the words of `RUST_LOG`, or from this level on. Once per process; later calls change
/// nothing.
pub fn log(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "logs are set up already");
    }
}
