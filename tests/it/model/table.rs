//! Each guard, what goes wrong, and the promise that breaks without it.

use super::guards::Guards;
use super::machine::{
    GOES_ON, IN_ORDER, KEEPS_PROD, NEVER_LOST, ONE_WRITER, TOLD_RIGHT, UP_TO_DATE,
};
use super::state::{Faults, Job};
use super::{NONE, TWO, WITH_A_GATE};

/// One guard.
pub struct Row {
    pub guard: &'static str,
    pub jobs: &'static [Job],
    pub faults: Faults,
    /// Takes it away, and what stands behind it, if anything does.
    pub off: fn(&mut Guards),
    /// Takes away only what stands behind it: nothing breaks.
    pub but: fn(&mut Guards),
    pub breaks: &'static str,
}

const ROW: Row =
    Row { guard: "", jobs: TWO, faults: NONE, off: |_| {}, but: |_| {}, breaks: ONE_WRITER };

pub const ROWS: &[Row] = &[
    Row {
        guard: "the environment's lease",
        faults: Faults { timeouts: 1, ..NONE },
        off: |guards| guards.environment_lease = false,
        ..ROW
    },
    Row {
        guard: "snapshot leases",
        jobs: WITH_A_GATE,
        off: |guards| guards.snapshot_leases = false,
        ..ROW
    },
    Row {
        guard: "the lock-delay",
        faults: Faults { cuts: 1, ..NONE },
        off: |guards| guards.lock_delay = false,
        ..ROW
    },
    Row {
        guard: "the self-fence",
        faults: Faults { cuts: 1, timeouts: 1, ..NONE },
        off: |guards| guards.self_fence = false,
        ..ROW
    },
    Row {
        guard: "counting from the sending",
        faults: Faults { suspensions: 1, ..NONE },
        off: |guards| guards.counts_from_sending = false,
        ..ROW
    },
    Row {
        guard: "the fence before each stage",
        faults: Faults { suspensions: 1, ..NONE },
        off: |guards| guards.fence_before_stage = false,
        ..ROW
    },
    Row {
        guard: "the comparison of plans, behind the fence",
        faults: Faults { suspensions: 1, ..NONE },
        off: |guards| (guards.fence_before_stage, guards.plan_check) = (false, false),
        but: |guards| guards.fence_before_stage = false,
        breaks: UP_TO_DATE,
        ..ROW
    },
    Row {
        guard: "the bridge's own deadline",
        faults: Faults { pauses: 1, ..NONE },
        off: |guards| guards.bridge_deadline = false,
        ..ROW
    },
    Row {
        guard: "the boot marker",
        faults: Faults { redis_losses: 1, timeouts: 1, ..NONE },
        off: |guards| guards.boot_marker = false,
        ..ROW
    },
    Row {
        guard: "nonce and epoch at the release",
        faults: Faults { suspensions: 1, cancels: 1, ..NONE },
        off: |guards| guards.owner_check = false,
        ..ROW
    },
    Row {
        guard: "the reservation between apply and merge",
        faults: Faults { merge_refusals: 1, ..NONE },
        off: |guards| (guards.reservation, guards.preview) = (false, false),
        but: |guards| guards.preview = false,
        breaks: KEEPS_PROD,
        ..ROW
    },
    Row {
        guard: "its confirmation before the first stage",
        faults: Faults { crashes: 1, cancels: 1, ..NONE },
        off: |guards| (guards.reservation_first, guards.preview) = (false, false),
        but: |guards| guards.preview = false,
        breaks: KEEPS_PROD,
        ..ROW
    },
    Row {
        guard: "the plan that people saw, when Redis forgot the reservation",
        faults: Faults { merge_refusals: 1, redis_losses: 1, ..NONE },
        off: |guards| guards.preview = false,
        breaks: KEEPS_PROD,
        ..ROW
    },
    Row {
        guard: "the confirmation that prod is nobody's",
        faults: Faults { cuts: 1, ..NONE },
        off: |guards| guards.release_confirmed = false,
        breaks: GOES_ON,
        ..ROW
    },
    Row {
        guard: "the single active consumer",
        off: |guards| guards.single_active_consumer = false,
        breaks: IN_ORDER,
        ..ROW
    },
    Row {
        guard: "redelivery",
        faults: Faults { crashes: 1, ..NONE },
        off: |guards| guards.redelivery = false,
        breaks: NEVER_LOST,
        ..ROW
    },
    Row {
        guard: "settling last",
        faults: Faults { crashes: 1, ..NONE },
        off: |guards| guards.settles_last = false,
        breaks: NEVER_LOST,
        ..ROW
    },
    Row {
        guard: "retries that come back",
        faults: Faults { merge_refusals: 1, ..NONE },
        off: |guards| guards.retries_return = false,
        breaks: NEVER_LOST,
        ..ROW
    },
    Row {
        guard: "adopting an apply",
        faults: Faults { crashes: 1, ..NONE },
        off: |guards| guards.adopts_apply = false,
        breaks: GOES_ON,
        ..ROW
    },
    Row {
        guard: "adopting a merge",
        faults: Faults { crashes: 1, ..NONE },
        off: |guards| guards.adopts_merge = false,
        breaks: GOES_ON,
        ..ROW
    },
    Row {
        guard: "asking again",
        faults: Faults { crashes: 1, ..NONE },
        off: |guards| guards.asks_again = false,
        breaks: GOES_ON,
        ..ROW
    },
    Row {
        guard: "stepping aside for who comes back",
        faults: Faults { merge_refusals: 1, ..NONE },
        off: |guards| guards.steps_aside = false,
        breaks: GOES_ON,
        ..ROW
    },
    Row {
        guard: "knowing one's own merge",
        faults: Faults { timeouts: 1, ..NONE },
        off: |guards| guards.knows_own_merge = false,
        breaks: TOLD_RIGHT,
        ..ROW
    },
];
