//! Chaos: a town of real worker processes, a real producer, broker and store, with the stand-in as
//! GitHub, in which anything may be killed at any time; and a checker of what they did.
//!
//! Owns the scripted engine whose state outlives every process, the history that every process
//! appends to, the points at which one can die, and what the invariants mean in terms of both.

pub mod bridge;
pub mod checker;
pub mod engine;
mod hands;
pub mod history;
pub mod long;
pub mod points;
pub mod ports;
pub mod setup;
pub mod town;
pub mod warehouse;
pub mod worker;
