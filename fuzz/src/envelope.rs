//! A message of the queue.

use sluice::job::{Envelope, MAX_BYTES, VERSION};

/// The most that is said of a message that is none, in bytes: it becomes a dead letter's header.
const MOST_SAID: usize = 2 * MAX_BYTES;

pub(crate) fn run(data: &[u8]) {
    match Envelope::from_bytes(data) {
        Ok(envelope) => {
            assert_eq!(envelope.v, VERSION);
            assert!(data.len() <= MAX_BYTES);
            let bytes = envelope.to_bytes().unwrap();
            assert_eq!(
                Envelope::from_bytes(&bytes).expect("what is read can be written"),
                envelope
            );
            let follows = envelope.following(envelope.job.clone(), 1);
            assert!(follows.cause.len() <= 100, "a cause does not grow");
            let again = Envelope::new(envelope.job, &follows.cause, 2);
            assert_eq!(follows.id, again.id, "the same job has the same id");
        }
        Err(why) => assert!(why.to_string().len() <= MOST_SAID, "{} bytes", why.to_string().len()),
    }
}
