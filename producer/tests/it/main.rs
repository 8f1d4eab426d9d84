//! The producer over real HTTP, on a queue with state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod limits;
mod recorded;
mod shutdown;
mod webhooks;
mod world;
