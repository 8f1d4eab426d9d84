//! The built `sluice` binary, on a real RabbitMQ and a real Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cluster;
mod up;
mod verbs;
