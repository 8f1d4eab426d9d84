//! Payloads that GitHub once sent, of every event.

use std::io::Read as _;

use flate2::read::GzDecoder;

const PACKED: &[u8] = include_bytes!("../descriptions/payloads.txt.gz");

/// A webhook that GitHub once sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `X-GitHub-Event`.
    pub event: String,
    /// The payload.
    pub payload: String,
}

/// All of them, by event. Empty when the file is not as it was made.
#[must_use]
pub fn payloads() -> Vec<Recorded> {
    let mut text = String::new();
    if GzDecoder::new(PACKED).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    let recorded = |(event, payload): (&str, &str)| Recorded {
        event: event.to_owned(),
        payload: payload.to_owned(),
    };
    lines.map(recorded).collect()
}
