//! sluice: approval gates and serialized production deploys for SQLMesh projects on GitHub.
//!
//! This crate holds words, decisions, ports and pipelines. It never names the worker, the producer,
//! an HTTP client or server, Redis or Python: those are adapters behind the ports.

pub mod clock;
pub mod config;
pub mod engine;
pub mod event;
pub mod github;
pub mod job;
pub mod lease;
pub mod ledger;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod outcome;
pub mod pause;
pub mod pipeline;
pub mod policy;
pub mod project;
pub mod queue;
pub mod redact;
pub mod render;
pub mod seal;
