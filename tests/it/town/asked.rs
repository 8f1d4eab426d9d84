//! Jobs that a story publishes itself: messages that came again, or that somebody forged.

use sluice::job::{Deploy, Envelope, Job};
use sluice::names::{PrNumber, Sha};
use sluice_sim::Pr;

use super::Town;

impl Town {
    /// The pull request's head now.
    pub fn head(&self, pr: &Pr) -> Sha {
        Sha::new(self.see(pr).head.as_str()).unwrap()
    }

    /// The message of a deploy of that head.
    pub fn deploy_of(&self, pr: &Pr, head: &Sha) -> Envelope {
        let signalled_ms = sluice::clock::unix_ms(self.deps.clock.now());
        let (project, pr) = (self.deps.projects[0].name.clone(), PrNumber(pr.number));
        let deploy = Deploy { project, pr, head: head.clone(), command: None, signalled_ms };
        Envelope::new(Job::Deploy(deploy), "again", signalled_ms)
    }

    /// Publishes it, and waits until all that comes of it is over.
    pub async fn is_asked_to_deploy(&self, pr: &Pr, head: &Sha) {
        self.deps.queue.publish(&self.deploy_of(pr, head)).await.unwrap();
        self.until_quiet().await;
    }
}
