//! The `GitHub` port, kept by the HTTP adapter against the stand-in: what is read is what the
//! world holds, and every effect happens once however the answer fares.

mod app;
mod deliveries;
mod deployments;
mod effects;
mod limits;
mod merges;
mod open;
mod owners;
mod pages;
mod queue;
mod reads;
mod statuses;
mod town;
