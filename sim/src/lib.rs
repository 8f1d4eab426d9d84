//! A GitHub for tests and for the demo: a world of real bare git repositories, pull requests,
//! reviews, checks and rules; an HTTP surface (REST, GraphQL, git) that demands authentication;
//! signed webhooks; actors to tell stories with; faults to spoil them. Knows nothing of sluice.

mod actors;
pub mod faults;
mod git;
mod graphql;
mod http;
mod shape;
mod shared;
mod snapshot;
mod standin;
mod webhook;
mod wiretap;
pub mod world;

pub use actors::{Actor, PrSpec};
pub use git::{ChangeType, ChangedFile, GitError, Oid};
pub use graphql::schema as graphql_schema;
pub use snapshot::{CheckSnapshot, CommentSnapshot, PrSnapshot};
pub use standin::{RepositoryDraft, SimError, Standin, StandinConfig};
pub use webhook::{Receiver, signature};
pub use wiretap::{Exchange, Webhook, Wiretap};
pub use world::{Pr, RepositoryName, World, WorldError};
