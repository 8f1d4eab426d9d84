//! A real warehouse: SQLMesh's state and its tables on PostgreSQL, which several workers use at
//! once.

mod cluster;
mod conflicts;
mod database;
mod hazard;
mod operators;
pub(crate) mod processes;
mod shop;

pub(crate) use cluster::{github, part};
pub(crate) use shop::Shop;
