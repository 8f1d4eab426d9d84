//! GitHub: reports and merges.

use std::sync::Arc;

use async_trait::async_trait;
use sluice::github::{
    Ask, Check, DeploymentId, DeploymentWrite, Facts, GitHub, GitHubError, Merge, MergeOutcome,
    OpenPulls, Page, Redelivered, Report, ReportError, Reported, Role,
};
use sluice::names::{Login, Repository, Sha};

use super::{Around, Guard};
use crate::history::Happened;

/// GitHub, with points around what is written there.
pub(crate) struct Pointed {
    inner: Arc<dyn GitHub>,
    around: Around,
}

impl Pointed {
    pub(crate) fn new(inner: Arc<dyn GitHub>, around: Around) -> Self {
        Self { inner, around }
    }
}

#[async_trait]
impl GitHub for Pointed {
    async fn facts(&self, ask: &Ask) -> Result<Facts, GitHubError> {
        let mut facts = self.inner.facts(ask).await?;
        if self.around.lacks(Guard::Adoption) {
            facts.comment = None;
        }
        Ok(facts)
    }

    async fn checks(&self, ask: &Ask, commit: &Sha) -> Result<Vec<Check>, GitHubError> {
        self.inner.checks(ask, commit).await
    }

    async fn report(&self, report: &Report) -> Result<Reported, ReportError> {
        self.around.at("github.report", self.inner.report(report)).await
    }

    async fn merge(&self, merge: &Merge) -> Result<MergeOutcome, GitHubError> {
        let merging = async {
            let merged = self.inner.merge(merge).await;
            if let Ok(MergeOutcome::Merged(_)) = &merged {
                self.around.history.append(Happened::Merged { pr: merge.ask.pr.0 });
            }
            merged
        };
        self.around.at("github.merge", merging).await
    }

    async fn deployment(
        &self,
        write: &DeploymentWrite,
    ) -> Result<Option<DeploymentId>, GitHubError> {
        self.around.at("github.deployment", self.inner.deployment(write)).await
    }

    async fn open_pulls(
        &self,
        repository: &Repository,
        after: Option<&Page>,
    ) -> Result<OpenPulls, GitHubError> {
        self.inner.open_pulls(repository, after).await
    }

    async fn redeliver(&self, since_ms: u64) -> Result<Option<Redelivered>, GitHubError> {
        self.inner.redeliver(since_ms).await
    }

    async fn role(&self, ask: &Ask, login: &Login) -> Result<Role, GitHubError> {
        self.inner.role(ask, login).await
    }
}
