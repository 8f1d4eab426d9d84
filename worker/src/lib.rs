//! The worker's side of sluice: GitHub, git and SQLMesh behind sluice's ports.

pub mod checkout;
mod configuration;
pub mod engine;
pub mod github;
pub mod privacy;
pub mod run;
pub mod sqlmesh;
pub mod sweep;
