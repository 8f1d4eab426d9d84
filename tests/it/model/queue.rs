//! The queues: `src/queue/mod.rs` and DESIGN section 5. At least once, first in first out for
//! deploys, one active consumer for each of their queues.
//!
//! Owns where a message is. Refuses to know what its job does.

use super::guards::WORKERS;
use super::scenario::Scenario;
use super::state::{Kind, Message, Session, State, bit};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Done,
    /// `Later` and `Retry`: back at the tail after a while.
    Delayed,
    /// Back at its place.
    Requeue,
}

/// Hands the next message of a queue to an idle worker.
pub fn deliver(
    scenario: &Scenario,
    state: &State,
    (project, kind): (usize, Kind),
) -> Option<State> {
    let is_taken = |session: &Session| {
        session.is_active && scenario.of(session.job()) == (project, Kind::Deploy)
    };
    let is_ordered = kind == Kind::Deploy && scenario.guards.single_active_consumer;
    if state.sessions.len() >= WORKERS || (is_ordered && state.sessions.iter().any(is_taken)) {
        return None;
    }
    let mut next = state.clone();
    let line = &mut next.projects[project].ready[kind as usize];
    if line.is_empty() {
        return None;
    }
    let mut session = Session::new(line.remove(0));
    if !scenario.guards.settles_last {
        session.has_delivery = false;
        next.settled[session.job()] += 1;
    }
    next.sessions.push(session);
    Some(next)
}

/// Brings a delayed message back at the tail.
pub fn come_back(scenario: &Scenario, state: &mut State, (project, job): (usize, u8)) {
    let kind = scenario.of(usize::from(job)).1;
    let delayed = &mut state.projects[project].delayed;
    if let Some(place) = delayed.iter().position(|other| *other == job) {
        delayed.remove(place);
    }
    let message = Message { rank: u8::MAX, job };
    state.projects[project].ready[kind as usize].push(message);
}

/// Takes the delivery of a session back to its place.
pub fn take_back(scenario: &Scenario, state: &mut State, index: usize) {
    let session = &mut state.sessions[index];
    let message = session.message;
    (session.has_delivery, session.is_active) = (false, false);
    bend(state, message.job);
    put_back(scenario, state, message);
}

fn put_back(scenario: &Scenario, state: &mut State, message: Message) {
    let (project, kind) = scenario.of(usize::from(message.job));
    let line = &mut state.projects[project].ready[kind as usize];
    let place = line.partition_point(|other| other.rank <= message.rank);
    line.insert(place, message);
}

/// From here on the order promises nothing for this job.
pub fn bend(state: &mut State, job: u8) {
    if state.started & bit(job) == 0 {
        state.bent |= bit(job);
    }
}

/// Ends a session and settles its message, if that is still its.
pub fn settle(state: &mut State, scenario: &Scenario, index: usize, disposition: Disposition) {
    let session = state.sessions.remove(index);
    if !session.has_delivery {
        return;
    }
    match disposition {
        Disposition::Done => state.settled[session.job()] += 1,
        Disposition::Delayed => {
            bend(state, session.message.job);
            if scenario.guards.retries_return {
                let project = scenario.of(session.job()).0;
                let delayed = &mut state.projects[project].delayed;
                delayed.push(session.message.job);
                delayed.sort_unstable();
            }
        }
        Disposition::Requeue => put_back(scenario, state, session.message),
    }
}

/// The worker is gone: the broker gives its message to somebody else.
pub fn lost(state: &mut State, scenario: &Scenario, index: usize) {
    let session = state.sessions.remove(index);
    if session.has_delivery && scenario.guards.redelivery {
        put_back(scenario, state, session.message);
    }
}
