//! The stand-in seen from outside, as a client of GitHub sees it: what `notes` of GitHub's
//! behaviour say, each as a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faults;
mod git;
mod graphql;
mod merge;
mod mergeability;
mod rest;
mod statuses;
mod town;
mod webhooks;
