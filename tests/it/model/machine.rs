//! The model as `stateright` sees it: what may happen next, what goes wrong, what must hold.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

use stateright::{Model, Property};

use super::guards::LINGERS;
use super::queue::{self, Disposition};
use super::scenario::Scenario;
use super::state::{Faults, Key, Kind, PROD, State, Step, Stopped};
use super::{store, worker};

pub const ONE_WRITER: &str = "I1 one writer of each environment and snapshot version";
pub const KEEPS_PROD: &str = "prod loses nothing between apply and merge";
pub const UP_TO_DATE: &str = "no stage begins for a plan that prod has left behind";
pub const NEVER_LOST: &str = "I4 a confirmed job is never lost";
pub const IN_ORDER: &str = "I6 deploys start in the order queued";
pub const GOES_ON: &str = "I7 every job ends without a manual action";
pub const AGREES: &str = "when all jobs have ended prod and main agree";
pub const TOLD_RIGHT: &str = "I5 what was deployed is not shown as refused";

/// What may happen. Sessions and projects are named by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    Deliver(usize, Kind),
    ComesBack(usize, u8),
    Step(usize),
    UnitEnds(usize),
    /// The store learns how prod is to be given back.
    Renews(usize),
    /// The worker kills its bridge; `true`: what that wrote takes effect all the same.
    Fences(usize, bool),
    BridgeGivesUp(usize, bool),
    Continues(usize),
    Heals(usize),
    Tick,
    Crash(usize, bool),
    Stop(usize, Stopped),
    Cut(usize),
    RedisLoss,
    TakenBack(usize),
    Cancel(usize),
    MergeRefused(usize),
}

impl Model for Scenario {
    type State = State;
    type Action = Happening;

    fn init_states(&self) -> Vec<State> {
        vec![self.canonical(self.start())]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Happening>) {
        progress(self, state, actions);
        faults(state, actions);
    }

    fn next_state(&self, before: &State, happening: Happening) -> Option<State> {
        let after = self.canonical(self.after(before, happening)?);
        (after != *before).then_some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_WRITER, |scenario, state| scenario.most_writers(state) <= 1),
            Property::always(KEEPS_PROD, |_, state: &State| !state.reverted),
            Property::always(UP_TO_DATE, |_, state: &State| !state.outdated),
            Property::always(NEVER_LOST, Scenario::has_all_messages),
            Property::always(IN_ORDER, |_, state: &State| !state.disorder),
            Property::always(TOLD_RIGHT, |_, state: &State| !state.slandered),
            Property::always(AGREES, |scenario, state| {
                !scenario.all_settled(state) || state.projects.iter().all(|p| p.prod == p.main)
            }),
            Property::always(GOES_ON, Scenario::ends),
        ]
    }
}

/// What goes on by itself.
fn progress(scenario: &Scenario, state: &State, actions: &mut Vec<Happening>) {
    for (index, session) in state.sessions.iter().enumerate() {
        let mut may = |is: bool, happening| actions.extend(is.then_some(happening));
        let writes = session.writing.is_some();
        may(writes, Happening::UnitEnds(index));
        may(!writes, Happening::Step(index));
        let gives_up = store::bridge_gives_up(session, scenario);
        may(gives_up, Happening::BridgeGivesUp(index, false));
        may(gives_up, Happening::BridgeGivesUp(index, true));
        let fences = store::must_fence(session, scenario);
        may(fences, Happening::Fences(index, false));
        may(fences && writes, Happening::Fences(index, true));
        let hears = session.runs() && !session.is_cut && session.owns[PROD];
        may(hears && session.keep, Happening::Renews(index));
        may(!session.runs(), Happening::Continues(index));
        may(session.is_cut, Happening::Heals(index));
    }
    actions.push(Happening::Tick);
    for (project, there) in state.projects.iter().enumerate() {
        actions.extend(there.delayed.iter().map(|job| Happening::ComesBack(project, *job)));
    }
    for (project, there) in state.projects.iter().enumerate() {
        for kind in [Kind::Deploy, Kind::Gate] {
            let any = !there.ready[kind as usize].is_empty();
            actions.extend(any.then_some(Happening::Deliver(project, kind)));
        }
    }
}

fn faults(state: &State, actions: &mut Vec<Happening>) {
    let left = &state.faults;
    for (index, session) in state.sessions.iter().enumerate() {
        let at_work = session.has_leases() || session.writing.is_some();
        let mut may = |budget: u8, happening| actions.extend((budget > 0).then_some(happening));
        may(left.crashes, Happening::Crash(index, false));
        may(left.crashes * u8::from(session.writing.is_some()), Happening::Crash(index, true));
        if session.runs() {
            may(left.pauses, Happening::Stop(index, Stopped::Worker));
            let between = left.suspensions * u8::from(session.writing.is_none());
            let all = left.deep_suspensions.max(between);
            may(all, Happening::Stop(index, Stopped::WorkerAndBridge));
        }
        may(left.cuts * u8::from(at_work && !session.is_cut), Happening::Cut(index));
        // The broker hears nothing of a worker that is stopped.
        let silent = u8::from(!session.runs());
        let held = u8::from(session.has_delivery);
        may((left.timeouts + silent) * held, Happening::TakenBack(index));
        may(left.cancels * u8::from(session.is_active), Happening::Cancel(index));
        let asks = u8::from(session.step == Step::MergeSent);
        may(left.merge_refusals * asks, Happening::MergeRefused(index));
    }
    if left.redis_losses > 0 {
        actions.push(Happening::RedisLoss);
    }
}

impl Scenario {
    fn after(&self, before: &State, happening: Happening) -> Option<State> {
        match happening {
            Happening::Deliver(project, kind) => queue::deliver(self, before, (project, kind)),
            Happening::Step(index) => worker::step(self, before, index),
            Happening::UnitEnds(index) => worker::end_unit(self, before, index),
            other => self.changed(before, other),
        }
    }

    fn changed(&self, before: &State, happening: Happening) -> Option<State> {
        if happening == Happening::Tick && self.must_act_first(before) {
            return None;
        }
        let mut next = before.clone();
        match happening {
            Happening::ComesBack(project, job) => queue::come_back(self, &mut next, (project, job)),
            Happening::Renews(index) => {
                let project = self.of(before.sessions[index].job()).0;
                store::tell(&mut next, self, (index, project));
            }
            Happening::Fences(index, takes_effect) => {
                self.kill_bridge(&mut next, index, takes_effect);
                queue::settle(&mut next, self, index, Disposition::Requeue);
            }
            Happening::BridgeGivesUp(index, takes_effect) => {
                self.kill_bridge(&mut next, index, takes_effect);
                next.sessions[index].told_lost = true;
            }
            Happening::Continues(index) => {
                let session = &mut next.sessions[index];
                let slept = std::mem::replace(&mut session.stopped, Stopped::No) != Stopped::No;
                if slept && !self.guards.counts_from_sending {
                    // The answer to the renewal that was sent before the stop counts from now.
                    session.age = 0;
                }
            }
            Happening::Heals(index) => next.sessions[index].is_cut = false,
            Happening::Tick => store::tick(&mut next, self),
            fault => self.go_wrong(&mut next, fault),
        }
        Some(next)
    }

    /// Time stands still until whoever must fence has done so.
    fn must_act_first(&self, state: &State) -> bool {
        state.sessions.iter().any(|session| {
            store::must_fence(session, self) || store::bridge_gives_up(session, self)
        })
    }

    fn go_wrong(&self, next: &mut State, fault: Happening) {
        let take = |budget: &mut u8| *budget = budget.saturating_sub(1);
        match fault {
            Happening::Crash(index, takes_effect) => {
                take(&mut next.faults.crashes);
                self.kill_bridge(next, index, takes_effect);
                queue::lost(next, self, index);
            }
            Happening::Stop(index, stopped) => {
                let left = &mut next.faults;
                let budget = match stopped {
                    Stopped::Worker | Stopped::No => &mut left.pauses,
                    Stopped::WorkerAndBridge if left.suspensions > 0 => &mut left.suspensions,
                    Stopped::WorkerAndBridge => &mut left.deep_suspensions,
                };
                take(budget);
                next.sessions[index].stopped = stopped;
            }
            Happening::Cut(index) => {
                take(&mut next.faults.cuts);
                next.sessions[index].is_cut = true;
            }
            Happening::RedisLoss => {
                take(&mut next.faults.redis_losses);
                store::lose_everything(next, self);
            }
            Happening::TakenBack(index) => {
                if next.sessions[index].runs() {
                    take(&mut next.faults.timeouts);
                }
                queue::take_back(self, next, index);
            }
            Happening::Cancel(index) => {
                take(&mut next.faults.cancels);
                next.sessions[index].is_active = false;
                queue::bend(next, next.sessions[index].message.job);
            }
            Happening::MergeRefused(index) => {
                take(&mut next.faults.merge_refusals);
                let project = self.of(next.sessions[index].job()).0;
                store::release(next, self, (index, project), self.guards.reservation);
                queue::settle(next, self, index, Disposition::Delayed);
            }
            _ => {}
        }
    }

    /// Kills the bridge. A statement that runs in the warehouse goes on for a while.
    fn kill_bridge(&self, state: &mut State, index: usize, takes_effect: bool) {
        let project = self.of(state.sessions[index].job()).0;
        let Some(key) = state.sessions[index].writing else { return };
        if takes_effect {
            worker::take_effect(self, state, index);
        }
        state.projects[project].lingering[key] = LINGERS;
        state.sessions[index].writing = None;
    }

    /// How many write the same thing at most: bridges that run, and statements that outlive theirs.
    fn most_writers(&self, state: &State) -> usize {
        let count = |project: usize, key: usize| {
            let writes = state.sessions.iter().filter(|session| {
                let here = self.of(session.job()).0 == project;
                here && session.writing == Some(key) && session.bridge_runs()
            });
            // Each pull request has an environment of its own.
            let writers = writes.count();
            usize::from(state.projects[project].lingering[key] > 0) + writers
        };
        let projects = 0..state.projects.len();
        projects.flat_map(|project| [0, 1].map(|key| count(project, key))).max().unwrap_or(0)
    }

    fn messages(&self, state: &State, job: u8) -> u8 {
        let there = &state.projects[self.of(usize::from(job)).0];
        let ready = there.ready.iter().flatten().filter(|message| message.job == job).count();
        let delayed = there.delayed.iter().filter(|other| **other == job).count();
        let in_hand = state.sessions.iter().filter(|s| s.has_delivery && s.message.job == job);
        u8::try_from(ready + delayed + in_hand.count()).unwrap_or(u8::MAX)
    }

    fn has_all_messages(&self, state: &State) -> bool {
        let jobs = (0_u8..).zip(&self.jobs).zip(&state.settled);
        jobs.into_iter().all(|((number, job), settled)| {
            let unsettled = self.messages(state, number);
            // Settled before its end, it counts as lost when nobody works on it any more.
            let worked_on = state.sessions.iter().any(|s| s.message.job == number);
            let ended = self.has_ended(state, number) || worked_on || unsettled > 0;
            settled + unsettled >= job.copies && ended
        })
    }

    /// Whether a job has had its effect.
    fn has_ended(&self, state: &State, job: u8) -> bool {
        let (project, kind) = self.of(usize::from(job));
        let there = &state.projects[project];
        let done = if kind == Kind::Deploy { there.main } else { there.synced };
        (done | state.refused) & super::state::bit(job) != 0
    }

    fn all_settled(&self, state: &State) -> bool {
        let all = self.jobs.iter().zip(&state.settled).all(|(job, settled)| *settled == job.copies);
        all && state.sessions.is_empty()
    }

    /// Whether all jobs end when nothing more goes wrong, in one fair order of events.
    fn ends(&self, state: &State) -> bool {
        let mut state = State { faults: Faults::default(), ..state.clone() };
        let mut passed = HashSet::new();
        loop {
            let known = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
            if self.all_settled(&state) || known.contains(&print(&state)) {
                break;
            }
            drop(known);
            if !passed.insert(print(&state)) {
                return false;
            }
            let Some(next) = self.fair(&state) else { return false };
            state = next;
        }
        let known = self.ending.lock();
        known.unwrap_or_else(PoisonError::into_inner).extend(passed);
        true
    }

    /// The next thing in a fair order: whoever can work works, then jobs are handed out, then time
    /// passes as long as that changes something, then what was delayed comes back.
    fn fair(&self, state: &State) -> Option<State> {
        let mut actions = Vec::new();
        progress(self, state, &mut actions);
        let resting = state.projects.iter().flat_map(|p| p.keys);
        let time_matters = state.frozen > 0
            || resting.into_iter().any(|key| matches!(key, Key::Held { .. } | Key::Resting { .. }));
        if !time_matters {
            actions.retain(|action| *action != Happening::Tick);
        }
        actions.into_iter().find_map(|action| self.next_state(state, action))
    }
}

fn print(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
