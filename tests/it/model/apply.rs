//! The apply, the merge and the giving back: `worker/src/sqlmesh/sluice_bridge/applying.py`,
//! `src/pipeline/apply.rs` and `src/pipeline/deploy/merge.rs`.
//!
//! Owns what changes prod and main. Refuses to know how a job came to have its leases.

use super::queue::Disposition;
use super::state::{Kind, PR_ENVIRONMENT, PROD, SNAPSHOT, Step, bit};
use super::store::must_fence;
use super::worker::Turn;

impl Turn<'_> {
    /// `Fence::run`: the question to the worker, then SQLMesh's own comparison.
    pub fn begin_unit(&mut self) -> bool {
        let guards = &self.scenario.guards;
        let (project, kind) = self.place();
        let session = &self.state.sessions[self.index];
        if guards.fence_before_stage && must_fence(session, self.scenario) {
            return false;
        }
        let is_outdated = session.is_stale && session.step != Step::Finalize;
        if guards.plan_check && is_outdated {
            let was_reserved = session.was_reserved;
            self.state.sessions[self.index].keep = was_reserved;
            return self.plan_again();
        }
        self.state.outdated |= is_outdated;
        let environment = if kind == Kind::Deploy { PROD } else { PR_ENVIRONMENT };
        let built = self.state.projects[project].built;
        let session = &mut self.state.sessions[self.index];
        match session.step {
            Step::Build if built => return self.next_unit(),
            Step::Build => session.writing = Some(SNAPSHOT),
            _ => session.writing = Some(environment),
        }
        true
    }

    /// What a unit has done at its end.
    pub fn take_effect(&mut self) {
        let (project, kind) = self.place();
        let (target, pr) = (self.target(), self.pr());
        let session = &self.state.sessions[self.index];
        let there = &mut self.state.projects[project];
        match (session.step, kind) {
            (Step::Build, _) => there.built = true,
            (_, Kind::Gate) => there.synced |= bit(pr),
            (Step::Promote, Kind::Deploy) => {
                self.state.reverted |= there.prod & !target != 0;
                (there.prod, there.finalized) = (target, false);
                for (index, other) in self.state.sessions.iter_mut().enumerate() {
                    other.is_stale |= index != self.index
                        && self.scenario.of(other.job()) == (project, Kind::Deploy);
                }
            }
            // SQLMesh refuses to finalize a plan that is not the newest.
            _ => there.finalized |= !session.is_stale,
        }
    }

    /// What comes after a unit, or instead of one that is not needed.
    pub fn next_unit(&mut self) -> bool {
        let kind = self.place().1;
        let session = &self.state.sessions[self.index];
        let next = match session.step {
            Step::Validate if session.builds => Step::Build,
            Step::Validate | Step::Build => Step::Promote,
            Step::Promote if kind == Kind::Deploy => Step::Finalize,
            Step::Finalize if session.is_stale => {
                let was_reserved = session.was_reserved;
                self.state.sessions[self.index].keep = was_reserved;
                return self.plan_again();
            }
            Step::Finalize => Step::Merge,
            _ => Step::Release,
        };
        self.go(next)
    }

    /// The look at the lease; the request leaves.
    pub fn merge(&mut self) -> bool {
        let mut only_snapshot = [false; 3];
        only_snapshot[SNAPSHOT] = true;
        let project = self.place().0;
        self.free_some(project, only_snapshot);
        self.go(Step::MergeSent)
    }

    pub fn merge_arrives(&mut self) -> bool {
        let project = self.place().0;
        let mine = bit(self.pr());
        let there = &mut self.state.projects[project];
        if there.main & mine != 0 && !self.scenario.guards.adopts_merge {
            self.free_everything(true);
            return self.end(Disposition::Delayed);
        }
        there.main |= mine;
        let session = &mut self.state.sessions[self.index];
        session.keep = false;
        // Renewed no more: what the store was told last counts if this does not arrive.
        self.go(Step::Release)
    }

    pub fn give_back(&mut self) -> bool {
        let keep = self.state.sessions[self.index].keep;
        if self.free_everything(keep) || !self.scenario.guards.release_confirmed {
            return self.go(Step::Settle);
        }
        // The next try finds the pull request merged, and frees what is kept for it.
        self.end(Disposition::Requeue)
    }
}
