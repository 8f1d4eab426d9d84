//! A workflow's step: `sluice-producer actions` as a process of its own, with the event's file that
//! the stand-in's GitHub wrote, on the tests' broker and store.

mod account;
mod files;
mod steps;
mod studio;
mod troubles;
