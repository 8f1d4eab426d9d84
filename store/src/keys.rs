//! The names of keys and channels.
//!
//! Owns how a lease is called in Redis. A name says its project first, and what sort it is before
//! what it is called, so that an environment `sweep` is not the sweep.

use sluice::lease::LeaseKey;
use sluice::names::{DeliveryId, Environment, JobId, PrNumber, ProjectName, Sha};
use sluice::queue::Route;

/// The names of keys and channels under one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Which start of this server was seen, and since when.
    pub(crate) fn boot(&self) -> String {
        format!("{}:boot", self.prefix)
    }

    /// The last epoch that was given.
    pub(crate) fn epoch(&self) -> String {
        format!("{}:epoch", self.prefix)
    }

    /// Which leases of a project are not free, by when they will be.
    pub(crate) fn lease_index(&self, project: &ProjectName) -> String {
        format!("{}:leases:{project}", self.prefix)
    }

    pub(crate) fn lease(&self, key: &LeaseKey) -> String {
        let start = self.lease_start(key.project());
        match key {
            LeaseKey::Environment(_, environment) => format!("{start}environment:{environment}"),
            LeaseKey::Snapshot(_, version) => format!("{start}snapshot:{version}"),
            LeaseKey::PullRequest(_, number) => format!("{start}pr:{number}"),
            LeaseKey::Sweep(_) => format!("{start}sweep"),
        }
    }

    /// The lease of that name; `None` when it is none of the project's.
    pub(crate) fn parse_lease(&self, project: &ProjectName, name: &str) -> Option<LeaseKey> {
        let project = project.clone();
        let rest = name.strip_prefix(&self.lease_start(&project))?;
        match rest.split_once(':') {
            None => (rest == "sweep").then_some(LeaseKey::Sweep(project)),
            Some(("environment", name)) => {
                Some(LeaseKey::Environment(project, Environment::new(name).ok()?))
            }
            Some(("snapshot", version)) => Some(LeaseKey::Snapshot(project, version.to_owned())),
            Some(("pr", number)) => {
                Some(LeaseKey::PullRequest(project, PrNumber(number.parse().ok()?)))
            }
            Some(_) => None,
        }
    }

    fn lease_start(&self, project: &ProjectName) -> String {
        format!("{}:lease:{project}:", self.prefix)
    }

    /// The channel on which it is said which keys have changed.
    pub(crate) fn channel(&self) -> String {
        format!("{}:changed", self.prefix)
    }

    /// Every pause, by project.
    pub(crate) fn pauses(&self) -> String {
        format!("{}:pauses", self.prefix)
    }

    /// What operators did.
    pub(crate) fn actions(&self) -> String {
        format!("{}:actions", self.prefix)
    }

    pub(crate) fn delivery(&self, delivery: &DeliveryId) -> String {
        format!("{}:delivery:{delivery}", self.prefix)
    }

    /// Whether a deploy cleans up behind a pull request.
    pub(crate) fn cleanup(&self, project: &ProjectName, pr: PrNumber) -> String {
        format!("{}:cleanup:{project}:{pr}", self.prefix)
    }

    /// What was heard and seen of a pull request.
    pub(crate) fn pull(&self, project: &ProjectName, pr: PrNumber) -> String {
        format!("{}:pull:{project}:{pr}", self.prefix)
    }

    /// The events of a pull request, by their numbers.
    pub(crate) fn events(&self, project: &ProjectName, pr: PrNumber) -> String {
        format!("{}:events:{project}:{pr}", self.prefix)
    }

    /// The runs of a message that have not ended.
    pub(crate) fn runs(&self, message: &str) -> String {
        format!("{}:runs:{message}", self.prefix)
    }

    /// That a job was begun, and when it had been published first.
    pub(crate) fn begun(&self, job: &JobId) -> String {
        format!("{}:begun:{job}", self.prefix)
    }

    /// What has become of the jobs that follow from an event.
    pub(crate) fn trail(&self, cause: &str) -> String {
        format!("{}:trail:{cause}", self.prefix)
    }

    /// What the checks of a head say.
    pub(crate) fn checks(&self, project: &ProjectName, pr: PrNumber, head: &Sha) -> String {
        format!("{}:checks:{project}:{pr}:{head}", self.prefix)
    }

    /// The head that a pull request was judged at last.
    pub(crate) fn head(&self, project: &ProjectName, pr: PrNumber) -> String {
        format!("{}:head:{project}:{pr}", self.prefix)
    }

    /// The event from which a pull request's environment was built first.
    pub(crate) fn built(&self, project: &ProjectName, pr: PrNumber) -> String {
        format!("{}:built:{project}:{pr}", self.prefix)
    }

    /// The worker processes that were heard of.
    pub(crate) fn workers(&self) -> String {
        format!("{}:workers", self.prefix)
    }

    /// A worker process that lives.
    pub(crate) fn worker(&self, worker: &str) -> String {
        format!("{}:worker:{worker}", self.prefix)
    }

    /// What a worker process runs.
    pub(crate) fn running(&self, worker: &str) -> String {
        format!("{}:running:{worker}", self.prefix)
    }

    /// The last deploys of a project.
    pub(crate) fn recent(&self, project: &ProjectName) -> String {
        format!("{}:recent:{project}", self.prefix)
    }

    /// What waits on a route, by when it was published first.
    pub(crate) fn waiting(&self, route: &Route) -> String {
        format!("{}:waiting:{}", self.prefix, route.queue())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_lease_is_found_again_by_its_name() {
        let keys = Keys::new("a:b");
        let project = ProjectName::new("warehouse").unwrap();
        let of = |environment| {
            LeaseKey::Environment(project.clone(), Environment::new(environment).unwrap())
        };
        let all = [
            of("prod"),
            of("sweep"),
            LeaseKey::Snapshot(project.clone(), "\"db\".\"a:b\"@1\n2".to_owned()),
            LeaseKey::PullRequest(project.clone(), PrNumber(7)),
            LeaseKey::Sweep(project.clone()),
        ];
        for key in all {
            assert_eq!(keys.parse_lease(&project, &keys.lease(&key)), Some(key));
        }
        assert_eq!(
            keys.parse_lease(&ProjectName::new("ware").unwrap(), &keys.lease(&of("a"))),
            None
        );
    }
}
