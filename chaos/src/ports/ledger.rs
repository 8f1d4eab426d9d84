//! The ledger: what it is told, it may be told and never hear the end of.

use std::sync::Arc;

use async_trait::async_trait;
use sluice::ledger::{Lately, Ledger};
use sluice::names::{PrNumber, ProjectName, Sha};
use sluice::queue::Route;

use super::Around;

/// A ledger whose effects have points.
pub(crate) struct Pointed {
    inner: Arc<dyn Ledger>,
    around: Around,
}

impl Pointed {
    pub(crate) fn new(inner: Arc<dyn Ledger>, around: Around) -> Self {
        Self { inner, around }
    }
}

#[async_trait]
impl Ledger for Pointed {
    async fn undertake_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        let noting = self.inner.undertake_cleanup(project, pr);
        self.around.at("ledger.undertake_cleanup", noting).await;
    }

    async fn withdraw_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        self.inner.withdraw_cleanup(project, pr).await;
    }

    async fn is_cleanup_undertaken(&self, project: &ProjectName, pr: PrNumber) -> bool {
        self.inner.is_cleanup_undertaken(project, pr).await
    }

    async fn begin(&self, message: &str, run: &str) -> Option<u32> {
        self.around.at("ledger.begin", self.inner.begin(message, run)).await
    }

    async fn end(&self, message: &str, run: &str) {
        self.around.at("ledger.end", self.inner.end(message, run)).await;
    }

    async fn oldest(&self, route: &Route) -> Option<u64> {
        self.inner.oldest(route).await
    }

    async fn hear(
        &self,
        pull: (&ProjectName, PrNumber),
        message: &str,
        named: Option<&Sha>,
    ) -> Option<(u64, Lately)> {
        self.around.at("ledger.hear", self.inner.hear(pull, message, named)).await
    }

    async fn lately(&self, project: &ProjectName, pr: PrNumber) -> Option<Lately> {
        self.inner.lately(project, pr).await
    }

    async fn see(&self, project: &ProjectName, pr: PrNumber, head: &Sha) {
        self.around.at("ledger.see", self.inner.see(project, pr, head)).await;
    }

    async fn looked(&self, project: &ProjectName, pr: PrNumber, heard: u64) {
        self.around.at("ledger.looked", self.inner.looked(project, pr, heard)).await;
    }
}
