//! What a webhook is answered: status, label, and a sentence for whoever reads GitHub's log of
//! deliveries.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sluice::event::Ignored;

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All its jobs are stored.
    Stored,
    /// They were stored before.
    Duplicate,
    /// It is not for us.
    Ignored(Ignored),
    /// Not signed, or not by one of our secrets. Says no more: whoever reads it may be anybody.
    Unsigned,
    /// The body is larger than configured.
    TooLarge,
    /// The body did not arrive in time, or broke off.
    Incomplete,
    /// The body is not JSON by its own account.
    NotJson,
    /// A header that GitHub always sends is missing or ill-formed.
    BadHeaders,
    /// The body is not what GitHub sends for its event.
    Malformed,
    /// Too many webhooks at once.
    Busy,
    /// The jobs are not stored, or not known to be: GitHub shows a failure and can redeliver.
    NotStored,
}

impl Answer {
    /// The labels of all answers but [`Ignored`](Self::Ignored), whose first nobody waits for.
    pub(crate) fn expected() -> [&'static str; 10] {
        let all = [
            Self::Stored,
            Self::Duplicate,
            Self::Unsigned,
            Self::TooLarge,
            Self::Incomplete,
            Self::NotJson,
            Self::BadHeaders,
            Self::Malformed,
            Self::Busy,
            Self::NotStored,
        ];
        all.map(Self::label)
    }

    /// The label in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Ignored(why) => why.label(),
            Self::Unsigned => "unsigned",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
            Self::NotJson => "not_json",
            Self::BadHeaders => "bad_headers",
            Self::Malformed => "malformed",
            Self::Busy => "busy",
            Self::NotStored => "not_stored",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Stored | Self::Duplicate => StatusCode::OK,
            Self::Ignored(_) => StatusCode::ACCEPTED,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::REQUEST_TIMEOUT,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BadHeaders | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Busy | Self::NotStored => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Stored => "The jobs are stored.",
            Self::Duplicate => "The jobs of this delivery were stored before.",
            Self::Ignored(_) => "There is nothing to do.",
            Self::Unsigned => "Unauthorized.",
            Self::TooLarge => "The payload is too large.",
            Self::Incomplete => "The payload did not arrive in time.",
            Self::NotJson => "Set the webhook's content type to application/json.",
            Self::BadHeaders => "X-GitHub-Event or X-GitHub-Delivery is missing or ill-formed.",
            Self::Malformed => "The payload is not what GitHub sends for this event.",
            Self::Busy => "Too many deliveries at once; please redeliver.",
            Self::NotStored => "The jobs could not be stored; please redeliver.",
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status(), self.sentence()).into_response()
    }
}
