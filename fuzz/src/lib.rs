//! What has to hold of every text that comes from outside, whatever it is.
//!
//! Owns the targets: each takes any bytes and panics when something does not hold that is more than
//! "it does not panic". Refuses to know who makes the bytes: the tests make some hundred at a time
//! out of `corpus/`, libFuzzer as many as it is given time for (`cargo xtask fuzz`).
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a target says by a panic what it found"
)]

mod command;
mod envelope;
mod markdown;
mod redaction;
mod signature;
mod webhook;
mod wire;
mod words;

/// Something that takes bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its folder in `corpus/`.
    pub name: &'static str,
    /// Takes the bytes. Panics when what has to hold does not.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target { name: "command", run: command::run },
    Target { name: "envelope", run: envelope::run },
    Target { name: "markdown", run: markdown::run },
    Target { name: "redaction", run: redaction::run },
    Target { name: "signature", run: signature::run },
    Target { name: "webhook", run: webhook::run },
    Target { name: "wire", run: wire::run },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
