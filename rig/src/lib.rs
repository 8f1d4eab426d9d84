//! Programs that tests and chores start, stop, kill and restart, each with a folder and ports of
//! its own; none outlives who started it, however that one ends.
//!
//! Owns leashes, folders, ports, and the words that RabbitMQ, Redis and PostgreSQL want to hear.
//! Knows nothing of sluice, and depends on almost nothing: `cargo xtask` uses it too. Everything
//! here blocks.
#![expect(
    clippy::disallowed_methods,
    reason = "a rig waits for programs by the real clock, on a thread that may block"
)]

mod broker;
mod folder;
mod guarded;
mod leash;
pub mod probe;
pub mod program;
mod redis;
mod service;

pub use broker::Broker;
pub use folder::{Folder, free_port, new_directory, remove};
pub use guarded::{Account, Guarded};
pub use leash::{EndsOn, leash};
pub use redis::Redis;
pub use service::Service;
