//! The GitHub client against answers that a well-behaved stand-in never gives: lost, late, cut,
//! half, forged. Its contract, against the stand-in, is with the other ports' contracts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod canned;
mod merging;
mod open;
mod reading;
mod reporting;
mod scripted;
mod statuses;
mod transport;
