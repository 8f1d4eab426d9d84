//! Holds what goes over the wire in tests against what GitHub itself publishes: the REST
//! operations and webhooks (OpenAPI), the GraphQL schema, and payloads that GitHub once sent.
//!
//! A stand-in that is started as a [`Watched`] one is listened to, and a request, answer or webhook
//! that GitHub's descriptions do not allow fails the test that made it. Knows the stand-in and the
//! descriptions; nothing of sluice, and no test.

mod coverage;
mod described;
mod exceptions;
mod format;
mod graphql;
mod payloads;
mod rest;
mod schema;
pub mod slice;
mod sub_schema;
mod verdict;
mod watched;
mod webhooks;

pub use coverage::{Coverage, FOLDER_VARIABLE, Subject};
pub use graphql::check_document;
pub use payloads::{Recorded, payloads};
pub use sub_schema::differences;
pub use verdict::{Clients, Ear};
pub use watched::Watched;
