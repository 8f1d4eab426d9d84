//! What protects, each of which can be switched off; and how long things take.
//!
//! Owns the list that the table test goes through.

/// Abstract time: one unit is what real timings guarantee to lie between two events. See the module
/// for the constraints that tie them to seconds.
pub const FENCE_AFTER: u8 = 1;
pub const TTL: u8 = 2;
pub const LOCK_DELAY: u8 = 1;
/// A statement outlives its killed client at most this long.
pub const LINGERS: u8 = 2;
/// Workers with one slot each.
pub const WORKERS: usize = 3;

/// `true`: the guard is in place.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// A deploy asks for its environment's lease at all.
    pub environment_lease: bool,
    /// An apply asks for the snapshot versions that it builds.
    pub snapshot_leases: bool,
    /// A lease that was lost rests before it is given again.
    pub lock_delay: bool,
    /// A worker that could not renew in time kills its bridge.
    pub self_fence: bool,
    /// That time counts from the sending of the renewal, not from its answer.
    pub counts_from_sending: bool,
    /// The bridge asks before each stage whether the lease stands.
    pub fence_before_stage: bool,
    /// The bridge checks before each stage that prod is where the plan was made.
    pub plan_check: bool,
    /// The bridge ends by itself when its worker has been silent for as long as the fence takes.
    pub bridge_deadline: bool,
    /// A store that lost its data grants nothing for TTL + lock-delay.
    pub boot_marker: bool,
    /// The store compares nonce and epoch before it frees a lease.
    pub owner_check: bool,
    /// Prod is kept for its pull request between apply and merge.
    pub reservation: bool,
    /// The store has confirmed that before the first stage.
    pub reservation_first: bool,
    /// A plan that would take back what prod runs is not the one that people saw: refused.
    pub preview: bool,
    /// A deploy is done only once the store has confirmed that prod is nobody's.
    pub release_confirmed: bool,
    /// One consumer of a deploy queue at a time.
    pub single_active_consumer: bool,
    /// What a lost worker had in hand comes back.
    pub redelivery: bool,
    /// A message is settled after its job has ended.
    pub settles_last: bool,
    /// An empty plan is success.
    pub adopts_apply: bool,
    /// A pull request that is merged already counts as merged.
    pub adopts_merge: bool,
    /// Who waits asks again when nobody wakes it.
    pub asks_again: bool,
    /// A reservation for somebody else is not waited for.
    pub steps_aside: bool,
    /// What is retried comes back.
    pub retries_return: bool,
    /// A copy that finds its pull request merged and prod at it says so, and not "refused".
    pub knows_own_merge: bool,
}

impl Guards {
    pub const ALL: Self = Self {
        environment_lease: true,
        snapshot_leases: true,
        lock_delay: true,
        self_fence: true,
        counts_from_sending: true,
        fence_before_stage: true,
        plan_check: true,
        bridge_deadline: true,
        boot_marker: true,
        owner_check: true,
        reservation: true,
        reservation_first: true,
        preview: true,
        release_confirmed: true,
        single_active_consumer: true,
        redelivery: true,
        settles_last: true,
        adopts_apply: true,
        adopts_merge: true,
        asks_again: true,
        steps_aside: true,
        retries_return: true,
        knows_own_merge: true,
    };
}
