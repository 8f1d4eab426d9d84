//! Every integration test is a module of this one binary: one link, one list of tests.
#![allow(unreachable_pub, reason = "a module of a test binary is reached from that binary only")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

mod actions;
mod contracts;
mod fuzzing;
mod metrics;
mod model;
mod prometheus;
mod rabbitmq;
mod redis;
mod roles;
mod store;
mod stories;
mod tidy;
mod town;
mod warehouse;
