//! A history for people: what happened, and what it led to.

use std::fmt::Write;

use stateright::Path;

use super::machine::Happening;
use super::state::{Session, State};

/// One line for each happening.
pub fn of(path: Path<State, Happening>) -> String {
    let steps = path.into_vec();
    let mut text = String::new();
    for window in steps.windows(2) {
        let [(before, happening), (after, _)] = window else { continue };
        let happening = happening.map(|happening| told(before, happening)).unwrap_or_default();
        let _ = writeln!(text, "      {happening:<34} {}", standing(after));
    }
    text
}

/// What happened, and to which pull request.
fn told(before: &State, happening: Happening) -> String {
    let who = |index: usize| {
        let session = &before.sessions[index];
        format!("#{} at {:?}", session.message.job, session.step)
    };
    match happening {
        Happening::Step(index) => format!("{} goes on", who(index)),
        Happening::UnitEnds(index) => format!("{} has written", who(index)),
        Happening::Renews(index) => format!("{} renews", who(index)),
        Happening::Fences(index, effect) => format!("{} fences, effect {effect}", who(index)),
        Happening::BridgeGivesUp(index, _) => format!("{} bridge gives up", who(index)),
        Happening::Continues(index) => format!("{} continues", who(index)),
        Happening::Heals(index) => format!("{} reaches Redis again", who(index)),
        Happening::Crash(index, effect) => format!("{} is killed, effect {effect}", who(index)),
        Happening::Stop(index, what) => format!("{} is stopped: {what:?}", who(index)),
        Happening::Cut(index) => format!("{} is cut off from Redis", who(index)),
        Happening::TakenBack(index) => format!("{} loses its delivery", who(index)),
        Happening::Cancel(index) => format!("{} loses its consumer", who(index)),
        Happening::MergeRefused(index) => format!("{} is refused", who(index)),
        Happening::Deliver(..)
        | Happening::ComesBack(..)
        | Happening::Tick
        | Happening::RedisLoss => format!("{happening:?}"),
    }
}

fn standing(state: &State) -> String {
    let mut text = String::new();
    for there in &state.projects {
        let [prod, snapshot, _] = there.keys;
        let _ = write!(text, "prod {prod:?}, snapshot {snapshot:?}, ");
        let _ = write!(text, "main {:02b}, runs {:02b}; ", there.main, there.prod);
    }
    text + &state.sessions.iter().map(session).collect::<Vec<_>>().join(", ")
}

fn session(session: &Session) -> String {
    let writes = session.writing.map_or("", |_| " writing");
    format!("#{}@{:?}{writes} age {}", session.message.job, session.step, session.age)
}
