//! Where Redis is, and how it is reached.
//!
//! Owns the address, which holds a password, and the certificates: no error repeats either.

use std::path::PathBuf;
use std::time::Duration;

use deadpool_redis::redis::{Client, IntoConnectionInfo as _, TlsCertificates};
use sluice::config::{LeaseConfig, LeaseStore, Secret};
use sluice::lease::Timings;

/// The longest that any call waits for Redis, whatever the timings.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Where Redis is, and how it is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A `redis` or `rediss` address, with account and password if it has them.
    pub url: Secret,
    /// A file with the certificates (PEM) that a `rediss` server's must descend from; none: those
    /// that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// What every key and channel begins with, before a colon.
    pub key_prefix: String,
    /// How long leases stand: the longest that any worker of this Redis is configured for.
    pub timings: Timings,
}

/// An address or certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// It is no address, or asks for what is not there.
    #[error("the address of Redis cannot be used: {0}")]
    Address(String),
    /// The file with certificates cannot be read.
    #[error("{file} cannot be read")]
    CaFile {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Settings {
    /// What a configuration says; `None` when leases are kept in memory.
    pub fn of(config: &LeaseConfig) -> Option<Self> {
        let LeaseStore::Redis(url) = &config.url else { return None };
        Some(Self {
            url: url.clone(),
            ca_file: config.ca_file.clone(),
            key_prefix: config.key_prefix.clone(),
            timings: config.timings,
        })
    }

    /// How long a call may take altogether: no longer than a renewal may.
    pub(crate) fn answer_within(&self) -> Duration {
        self.timings.renew_every().clamp(Duration::from_millis(500), ANSWER_WITHIN)
    }

    /// A client that knows where to go. Nothing is sent yet.
    pub(crate) fn client(&self) -> Result<Client, BadSettings> {
        let unusable = |error| BadSettings::Address(format!("{error}"));
        let address = self.url.expose().into_connection_info().map_err(unusable)?;
        let Some(file) = &self.ca_file else { return Client::open(address).map_err(unusable) };
        let certificates = std::fs::read(file)
            .map_err(|source| BadSettings::CaFile { file: file.clone(), source })?;
        let trusted = TlsCertificates { client_tls: None, root_cert: Some(certificates) };
        Client::build_with_tls(address, trusted).map_err(unusable)
    }
}
