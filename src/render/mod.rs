//! What people read on GitHub: check runs and the sticky comment.
//!
//! Owns titles, sentences' surroundings and lengths. Refuses to decide anything, and to let a
//! model's name or somebody's SQL mention people, link issues or break out of its block.

pub mod checks;
pub mod comment;
pub mod deploy;
mod gate;
pub mod group;
pub mod markdown;
mod models;
mod owners;
#[cfg(test)]
mod tests;
