//! What people read, as they read it, and what must never get into it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod checks;
mod comment;
mod markdown;
mod views;
