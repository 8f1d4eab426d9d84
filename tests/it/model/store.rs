//! The lease store and time: `src/lease/memory.rs`, `src/lease/hold.rs` and the Redis scripts.
//!
//! Owns what acquire, release, renewal, expiry and the loss of all data do to the keys.

use super::guards::{FENCE_AFTER, LOCK_DELAY, TTL};
use super::scenario::Scenario;
use super::state::{Key, PROD, Session, State, Stopped};

/// What the store answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Granted; whether it had been reserved.
    Granted(bool),
    /// Held, resting, or nobody can say.
    Busy,
    /// Kept for another pull request.
    Reserved,
}

/// `acquire` of one key for the session at `index`. The session must not be cut off.
pub fn acquire(state: &mut State, scenario: &Scenario, (index, project, key): Place) -> Answer {
    let session = &mut state.sessions[index];
    let pr = session.message.job;
    if state.frozen > 0 {
        return Answer::Busy;
    }
    let tenancy = &mut state.projects[project].keys[key];
    let was_reserved = match *tenancy {
        Key::Free => false,
        Key::Reserved { pr: owner } if owner == pr => true,
        Key::Reserved { .. } => return Answer::Reserved,
        Key::Held { .. } | Key::Resting { .. } => return Answer::Busy,
    };
    *tenancy = Key::Held { left: TTL, keep: was_reserved && scenario.guards.reservation, pr };
    (session.has[key], session.owns[key]) = (true, true);
    session.age = 0;
    Answer::Granted(was_reserved)
}

/// The session at an index, its project, and a key of that.
pub type Place = (usize, usize, usize);

/// `release` of every key that the session thinks it has. `keep` is for prod; what cannot be told
/// to the store expires there. Whether the store has confirmed it.
pub fn release(
    state: &mut State,
    scenario: &Scenario,
    (index, project): (usize, usize),
    keep: bool,
) -> bool {
    let session = &mut state.sessions[index];
    let (has, owns) = (std::mem::take(&mut session.has), std::mem::take(&mut session.owns));
    if session.is_cut {
        return false;
    }
    let pr = session.message.job;
    for key in (0..has.len()).filter(|key| has[*key]) {
        let tenancy = &mut state.projects[project].keys[key];
        if owns[key] {
            *tenancy = Key::afterwards(keep && key == PROD, pr);
        } else if !scenario.guards.owner_check {
            *tenancy = Key::Free;
            for other in &mut state.sessions {
                other.owns[key] = false;
            }
        }
    }
    wake(state);
    has == owns
}

/// The PUBLISH of a release: whoever waits asks again.
fn wake(state: &mut State) {
    for session in &mut state.sessions {
        session.asleep = false;
    }
}

/// `renew`: tells the store how prod is to be given back.
pub fn tell(state: &mut State, scenario: &Scenario, (index, project): (usize, usize)) {
    let session = &state.sessions[index];
    if let Key::Held { keep, .. } = &mut state.projects[project].keys[PROD]
        && session.owns[PROD]
    {
        *keep = session.keep && scenario.guards.reservation;
    }
}

/// Restarted empty: whatever was known is gone.
pub fn lose_everything(state: &mut State, scenario: &Scenario) {
    for project in &mut state.projects {
        project.keys = [Key::Free; 3];
    }
    for session in &mut state.sessions {
        session.owns = [false; 3];
    }
    state.frozen = if scenario.guards.boot_marker { TTL + LOCK_DELAY } else { 0 };
}

/// Whether the worker must stop before time goes on: it was told, or its own clock says so.
pub fn must_fence(session: &Session, scenario: &Scenario) -> bool {
    let too_old = scenario.guards.self_fence && session.age >= FENCE_AFTER;
    // A request that is on its way, and an end, cannot be taken back.
    let at_work = !matches!(session.step, super::state::Step::MergeSent)
        && !matches!(session.step, super::state::Step::Release | super::state::Step::Settle);
    session.runs() && session.has_leases() && at_work && (session.told_lost || too_old)
}

/// Whether the bridge ends by itself before time goes on.
pub fn bridge_gives_up(session: &Session, scenario: &Scenario) -> bool {
    session.stopped == Stopped::Worker
        && session.writing.is_some()
        && scenario.guards.bridge_deadline
        && session.age >= FENCE_AFTER
}

/// One unit of time. Workers that run and reach the store have renewed meanwhile.
pub fn tick(state: &mut State, scenario: &Scenario) {
    let projects: Vec<usize> = state.sessions.iter().map(|s| scenario.of(s.job()).0).collect();
    state.frozen = state.frozen.saturating_sub(1);
    let mut renewed = Vec::new();
    for (index, session) in state.sessions.iter_mut().enumerate() {
        if !session.has_leases() {
            continue;
        }
        session.age = (session.age + 1).min(FENCE_AFTER + 1);
        let answers = session.runs() && !session.is_cut;
        if answers && session.has == session.owns {
            session.age = 0;
            renewed.push(index);
        } else if answers {
            session.told_lost = true;
        }
    }
    for index in &renewed {
        let (project, owns) = (projects[*index], state.sessions[*index].owns);
        for (tenancy, _) in state.projects[project].keys.iter_mut().zip(owns).filter(|(_, o)| *o) {
            if let Key::Held { left, .. } = tenancy {
                *left = TTL + 1;
            }
        }
        tell(state, scenario, (*index, project));
    }
    for index in 0..state.projects.len() {
        for key in 0..3 {
            let lingering = &mut state.projects[index].lingering[key];
            *lingering = lingering.saturating_sub(1);
            if expire(&mut state.projects[index].keys[key], scenario) {
                let here = state.sessions.iter_mut().zip(&projects).filter(|(_, p)| **p == index);
                here.for_each(|(session, _)| session.owns[key] = false);
            }
        }
    }
}

/// Lets time go on for one key; whether its holder has lost it.
fn expire(tenancy: &mut Key, scenario: &Scenario) -> bool {
    match tenancy {
        Key::Held { left, keep, pr } => {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            *tenancy = if scenario.guards.lock_delay {
                Key::Resting { left: LOCK_DELAY, keep: *keep, pr: *pr }
            } else {
                Key::afterwards(*keep, *pr)
            };
            true
        }
        Key::Resting { left, keep, pr } => {
            *left -= 1;
            if *left == 0 {
                *tenancy = Key::afterwards(*keep, *pr);
            }
            false
        }
        Key::Free | Key::Reserved { .. } => false,
    }
}
