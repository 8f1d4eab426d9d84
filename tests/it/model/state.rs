//! What the model remembers: projects with their queue, leases, prod and main; and sessions, each
//! of which is one worker with one job in hand.
//!
//! Owns the words. Refuses to know what may happen next. Idle workers are alike and have no state;
//! sessions are kept sorted, so that states that differ only in which worker is which are one.

/// A set of pull requests, one bit each.
pub type Prs = u8;

pub const PROD: usize = 0;
pub const SNAPSHOT: usize = 1;
pub const PR_ENVIRONMENT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Deploy,
    /// A gate check that syncs a pull request's environment.
    Gate,
}

/// A job that was published and confirmed. Its pull request is its number.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub project: usize,
    pub kind: Kind,
    /// Its plan builds the snapshot version that all jobs of the project share, if it is missing.
    pub builds: bool,
    /// How many messages it is (a publisher that retried).
    pub copies: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    pub projects: Vec<Project>,
    pub sessions: Vec<Session>,
    /// For how long a store that has lost its data grants nothing.
    pub frozen: u8,
    pub faults: Faults,
    /// Messages that were settled, by job.
    pub settled: Vec<u8>,
    /// Deploys that have had prod.
    pub started: Prs,
    /// Deploys whose place in the order is gone: delayed, or taken from their worker.
    pub bent: Prs,
    /// Deploys that ended in a no: nobody is sure what prod would become.
    pub refused: Prs,
    /// A deploy started before an earlier one whose place was not gone.
    pub disorder: bool,
    /// Prod lost a change that it ran.
    pub reverted: bool,
    /// A stage began for a plan that prod had left behind.
    pub outdated: bool,
    /// A pull request that was deployed was shown as refused in the end.
    pub slandered: bool,
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Faults {
    /// `kill -9` of a worker.
    pub crashes: u8,
    /// SIGSTOP of a worker alone: its bridge goes on until it asks something.
    pub pauses: u8,
    /// A worker and its bridge stopped together, between two units of work of the bridge.
    pub suspensions: u8,
    /// The same at any moment, also in the middle of a unit.
    pub deep_suspensions: u8,
    /// A worker that does not reach Redis.
    pub cuts: u8,
    /// Redis restarted empty.
    pub redis_losses: u8,
    /// The broker takes a delivery back while its job runs (consumer timeout, lost connection).
    pub timeouts: u8,
    /// The active consumer is cancelled with a job in hand.
    pub cancels: u8,
    /// GitHub refuses a merge.
    pub merge_refusals: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Project {
    /// Ready messages, the next one first: deploys, gates.
    pub ready: [Vec<Message>; 2],
    /// Jobs that come back at the tail.
    pub delayed: Vec<u8>,
    pub keys: [Key; 3],
    /// For how long a statement whose client was killed may go on, by what it writes.
    pub lingering: [u8; 3],
    pub main: Prs,
    pub prod: Prs,
    pub finalized: bool,
    /// The shared snapshot version is there.
    pub built: bool,
    /// Pull requests whose environment stands.
    pub synced: Prs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    /// Its place.
    pub rank: u8,
    pub job: u8,
}

/// What the store says of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Free,
    /// Who holds it is noted at the session, which may be gone. `keep`: reserved when it is lost.
    Held {
        left: u8,
        keep: bool,
        pr: u8,
    },
    Resting {
        left: u8,
        keep: bool,
        pr: u8,
    },
    Reserved {
        pr: u8,
    },
}

impl Key {
    /// Whether it is kept for this pull request, or will be: `clear::prod_is_kept`.
    pub fn is_kept_for(self, asker: u8) -> bool {
        match self {
            Self::Free => false,
            Self::Held { keep, pr, .. } | Self::Resting { keep, pr, .. } => keep && pr == asker,
            Self::Reserved { pr } => pr == asker,
        }
    }

    /// What it is once its holder is lost and the lock-delay is over.
    pub fn afterwards(keep: bool, pr: u8) -> Self {
        if keep { Self::Reserved { pr } } else { Self::Free }
    }
}

/// A worker with one job in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session {
    pub message: Message,
    /// The broker still counts the delivery as its.
    pub has_delivery: bool,
    /// Its consumer is the active one of its queue.
    pub is_active: bool,
    pub step: Step,
    /// Leases that it thinks it has.
    pub has: [bool; 3],
    /// Leases that the store thinks it has: nonce and epoch are the same there and here.
    pub owns: [bool; 3],
    /// Since the sending of the last renewal that succeeded.
    pub age: u8,
    /// The store has said that a lease is lost.
    pub told_lost: bool,
    /// Prod was reserved for this pull request when it was taken.
    pub was_reserved: bool,
    /// How it means to give prod back.
    pub keep: bool,
    /// What main had when it planned.
    pub base: Prs,
    /// The plan builds the snapshot version.
    pub builds: bool,
    /// Prod changed since the plan: it is not at `previous_plan_id` any more.
    pub is_stale: bool,
    pub plans: u8,
    /// What the bridge writes just now.
    pub writing: Option<usize>,
    pub stopped: Stopped,
    pub is_cut: bool,
    /// Waits, and asks no more by itself (only without the guard `asks_again`).
    pub asleep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stopped {
    No,
    Worker,
    WorkerAndBridge,
}

/// What a session does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Reads the facts.
    Clear,
    /// Asks for the environment's lease, and plans once it has it.
    Environment,
    /// Asks for the snapshot versions that the plan builds.
    Snapshot,
    /// Reads all facts again and issues the ticket; prod is reserved.
    Validate,
    /// One unit of the apply: the backfill, the promotion, the finalization.
    Build,
    Promote,
    Finalize,
    /// Looks whether the lease stands, and sends the merge.
    Merge,
    /// The request is on its way, and arrives whatever becomes of its sender.
    MergeSent,
    /// The work is over: gives the leases back.
    Release,
    /// Says what becomes of the message.
    Settle,
    /// The pull request was merged before this try began.
    Resumed,
}

impl Session {
    /// One that has just been handed its job.
    pub fn new(message: Message) -> Self {
        Self {
            message,
            has_delivery: true,
            is_active: true,
            step: Step::Clear,
            has: [false; 3],
            owns: [false; 3],
            age: 0,
            told_lost: false,
            was_reserved: false,
            keep: false,
            base: 0,
            builds: false,
            is_stale: false,
            plans: 0,
            writing: None,
            stopped: Stopped::No,
            is_cut: false,
            asleep: false,
        }
    }

    pub fn runs(&self) -> bool {
        self.stopped == Stopped::No
    }

    pub fn has_leases(&self) -> bool {
        self.has.contains(&true)
    }

    pub fn job(&self) -> usize {
        usize::from(self.message.job)
    }
}

/// The bit of a pull request.
pub fn bit(pr: u8) -> Prs {
    1 << pr
}

impl Session {
    /// Whether its bridge is not stopped.
    pub fn bridge_runs(&self) -> bool {
        self.stopped != Stopped::WorkerAndBridge
    }
}
