//! A pull request to start a table row from, and the words to change one thing about it.
//!
//! The pull request: number 7 by alice, from `tidy-orders` at `HEAD` into `main` at `BASE`, clean,
//! with nothing said about it. The policy: carol and dave are required approvers, `/deploy` is on.

use crate::github::{
    Changed, CommandFacts, Facts, Members, MergeMethod, MergeQueue, MergeState, Owned, OwnedFiles,
    Owner, Ownership, PrState, Review, ReviewState, Team,
};
use crate::names::{Login, NodeId, PolicySha, PrNumber, ProjectName, Repository, Sha};
use crate::policy::{BotOptions, Policy};
use crate::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};
use crate::seal::{self, GateOutcome, GateResult};

pub(super) const HEAD: &str = "c0ffee";
pub(super) const OLD_HEAD: &str = "01dc0de";
pub(super) const BASE: &str = "ba5e";

/// A commit id that starts readably.
pub(super) fn sha(start: &str) -> Sha {
    Sha::new(format!("{start:0<40}")).unwrap()
}

pub(super) fn login(name: &str) -> Login {
    Login::new(name)
}

pub(super) fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(super) fn facts() -> Facts {
    Facts {
        id: node("PR_7"),
        repository_id: node("R_1"),
        number: PrNumber(7),
        title: "Tidy orders".into(),
        state: PrState::Open,
        draft: false,
        fork: false,
        author: Some(login("alice")),
        head: sha(HEAD),
        head_branch: "tidy-orders".into(),
        base_branch: "main".into(),
        base: sha(BASE),
        base_project_tree: Some(sha("7ee")),
        changed: Changed::Unknown,
        ownership: Ownership::NotAsked,
        policy: PolicySha::new("90110").unwrap(),
        reviews: vec![],
        queue: MergeQueue::None,
        merge_state: MergeState::Clean,
        review_decision: None,
        required_pending: vec![],
        checks: vec![],
        comment: None,
        command: None,
    }
}

impl Facts {
    /// One more review, the newest.
    pub(super) fn review(mut self, who: &str, state: ReviewState, head: &str) -> Self {
        let author = (who != "ghost").then(|| login(who));
        self.reviews.push(Review {
            author,
            state,
            commit: Some(sha(head)),
            submitted_ms: 1,
            may_push: true,
        });
        self
    }

    /// Carol's approval of the head.
    pub(super) fn approved(self) -> Self {
        self.review("carol", ReviewState::Approved, HEAD)
    }

    /// Files that belong to these owners, group by group, as CODEOWNERS of the base has it.
    pub(super) fn owned(mut self, groups: &[(&str, &[&str])]) -> Self {
        let group = |(files, owners): &(&str, &[&str])| OwnedFiles {
            files: files.split(' ').map(str::to_owned).collect(),
            owners: owners.iter().map(|owner| named(owner)).collect(),
        };
        let groups = groups.iter().map(group).collect();
        let place = Some(".github/CODEOWNERS".to_owned());
        self.ownership = Ownership::Known(Owned { place, groups, ..Owned::default() });
        self
    }

    /// A team of theirs, and who is in it.
    pub(super) fn team(mut self, slug: &str, members: Members) -> Self {
        if let Ownership::Known(owned) = &mut self.ownership {
            owned.teams.insert(Team::new("acme", slug), members);
        }
        self
    }

    /// A `/deploy` that was written after the head was pushed.
    pub(super) fn deploy_by(mut self, who: &str) -> Self {
        self.command = Some(CommandFacts {
            id: node("IC_1"),
            author: (who != "ghost").then(|| login(who)),
            body: "/deploy".into(),
            edited: false,
            created_ms: 2_000,
            head_pushed_ms: Some(1_000),
        });
        self
    }

    /// The same, with something changed.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// An owner as it is written: `@dave`, `@acme/data`, `me@example.com`.
pub(super) fn named(owner: &str) -> Owner {
    match (owner.strip_prefix('@'), owner.strip_prefix("@acme/")) {
        (_, Some(slug)) => Owner::Team(Team::new("acme", slug)),
        (Some(login), None) => Owner::User(Login::new(login)),
        (None, None) => Owner::Email(owner.to_owned()),
    }
}

pub(super) fn members(logins: &[&str]) -> Members {
    Members::Are(logins.iter().map(|one| login(one)).collect())
}

pub(super) fn policy(approvers: &[&str]) -> Policy {
    Policy {
        approvers: approvers.iter().map(|name| login(name)).collect(),
        linter: true,
        bot: BotOptions {
            invalidate_environment_after_deploy: true,
            enable_deploy_command: true,
            merge_method: Some(MergeMethod::Squash),
            command_namespace: None,
            auto_categorize_changes: serde_json::Value::Null,
            default_pr_start: None,
            default_pr_preview_start: "yesterday".into(),
            skip_pr_backfill: true,
            pr_include_unmodified: false,
            run_on_deploy_to_prod: false,
            pr_environment_name: None,
            pr_min_intervals: None,
            pr_preview_min_intervals: 1,
            prod_branch_names: vec!["main".into(), "master".into()],
            forward_only_branch_suffix: "-forward-only".into(),
            check_if_blocked_on_deploy_to_prod: true,
        },
    }
}

impl Policy {
    /// The same, with something changed.
    pub(super) fn with(mut self, change: impl FnOnce(&mut BotOptions)) -> Self {
        change(&mut self.bot);
        self
    }
}

pub(super) fn project() -> Project {
    Project {
        name: ProjectName::new("warehouse").unwrap(),
        repository: Repository::new("acme/monorepo").unwrap(),
        path: "warehouse".into(),
        also: vec![],
        python: Python::Interpreter("python".into()),
        gateway: None,
        pass_env: vec![],
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository: SharesRepository::No,
    }
}

/// What the gate says of `facts()`.
pub(super) fn gate(outcome: GateOutcome) -> GateResult {
    GateResult {
        v: seal::VERSION,
        project: project().name,
        pr: PrNumber(7),
        base_branch: "main".to_owned(),
        previewed: None,
        head: sha(HEAD),
        base: sha(BASE),
        policy: facts().policy,
        outcome,
        plan_digest: Some(seal::plan_digest(&[])),
        digest_input: vec![],
        tree: sha("7ee"),
        made_ms: 3_000,
    }
}
