//! What a worker does with its job, step by step: `src/pipeline/deploy.rs` and its folder, and the
//! part of a gate check that changes an environment.
//!
//! Owns the order of the steps up to the apply. Each is atomic; between any two of them everything
//! else may happen.

use super::queue::{Disposition, settle};
use super::scenario::Scenario;
use super::state::{Kind, PR_ENVIRONMENT, PROD, SNAPSHOT, State, Step, bit};
use super::store::{Answer, acquire, must_fence, release};

/// How often a deploy is planned at most: `MOST_PLANS`, one fewer.
const MOST_PLANS: u8 = 2;

/// The next step of a session, if it can be made now.
pub fn step(scenario: &Scenario, before: &State, index: usize) -> Option<State> {
    let session = &before.sessions[index];
    let may_begin = session.writing.is_none() && !session.asleep;
    // Without the fence the bridge goes on by itself, whatever its worker does.
    let bridge_alone = !scenario.guards.fence_before_stage && is_unit(session.step);
    let runs = session.runs() || (bridge_alone && session.bridge_runs());
    if !runs || !may_begin || (must_fence(session, scenario) && !is_unit(session.step)) {
        return None;
    }
    let mut turn = Turn { scenario, state: before.clone(), index };
    let moved = match session.step {
        Step::Clear => turn.clear(),
        Step::Environment => turn.environment(),
        Step::Snapshot => turn.snapshot(),
        Step::Validate => turn.validate(),
        Step::Build | Step::Promote | Step::Finalize => turn.begin_unit(),
        Step::Merge => turn.merge(),
        Step::MergeSent => turn.merge_arrives(),
        Step::Release => turn.give_back(),
        Step::Settle => turn.end(Disposition::Done),
        Step::Resumed => turn.resumed(),
    };
    (moved && turn.state != *before).then_some(turn.state)
}

fn is_unit(step: Step) -> bool {
    matches!(step, Step::Build | Step::Promote | Step::Finalize)
}

/// The end of the unit that the bridge writes. Nothing stops it but the end of the bridge.
pub fn end_unit(scenario: &Scenario, before: &State, index: usize) -> Option<State> {
    let session = &before.sessions[index];
    if session.writing.is_none() || !session.bridge_runs() {
        return None;
    }
    let mut turn = Turn { scenario, state: before.clone(), index };
    turn.take_effect();
    turn.state.sessions[index].writing = None;
    turn.next_unit();
    Some(turn.state)
}

/// What the unit in the bridge's hand does when it comes to its end, even without its bridge.
pub fn take_effect(scenario: &Scenario, state: &mut State, index: usize) {
    let mut turn = Turn { scenario, state: state.clone(), index };
    turn.take_effect();
    *state = turn.state;
}

pub struct Turn<'a> {
    pub scenario: &'a Scenario,
    pub state: State,
    pub index: usize,
}

impl Turn<'_> {
    fn clear(&mut self) -> bool {
        let (project, kind) = self.place();
        let pr = self.pr();
        let mine = bit(pr);
        let there = &self.state.projects[project];
        let next = match kind {
            Kind::Gate if there.synced & mine != 0 => Step::Settle,
            Kind::Deploy if there.main & mine != 0 && self.scenario.guards.adopts_merge => {
                Step::Resumed
            }
            _ => Step::Environment,
        };
        self.go(next)
    }

    /// `hold` with `Wait::UpTo` for a deploy, `Wait::No` for a gate check.
    fn environment(&mut self) -> bool {
        let (project, kind) = self.place();
        let key = if kind == Kind::Deploy { PROD } else { PR_ENVIRONMENT };
        let answer = if self.scenario.guards.environment_lease {
            self.ask(key)
        } else {
            Answer::Granted(false)
        };
        match (answer, kind) {
            (Answer::Granted(was_reserved), _) => {
                let session = &mut self.state.sessions[self.index];
                session.was_reserved = was_reserved;
                session.keep = was_reserved;
                if kind == Kind::Deploy {
                    self.note_the_start(project);
                }
                self.plan();
                true
            }
            (Answer::Busy, Kind::Deploy) => self.wait(),
            (Answer::Reserved, Kind::Deploy) if !self.scenario.guards.steps_aside => self.wait(),
            (Answer::Busy | Answer::Reserved, _) => self.end(Disposition::Delayed),
        }
    }

    /// Whoever is cut off hears nothing, and asks again later.
    fn ask(&mut self, key: usize) -> Answer {
        if self.state.sessions[self.index].is_cut {
            return Answer::Busy;
        }
        let place = (self.index, self.place().0, key);
        acquire(&mut self.state, self.scenario, place)
    }

    fn wait(&mut self) -> bool {
        self.state.sessions[self.index].asleep = !self.scenario.guards.asks_again;
        true
    }

    fn note_the_start(&mut self, project: usize) {
        let pr = self.pr();
        let state = &mut self.state;
        if state.started & bit(pr) != 0 {
            return;
        }
        let is_passed = |other: u8| {
            self.scenario.of(usize::from(other)) == (project, Kind::Deploy)
                && (state.started | state.bent | state.projects[project].main) & bit(other) == 0
        };
        state.disorder |= (0..pr).any(is_passed) && state.bent & bit(pr) == 0;
        state.started |= bit(pr);
    }

    /// Plans from main as it is now; an earlier plan is forgotten.
    fn plan(&mut self) {
        let (project, kind) = self.place();
        let builds = self.scenario.jobs[self.job()].builds;
        let (target, there) = (self.target_now(), self.state.projects[project].clone());
        let session = &mut self.state.sessions[self.index];
        session.base = there.main;
        session.is_stale = false;
        session.builds = builds && !there.built;
        session.plans += 1;
        let is_in_prod = there.prod == target && there.finalized;
        let only_merge = session.was_reserved && is_in_prod && self.scenario.guards.adopts_apply;
        let takes_back = kind == Kind::Deploy && there.prod & !target != 0;
        session.step = if kind == Kind::Deploy && only_merge {
            Step::Merge
        } else if takes_back && self.scenario.guards.preview {
            return self.refuse();
        } else if session.builds && self.scenario.guards.snapshot_leases {
            Step::Snapshot
        } else {
            Step::Validate
        };
    }

    /// `Wish::snapshots`: waited for by a deploy; a gate check comes later.
    fn snapshot(&mut self) -> bool {
        match (self.ask(SNAPSHOT), self.place().1) {
            (Answer::Granted(_), _) => self.go(Step::Validate),
            (_, Kind::Deploy) => self.wait(),
            (_, Kind::Gate) => {
                self.free_everything(false);
                self.end(Disposition::Delayed)
            }
        }
    }

    /// `Ticket::issue`, and the reservation before the first stage.
    fn validate(&mut self) -> bool {
        let (project, kind) = self.place();
        if kind == Kind::Gate {
            return self.next_unit();
        }
        let main = self.state.projects[project].main;
        let was_reserved = self.state.sessions[self.index].was_reserved;
        if main & bit(self.pr()) != 0 {
            return self.is_merged_already(was_reserved);
        }
        if main != self.state.sessions[self.index].base {
            return self.plan_again();
        }
        let there = &self.state.projects[project];
        if there.prod == self.target() && there.finalized {
            // An empty plan: an earlier try applied it.
            if !self.scenario.guards.adopts_apply {
                self.free_everything(was_reserved);
                return self.end(Disposition::Delayed);
            }
            self.state.sessions[self.index].keep = was_reserved;
            return self.go(Step::Merge);
        }
        self.reserve(project) && self.next_unit()
    }

    fn is_merged_already(&mut self, was_reserved: bool) -> bool {
        if !self.scenario.guards.knows_own_merge {
            self.state.slandered = true;
        }
        self.free_everything(was_reserved);
        self.go(Step::Settle)
    }

    /// A base that moved, or a conflict: planned again, then given up.
    pub fn plan_again(&mut self) -> bool {
        if self.state.sessions[self.index].plans >= MOST_PLANS {
            self.refuse();
            return true;
        }
        let project = self.place().0;
        let mut only_snapshot = [false; 3];
        only_snapshot[SNAPSHOT] = true;
        self.free_some(project, only_snapshot);
        self.plan();
        true
    }

    /// A no that people see. What was reserved stays so.
    pub fn refuse(&mut self) {
        self.state.refused |= bit(self.pr());
        let was_reserved = self.state.sessions[self.index].was_reserved;
        self.free_everything(was_reserved);
        self.go(Step::Settle);
    }

    fn reserve(&mut self, project: usize) -> bool {
        let confirmed = self.scenario.guards.reservation_first;
        let session = &mut self.state.sessions[self.index];
        session.keep = true;
        if !confirmed || !self.scenario.guards.environment_lease {
            return true;
        }
        if session.is_cut || !session.owns[PROD] {
            return false;
        }
        super::store::tell(&mut self.state, self.scenario, (self.index, project));
        true
    }

    /// Merged already: frees what is kept for this pull request, and looks at prod.
    fn resumed(&mut self) -> bool {
        let project = self.place().0;
        if self.state.projects[project].keys[PROD].is_kept_for(self.pr()) {
            return match self.ask(PROD) {
                Answer::Granted(_) => {
                    self.free_everything(false);
                    true
                }
                Answer::Busy | Answer::Reserved => self.end(Disposition::Delayed),
            };
        }
        self.go(Step::Settle)
    }

    pub fn free_everything(&mut self, keep: bool) -> bool {
        let place = (self.index, self.place().0);
        release(&mut self.state, self.scenario, place, keep)
    }

    pub fn free_some(&mut self, project: usize, keys: [bool; 3]) {
        let session = &mut self.state.sessions[self.index];
        let (has, owns) = (session.has, session.owns);
        let only = |all: [bool; 3], wanted: bool| {
            let mut some = all;
            some.iter_mut().zip(keys).for_each(|(one, key)| *one &= key == wanted);
            some
        };
        (session.has, session.owns) = (only(has, true), only(owns, true));
        release(&mut self.state, self.scenario, (self.index, project), false);
        let session = &mut self.state.sessions[self.index];
        (session.has, session.owns) = (only(has, false), only(owns, false));
    }

    pub fn end(&mut self, disposition: Disposition) -> bool {
        settle(&mut self.state, self.scenario, self.index, disposition);
        true
    }

    pub fn go(&mut self, step: Step) -> bool {
        self.state.sessions[self.index].step = step;
        true
    }

    fn job(&self) -> usize {
        self.state.sessions[self.index].job()
    }

    pub fn pr(&self) -> u8 {
        self.state.sessions[self.index].message.job
    }

    pub fn place(&self) -> (usize, Kind) {
        self.scenario.of(self.job())
    }

    /// What the plan in hand makes of prod.
    pub fn target(&self) -> u8 {
        self.state.sessions[self.index].base | bit(self.pr())
    }

    fn target_now(&self) -> u8 {
        self.state.projects[self.place().0].main | bit(self.pr())
    }
}
