//! The main job, told as stories: one for each end that a gate check or a deploy can have.

mod approvals;
mod approved;
mod base;
mod budget;
mod bursts;
mod closed;
mod commands;
mod deployments;
mod faults;
mod forks;
mod held;
mod hour;
mod kept;
mod merges;
mod monorepo;
mod once;
mod order;
mod owners;
mod queue;
mod reserved;
mod secrets;
mod statuses;
mod sweep;
mod untold;
mod validate;
mod workers;
