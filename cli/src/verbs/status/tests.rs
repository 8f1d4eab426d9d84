//! What people read, held by a snapshot.
#![allow(clippy::unwrap_used)]

use sluice::lease::{LeaseKey, Owner};
use sluice::names::{Environment, JobId, PrNumber, ProjectName, Sha};

use super::*;

fn lease(standing: Standing) -> LeaseInfo {
    let project = ProjectName::new("warehouse").unwrap();
    let head = Sha::new("ab00000000000000000000000000000000000001").unwrap();
    let kept_for = Sha::new("cd00000000000000000000000000000000000002").unwrap();
    LeaseInfo {
        key: LeaseKey::Environment(project.clone(), Environment::prod()),
        standing,
        give_back: match standing {
            Standing::Reserved => Release::Reserve,
            Standing::Held | Standing::Resting { .. } => Release::Free,
        },
        kept_for: Some(kept_for),
        owner: Owner {
            nonce: "never shown".to_owned(),
            job: JobId::of_deploy(&project, PrNumber(7), &head),
            host: "sluice-worker on w1, process 12".to_owned(),
            pr: PrNumber(7),
            head: Some(head),
        },
        epoch: 41,
        since_ms: 900_000,
        renewed_ms: 996_000,
        phase: "backfill".to_owned(),
    }
}

fn leases() -> Vec<Leased> {
    [
        lease(Standing::Held),
        lease(Standing::Reserved),
        lease(Standing::Resting { left: Duration::from_secs(20) }),
    ]
    .map(|lease| {
        let url = Some("https://github.com/acme/warehouse/pull/7".to_owned());
        Leased { lease, url }
    })
    .into()
}

fn busy() -> Status {
    let queue =
        |queue: &str, jobs, oldest_ms| QueueStatus { queue: queue.to_owned(), jobs, oldest_ms };
    Status {
        now_ms: 1_000_000,
        queues: vec![
            queue("sluice.approval", 0, None),
            queue("sluice.gate", 1, None),
            queue("sluice.deploy.warehouse", 12, Some(754_000)),
        ],
        delayed: Some(2),
        leases: leases(),
        frozen: Some(Duration::from_secs(90)),
        deploys: vec![WaitingJob {
            job: lease(Standing::Held).owner.job,
            kind: "deploy".to_owned(),
            project: ProjectName::new("warehouse").unwrap(),
            pr: PrNumber(8),
            head: lease(Standing::Held).owner.head,
            since_ms: 246_000,
        }],
        running: vec![RunningJob {
            job: lease(Standing::Held).owner.job,
            kind: "deploy".to_owned(),
            project: ProjectName::new("warehouse").unwrap(),
            pr: PrNumber(7),
            head: lease(Standing::Held).owner.head,
            host: "sluice-worker on w1, process 12".to_owned(),
            since_ms: 890_000,
            stage: Some("apply".to_owned()),
            stage_since_ms: 900_000,
        }],
        workers: vec![Worker {
            host: "sluice-worker on w1, process 12".to_owned(),
            since_ms: 100_000,
            gate_slots: 4,
            deploy_slots: 2,
        }],
        pauses: vec![Pause {
            project: None,
            reason: "the warehouse is being moved".to_owned(),
            by: "ann@ops".to_owned(),
            since_ms: 400_000,
        }],
        dead: Some(3),
        actions: vec![Action {
            at_ms: 700_000,
            by: "ann@ops".to_owned(),
            what: "took warehouse/prod from PR #6".to_owned(),
            reason: Some("its machine burnt".to_owned()),
        }],
        troubles: Vec::new(),
    }
}

#[test]
fn what_people_read() {
    insta::assert_snapshot!(busy().words(), @r###"
    queues
      sluice.approval          0 jobs wait
      sluice.gate              1 job waits
      sluice.deploy.warehouse  12 jobs wait, the oldest for 12 min 34 s
      2 jobs are delayed
      3 failed for good: see `sluice dead list`

    deploys in line
      warehouse  1. PR #8 at ab00000, for 12 min 34 s

    leases
      none is granted for another 1 min 30 s: Redis is new or restarted
      warehouse/prod  held for PR #7 at ab00000, for 1 min 40 s, epoch 41
        https://github.com/acme/warehouse/pull/7
        by sluice-worker on w1, process 12; backfill; renewed 4 s ago
      warehouse/prod  reserved for PR #7 at cd00000, for 1 min 40 s, epoch 41
        https://github.com/acme/warehouse/pull/7
      warehouse/prod  rests after PR #7 at ab00000 lost it, free in 20 s, epoch 41
        https://github.com/acme/warehouse/pull/7

    workers
      sluice-worker on w1, process 12: for 15 min 0 s, 4 gate slots, 2 deploy slots
        deploy of warehouse PR #7: 1 min 50 s, in apply

    pauses
      all projects: for 10 min 0 s, by ann@ops: the warehouse is being moved

    what operators did
      5 min 0 s ago, ann@ops took warehouse/prod from PR #6: its machine burnt
    "###);
}

#[test]
fn what_programs_read() {
    let json = busy().json();
    insta::assert_snapshot!("status_json", format!("{json:#}"));
    assert!(!json.to_string().contains("never shown"), "the nonce is the holder's alone");
}
