//! Leases: every grant, renewal and release is told before and after it happens.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sluice::lease::{Grant, LeaseError, LeaseInfo, LeaseKey, LeaseRequest, Leases, Release};
use sluice::names::{Environment, ProjectName};

use super::{Around, Guard};
use crate::history::Happened;

/// Leases whose effects have points.
pub(crate) struct Pointed {
    inner: Arc<dyn Leases>,
    around: Around,
}

impl Pointed {
    pub(crate) fn new(inner: Arc<dyn Leases>, around: Around) -> Self {
        Self { inner, around }
    }

    fn kept(&self, release: Release) -> Release {
        if self.around.lacks(Guard::Reservation) { Release::Free } else { release }
    }
}

/// What sort of lease it is, in the name of a point.
fn sort(keys: &[LeaseKey]) -> &'static str {
    match keys {
        [LeaseKey::Environment(_, name), ..] if *name == Environment::prod() => "prod",
        [LeaseKey::Environment(..), ..] => "environment",
        [LeaseKey::PullRequest(..), ..] => "turn",
        // Only of snapshots none at all may be wished for.
        [LeaseKey::Snapshot(..), ..] | [] => "snapshots",
        [LeaseKey::Sweep(..), ..] => "sweep",
    }
}

fn named(keys: &[LeaseKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

#[async_trait]
impl Leases for Pointed {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Grant, LeaseError> {
        let acquiring = async {
            if self.around.lacks(Guard::Lease) {
                let (keys, owner, ttl) = (request.keys.clone(), request.owner.clone(), request.ttl);
                let kept_for = owner.head.clone();
                let give_back = Release::Free;
                return Ok(Grant { keys, owner, epoch: 1, ttl, give_back, kept_for });
            }
            self.inner.acquire(request).await
        };
        let sort = sort(&request.keys);
        if sort == "prod" {
            let job = request.owner.job.to_string();
            self.around.history.append(Happened::Asked { job });
        }
        let effect = format!("lease.acquire.{sort}");
        let granted = self.around.at(&effect, acquiring).await;
        if let Ok(grant) = &granted {
            self.around.history.append(Happened::Granted {
                keys: named(&grant.keys),
                epoch: grant.epoch,
                job: grant.owner.job.to_string(),
                pr: grant.owner.pr.0,
            });
        }
        granted
    }

    async fn renew(
        &self,
        grant: &Grant,
        phase: &str,
        give_back: Release,
    ) -> Result<(), LeaseError> {
        if self.around.lacks(Guard::Lease) {
            return Ok(());
        }
        let renewing = self.inner.renew(grant, phase, self.kept(give_back));
        self.around.at("lease.renew", renewing).await
    }

    async fn release(&self, grant: &Grant, release: Release) -> Result<(), LeaseError> {
        if self.around.lacks(Guard::Lease) {
            return Ok(());
        }
        let effect = format!("lease.release.{}", sort(&grant.keys));
        let released = self.around.at(&effect, self.inner.release(grant, self.kept(release))).await;
        if released.is_ok() {
            self.around.history.append(Happened::Released {
                keys: named(&grant.keys),
                epoch: grant.epoch,
                how: format!("{release:?}"),
            });
        }
        released
    }

    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError> {
        self.inner.inspect(project).await
    }

    async fn changed(&self, keys: &[LeaseKey], at_most: Duration) {
        self.inner.changed(keys, at_most).await;
    }

    async fn revoke(&self, key: &LeaseKey) -> Result<Option<LeaseInfo>, LeaseError> {
        self.inner.revoke(key).await
    }

    async fn check(&self) -> Result<(), LeaseError> {
        self.inner.check().await
    }
}
