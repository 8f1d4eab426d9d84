//! A short run of every fuzz target: its seeds, and some hundred texts that are made of them.
//!
//! The long run is libFuzzer's, which sees what code a text reaches: `cargo xtask fuzz`. What it
//! finds becomes a seed here.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use sluice_fuzz::{TARGETS, Target};

/// The seeds of a target, by name.
fn seeds(target: Target) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let mut seeds: Vec<_> = files
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&file).unwrap())
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} has no seed", target.name);
    seeds
}

#[test]
fn every_seed_holds() {
    for target in TARGETS {
        for (name, seed) in seeds(target) {
            let held = std::panic::catch_unwind(|| (target.run)(&seed));
            assert!(held.is_ok(), "the seed {name} of {}", target.name);
        }
    }
}

/// What is done to a text.
#[derive(Debug, Clone)]
enum Edit {
    Cut(Index),
    Insert(Index, &'static str),
    Byte(Index, u8),
    Repeat(Index, Index, u8),
    Splice(Index, Index, Index),
}

/// What has a meaning to some target.
const WORDS: [&str; 64] = [
    "\n",
    "\r",
    " ",
    "\t",
    "\"",
    "'",
    "\\",
    "\\\"",
    "\\n",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "0",
    "-1",
    "1e9",
    "18446744073709551616",
    "`",
    "```",
    "~~~",
    "@",
    "@erin",
    "#1",
    "GH-1",
    "<",
    ">",
    "-->",
    "<!-- sluice:",
    "</details>",
    "<summary>",
    "|",
    "- ",
    "1. ",
    "    ",
    "&amp;",
    "&#64;",
    "%40",
    "%",
    "\u{1b}[1m",
    "\u{200b}",
    "\u{202e}",
    "é",
    "://",
    "a://b:c@",
    "www.",
    "password=",
    "token: ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "ghs_0123456789abcdefghij",
    "eyJabcde.abcde.abcde",
    "MII",
    "/deploy",
    "/gate",
    "\"id\":",
    "\"ok\":",
    "\"err\":",
    "\"event\":",
    "sha256=",
    "\u{feff}",
    "│",
];

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        1 => at().prop_map(Edit::Cut),
        6 => (at(), prop::sample::select(WORDS.to_vec())).prop_map(|(at, w)| Edit::Insert(at, w)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        1 => (at(), at(), 2u8..6).prop_map(|(from, to, times)| Edit::Repeat(from, to, times)),
        2 => (at(), at(), at()).prop_map(|(seed, from, to)| Edit::Splice(seed, from, to)),
    ]
}

fn edited(mut text: Vec<u8>, edits: &[Edit], seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
    for edit in edits {
        let place = |at: &Index| at.index(text.len() + 1);
        match edit {
            Edit::Cut(at) => text.truncate(place(at)),
            Edit::Insert(at, word) => {
                let at = place(at);
                text.splice(at..at, word.bytes());
            }
            Edit::Byte(at, byte) => {
                let at = place(at);
                text.splice(at..(at + 1).min(text.len()), [*byte]);
            }
            Edit::Repeat(from, to, times) => {
                let (from, to) = (place(from).min(place(to)), place(from).max(place(to)));
                let part = text[from..to].repeat(usize::from(*times));
                text.splice(from..to, part);
            }
            Edit::Splice(seed, from, to) => {
                let other = &seeds[seed.index(seeds.len())].1;
                let (from, at) = (from.index(other.len() + 1), place(to));
                text.splice(at.., other[from..].iter().copied());
            }
        }
        text.truncate(4096);
    }
    text
}

fn is_held_by(name: &str) {
    let target = sluice_fuzz::target(name).unwrap();
    let seeds = seeds(target);
    let config = Config {
        cases: 400,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let made = (any::<Index>(), prop::collection::vec(edit(), 0..12));
    let ended = TestRunner::new(config).run(&made, |(seed, edits)| {
        let text = edited(seeds[seed.index(seeds.len())].1.clone(), &edits, &seeds);
        (target.run)(&text);
        Ok(())
    });
    if let Err(why) = ended {
        panic!("{name}: {why}");
    }
}

#[test]
fn commands_hold() {
    is_held_by("command");
}

#[test]
fn envelopes_hold() {
    is_held_by("envelope");
}

#[test]
fn markdown_holds() {
    is_held_by("markdown");
}

#[test]
fn redaction_holds() {
    is_held_by("redaction");
}

#[test]
fn signatures_hold() {
    is_held_by("signature");
}

#[test]
fn webhooks_hold() {
    is_held_by("webhook");
}

#[test]
fn the_wire_holds() {
    is_held_by("wire");
}

#[test]
fn every_target_has_its_test() {
    let tested = ["command", "envelope", "markdown", "redaction", "signature", "webhook", "wire"];
    assert_eq!(TARGETS.map(|target| target.name), tested);
}
