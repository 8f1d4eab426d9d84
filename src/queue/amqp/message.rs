//! A job's message and what is written on it.
//!
//! Owns the headers. Attempts are counted there by us: what the broker counts differs from version
//! to version.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use sha2::{Digest, Sha256};

use crate::queue::dead::DeadLetter;

/// How often it was tried before.
const ATTEMPT: &str = "sluice-attempt";
/// Why it failed for good, in which queue (by its canonical name), when (milliseconds since 1970).
const REASON: &str = "sluice-reason";
const QUEUE: &str = "sluice-queue";
const DIED: &str = "sluice-died-ms";

/// The longest reason that is written: the broker's frames are bounded.
const MOST_REASON_BYTES: usize = 4096;

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Tells it from every other.
    pub(super) id: String,
    pub(super) bytes: Vec<u8>,
    pub(super) attempt: u32,
}

/// How a message ended.
pub(super) struct End<'a> {
    pub(super) reason: &'a str,
    /// The queue it was in, by its canonical name.
    pub(super) queue: &'a str,
    pub(super) at_ms: u64,
}

impl Message {
    /// A new one.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let id = hex::encode(rand::random::<[u8; 16]>());
        Self { id, bytes, attempt: 0 }
    }

    /// What came. Somebody else's has no id: then what it says is its id.
    pub(super) fn read(properties: &BasicProperties, bytes: Vec<u8>) -> Self {
        let id = match properties.message_id() {
            Some(id) if !id.as_str().is_empty() => id.to_string(),
            _ => format!("unnamed-{}", hex::encode(&Sha256::digest(&bytes)[..16])),
        };
        let attempt = header(properties, ATTEMPT).and_then(whole).unwrap_or_default();
        Self { id, bytes, attempt: u32::try_from(attempt).unwrap_or_default() }
    }

    /// What is written on it.
    pub(super) fn properties(&self, now_ms: u64) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(self.attempt.into()));
        BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_app_id("sluice".into())
            .with_message_id(ShortString::try_new(self.id.as_str()).unwrap_or_default())
            .with_timestamp(now_ms / 1000)
            .with_headers(headers)
    }

    /// What is written on it as a dead letter.
    pub(super) fn obituary(&self, end: &End<'_>) -> BasicProperties {
        let properties = self.properties(end.at_ms);
        let mut headers = properties.headers().clone().unwrap_or_default();
        let reason = &end.reason[..end.reason.floor_char_boundary(MOST_REASON_BYTES)];
        headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
        headers.insert(QUEUE.into(), AMQPValue::LongString(end.queue.into()));
        let died = i64::try_from(end.at_ms).unwrap_or(i64::MAX);
        headers.insert(DIED.into(), AMQPValue::LongLongInt(died));
        properties.with_headers(headers)
    }
}

/// A dead letter as it is found. `canonical` turns the broker's name of a queue into ours.
pub(super) fn dead_letter(
    properties: &BasicProperties,
    bytes: Vec<u8>,
    canonical: impl Fn(&str) -> String,
) -> DeadLetter {
    let Message { id, bytes, attempt } = Message::read(properties, bytes);
    let said = |name| header(properties, name);
    let death = header(properties, "x-death").and_then(broker_gave_up);
    match (said(REASON).and_then(words), death) {
        (Some(reason), _) => {
            let queue = said(QUEUE).and_then(words).unwrap_or_default();
            let died_ms = said(DIED).and_then(whole).and_then(|ms| u64::try_from(ms).ok());
            DeadLetter { id, queue, bytes, attempt, reason, died_ms }
        }
        (None, Some(Death { queue, why, died_ms })) => {
            let (queue, reason) = (canonical(&queue), sentence(&why));
            DeadLetter { id, queue, bytes, attempt, reason, died_ms }
        }
        (None, None) => {
            let (queue, reason) = (String::new(), "nobody said why".to_owned());
            DeadLetter { id, queue, bytes, attempt, reason, died_ms: None }
        }
    }
}

fn sentence(why: &str) -> String {
    match why {
        "delivery_limit" => "handed out again and again, and never settled: it may be what its \
                             workers died of"
            .to_owned(),
        _ => format!("the broker gave it up: {why}"),
    }
}

/// One entry of the broker's own header, `x-death`.
struct Death {
    queue: String,
    why: String,
    died_ms: Option<u64>,
}

/// The last time that the broker moved it for another reason than a delay that was over.
fn broker_gave_up(deaths: &AMQPValue) -> Option<Death> {
    let AMQPValue::FieldArray(deaths) = deaths else { return None };
    deaths_of(deaths).find(|death| death.why != "expired")
}

fn deaths_of(deaths: &FieldArray) -> impl Iterator<Item = Death> {
    deaths.as_slice().iter().filter_map(|death| {
        let AMQPValue::FieldTable(death) = death else { return None };
        let field = |name: &str| death.inner().get(name);
        let died_ms = field("time").and_then(|time| match time {
            AMQPValue::Timestamp(seconds) => seconds.checked_mul(1000),
            _ => None,
        });
        let queue = field("queue").and_then(words)?;
        Some(Death { queue, why: field("reason").and_then(words)?, died_ms })
    })
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn words(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A whole number, of whichever width its writer chose.
fn whole(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(n) => Some((*n).into()),
        AMQPValue::ShortShortUInt(n) => Some((*n).into()),
        AMQPValue::ShortInt(n) => Some((*n).into()),
        AMQPValue::ShortUInt(n) => Some((*n).into()),
        AMQPValue::LongInt(n) => Some((*n).into()),
        AMQPValue::LongUInt(n) => Some((*n).into()),
        AMQPValue::LongLongInt(n) => Some(*n),
        _ => None,
    }
}
