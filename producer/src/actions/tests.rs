//! What a step tells, from what the journal says.
#![allow(clippy::unwrap_used, clippy::panic)]

mod outcome;
mod output;
mod progress;
mod summary;
