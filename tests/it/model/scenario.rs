//! What is checked at once: some jobs, what may go wrong, and the guards that are in place.

use std::collections::HashSet;
use std::sync::Mutex;

use super::guards::Guards;
use super::state::{Faults, Job, Key, Kind, Message, Project, State};

/// A model, ready to be checked.
pub struct Scenario {
    pub jobs: Vec<Job>,
    pub faults: Faults,
    pub guards: Guards,
    /// States from which the jobs are known to end, so that each is followed once.
    pub ending: Mutex<HashSet<u64>>,
}

impl Scenario {
    pub fn new(jobs: &[Job], faults: Faults, guards: Guards) -> Self {
        Self { jobs: jobs.to_vec(), faults, guards, ending: Mutex::default() }
    }

    /// The project and the kind of a job.
    pub fn of(&self, job: usize) -> (usize, Kind) {
        (self.jobs[job].project, self.jobs[job].kind)
    }

    /// Everything is published, nothing has begun.
    pub fn start(&self) -> State {
        let projects = self.jobs.iter().map(|job| job.project).max().unwrap_or(0) + 1;
        State {
            projects: (0..projects).map(|project| self.project(project)).collect(),
            sessions: Vec::new(),
            frozen: 0,
            faults: self.faults,
            settled: vec![0; self.jobs.len()],
            started: 0,
            bent: 0,
            refused: 0,
            disorder: false,
            reverted: false,
            outdated: false,
            slandered: false,
        }
    }

    fn project(&self, project: usize) -> Project {
        let mut ready = [Vec::new(), Vec::new()];
        for (number, job) in (0_u8..).zip(&self.jobs).filter(|(_, job)| job.project == project) {
            for _ in 0..job.copies {
                let line: &mut Vec<Message> = &mut ready[job.kind as usize];
                line.push(Message { rank: 0, job: number });
            }
        }
        for line in &mut ready {
            (0_u8..).zip(line).for_each(|(rank, message)| message.rank = rank);
        }
        Project {
            ready,
            delayed: Vec::new(),
            keys: [Key::Free; 3],
            lingering: [0; 3],
            main: 0,
            prod: 0,
            finalized: true,
            built: false,
            synced: 0,
        }
    }

    /// One form for states that differ only in which worker is which, or in how places are counted.
    pub fn canonical(&self, mut state: State) -> State {
        for project in 0..state.projects.len() {
            for kind in [Kind::Deploy, Kind::Gate] {
                self.count_places_anew(&mut state, (project, kind));
            }
        }
        state.sessions.sort_unstable();
        state
    }

    fn count_places_anew(&self, state: &mut State, line: (usize, Kind)) {
        let ready = &mut state.projects[line.0].ready[line.1 as usize];
        let in_hand = state.sessions.iter_mut().filter(|session| self.of(session.job()) == line);
        let mut messages: Vec<&mut Message> = in_hand.map(|s| &mut s.message).collect();
        messages.extend(ready.iter_mut());
        messages.sort_by_key(|message| message.rank);
        let (mut next, mut last) = (0, None);
        for message in messages {
            if last.is_some_and(|last| last != message.rank) {
                next += 1;
            }
            last = Some(message.rank);
            message.rank = next;
        }
    }
}
