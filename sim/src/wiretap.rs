//! Hearing what goes over the wire, both ways. Owns what there is to be heard; who listens, and
//! what for, is not known here.

use std::fmt::Debug;

use axum::http::HeaderMap;

use crate::world::RequestKind;

/// A listener: told of each exchange before the client has its answer, and of each webhook before
/// it is sent. What it does takes the stand-in's time.
pub trait Wiretap: Debug + Send + Sync {
    /// A client asked through the API and is answered so.
    fn exchange(&self, exchange: &Exchange<'_>);

    /// A webhook is about to be sent.
    fn webhook(&self, webhook: &Webhook<'_>);
}

/// A request through the API, and its answer. Git over HTTP is not told of.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Which door.
    pub kind: RequestKind,
    /// HTTP method.
    pub method: &'a str,
    /// Path and query, without GitHub Enterprise's prefixes and with the repository by its name.
    pub path: &'a str,
    /// The body of the request; empty when there was none.
    pub asked: &'a [u8],
    /// HTTP status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub answered: &'a [u8],
}

/// A webhook as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Webhook<'a> {
    /// `X-GitHub-Event`.
    pub event: &'a str,
    /// All headers that are GitHub's.
    pub headers: &'a HeaderMap,
    /// The payload.
    pub payload: &'a [u8],
}
