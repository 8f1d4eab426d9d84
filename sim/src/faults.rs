//! What can go wrong, as data: set a field, and the next matching thing fails in that way.
//! Decides nothing about *how* a failure looks on the wire beyond naming it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::world::World;

/// A closure that changes the world at a chosen instant.
pub type Hook = Box<dyn FnOnce(&mut World) + Send>;

/// Everything that will go wrong.
#[derive(Default)]
pub struct Faults {
    /// For each of the next webhooks, in order, what becomes of it.
    pub webhooks: VecDeque<WebhookFault>,
    /// What becomes of API requests; the first match with repetitions left applies.
    pub responses: Vec<ResponseFault>,
    /// How the next merges are refused, whatever the rules say.
    pub merges: VecDeque<MergeFault>,
    /// While set, mergeability stays UNKNOWN however often it is read.
    pub mergeability_stuck: bool,
    /// Runs once, after a merge or a place in the queue was asked for, and before its rules are
    /// checked.
    pub before_merge: Option<Hook>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("webhooks", &self.webhooks)
            .field("responses", &self.responses)
            .field("merges", &self.merges)
            .field("mergeability_stuck", &self.mergeability_stuck)
            .field("before_merge", &self.before_merge.is_some())
            .finish()
    }
}

/// What becomes of one webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookFault {
    /// It is sent as it should be: a placeholder, to reach a later one.
    None,
    /// It is never sent; it can be redelivered.
    Drop,
    /// It is sent twice, with the same GUID.
    Duplicate,
    /// It is sent that much later, while others overtake it.
    Delay(Duration),
}

/// How a merge is refused although the rules allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeFault {
    /// The transient 405 "Base branch was modified".
    BaseModified,
    /// The 405 of a pull request that is not mergeable.
    NotMergeable,
    /// The 409 of a head that is not the expected one.
    HeadModified,
}

/// What becomes of matching requests.
#[derive(Clone, Debug)]
pub struct ResponseFault {
    /// Which requests.
    pub matching: Matching,
    /// How many of them.
    pub times: u32,
    /// What they get.
    pub answer: Answer,
}

/// Chooses requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Every API request (git's are spared).
    Any,
    /// REST requests of that method whose path contains the text.
    Rest {
        /// Upper case.
        method: String,
        /// Part of the path.
        path: String,
    },
    /// GraphQL documents of that operation name, or with that field at the top of an operation.
    GraphQl(String),
    /// Git's own requests.
    Git,
}

/// What a matching request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// That status, and nothing happens.
    Status(u16),
    /// That status *after* the effect happened: the answer is lost, not the act.
    StatusAfterEffect(u16),
    /// A rate limit: 403 or 429, with or without `retry-after`.
    RateLimited {
        /// 403 or 429.
        status: u16,
        /// The header's value, if it is sent at all.
        retry_after: Option<Duration>,
    },
    /// GraphQL's primary limit: status 200 with an error of type `RATE_LIMITED`.
    GraphQlRateLimited,
    /// The right answer, that much later.
    Slow(Duration),
    /// The effect at once, and the right answer that much later.
    SlowAfterEffect(Duration),
}

impl Faults {
    /// Adds a fault for the next `times` requests that match.
    pub fn answer(&mut self, matching: Matching, times: u32, answer: Answer) {
        self.responses.push(ResponseFault { matching, times, answer });
    }

    /// The fault that applies to a request, used up by one.
    pub(crate) fn take_answer(&mut self, request: &FaultySubject<'_>) -> Option<Answer> {
        let fault = self
            .responses
            .iter_mut()
            .find(|fault| fault.times > 0 && request.is_meant_by(&fault.matching))?;
        fault.times -= 1;
        let answer = fault.answer;
        self.responses.retain(|fault| fault.times > 0);
        Some(answer)
    }
}

/// A request, as faults see it.
pub(crate) struct FaultySubject<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The operation name and top-level fields of a GraphQL document.
    pub(crate) operations: &'a [String],
    pub(crate) kind: crate::world::RequestKind,
}

impl FaultySubject<'_> {
    fn is_meant_by(&self, matching: &Matching) -> bool {
        use crate::world::RequestKind;
        match matching {
            Matching::Any => self.kind != RequestKind::Git,
            Matching::Git => self.kind == RequestKind::Git,
            Matching::Rest { method, path } => {
                self.kind == RequestKind::Rest
                    && self.method == method
                    && self.path.contains(path.as_str())
            }
            Matching::GraphQl(name) => {
                self.kind == RequestKind::GraphQl && self.operations.contains(name)
            }
        }
    }
}
