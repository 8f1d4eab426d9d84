//! GraphQL's opaque node ids.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a node id points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A repository.
    Repository,
    /// A pull request.
    PullRequest,
    /// A review of a pull request.
    Review,
    /// A comment in a pull request's conversation.
    IssueComment,
    /// A check run.
    CheckRun,
    /// A check suite.
    CheckSuite,
    /// A commit status.
    StatusContext,
    /// A reaction.
    Reaction,
    /// A deployment.
    Deployment,
    /// A status of a deployment.
    DeploymentStatus,
    /// A user.
    User,
    /// An application's own account.
    Bot,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Repository,
        Self::PullRequest,
        Self::Review,
        Self::IssueComment,
        Self::CheckRun,
        Self::CheckSuite,
        Self::StatusContext,
        Self::Reaction,
        Self::Deployment,
        Self::DeploymentStatus,
        Self::User,
        Self::Bot,
    ];

    fn prefix(self) -> &'static str {
        match self {
            Self::Repository => "R_kgDO",
            Self::PullRequest => "PR_kwDO",
            Self::Review => "PRR_kwDO",
            Self::IssueComment => "IC_kwDO",
            Self::CheckRun => "CR_kwDO",
            Self::CheckSuite => "CS_kwDO",
            Self::StatusContext => "SC_kwDO",
            Self::Reaction => "REA_lADO",
            Self::Deployment => "DE_kwDO",
            Self::DeploymentStatus => "DES_kwDO",
            Self::User => "U_kgDO",
            Self::Bot => "BOT_kgDO",
        }
    }
}

/// A database id dressed as GitHub dresses it: typed, unguessable at a glance, stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId {
    /// What it points at.
    pub kind: Kind,
    /// Its database id.
    pub id: u64,
}

impl NodeId {
    /// The node id of a database id.
    #[must_use]
    pub fn new(kind: Kind, id: u64) -> Self {
        Self { kind, id }
    }

    /// Reads a node id that a client sent; `None` when the stand-in never made it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) =
            Kind::ALL.iter().find_map(|kind| Some((*kind, text.strip_prefix(kind.prefix())?)))?;
        let bytes = URL_SAFE_NO_PAD.decode(rest).ok()?;
        Some(Self { kind, id: u64::from_be_bytes(bytes.try_into().ok()?) })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(self.id.to_be_bytes()))
    }
}
