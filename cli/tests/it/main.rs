//! The built `sluice` binary, on a real RabbitMQ and a real Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod away;
mod cluster;
mod doctor;
mod up;
mod verbs;
