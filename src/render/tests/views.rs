//! A plan, a project and a policy to render.

use crate::engine::{Change, ModelChange, Plan, Purpose};
use crate::lease::Owner;
use crate::names::{Environment, JobId, Login, PrNumber, ProjectName, Repository, Sha};
use crate::policy::{BotOptions, Policy};
use crate::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};

pub(super) fn sha(start: &str) -> Sha {
    Sha::new(format!("{start:0<40}")).unwrap()
}

pub(super) fn logins(names: &[&str]) -> Vec<Login> {
    names.iter().map(|name| Login::new(*name)).collect()
}

pub(super) fn project(shares_repository: SharesRepository) -> Project {
    Project {
        name: ProjectName::new("warehouse").unwrap(),
        repository: Repository::new("acme/monorepo").unwrap(),
        path: "warehouse".into(),
        python: Python::Interpreter("python".into()),
        also: vec![],
        gateway: None,
        pass_env: vec![],
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository,
    }
}

pub(super) fn policy() -> Policy {
    Policy {
        approvers: logins(&["carol", "dave"]),
        linter: true,
        bot: BotOptions {
            invalidate_environment_after_deploy: true,
            enable_deploy_command: true,
            merge_method: None,
            command_namespace: Some("#SQLMesh".into()),
            auto_categorize_changes: serde_json::Value::Null,
            default_pr_start: None,
            default_pr_preview_start: "yesterday".into(),
            skip_pr_backfill: true,
            pr_include_unmodified: false,
            run_on_deploy_to_prod: false,
            pr_environment_name: None,
            pr_min_intervals: None,
            pr_preview_min_intervals: 1,
            prod_branch_names: vec!["main".into()],
            forward_only_branch_suffix: "-forward-only".into(),
            check_if_blocked_on_deploy_to_prod: true,
        },
    }
}

pub(super) fn environment() -> Environment {
    Environment::of_pr("monorepo", PrNumber(7))
}

pub(super) fn owner() -> Owner {
    Owner {
        nonce: "n".into(),
        job: JobId::new("deploy:warehouse:9").unwrap(),
        host: "worker-1".into(),
        pr: PrNumber(9),
        head: Some(sha("0dd")),
    }
}

fn model(name: &str, change: Change) -> ModelChange {
    ModelChange {
        name: name.into(),
        change,
        kind: "FULL".into(),
        category: None,
        loaded: None,
        missing: None,
    }
}

pub(super) fn plan() -> Plan {
    Plan {
        plan_id: "p1".into(),
        purpose: Purpose::ProdPreview,
        environment: Environment::prod(),
        is_new_environment: false,
        has_effect: true,
        has_changes: true,
        models: vec![
            model("db.customers", Change::Added),
            ModelChange {
                kind: "INCREMENTAL_BY_TIME_RANGE".into(),
                category: Some("Breaking".into()),
                loaded: Some("2024-01-01 - 2024-01-03".into()),
                missing: Some("2023-01-01 - 2023-12-31".into()),
                ..model("db.orders", Change::DirectlyModified)
            },
            model("db.revenue", Change::IndirectlyModified),
            model("db.`odd` @erin", Change::Removed),
        ],
        uncategorized: vec![],
        builds: vec![],
        digest_input: vec![],
        markdown:
            "**Directly Modified:**\n* `db.orders` (Breaking)\n  \n  ```diff\n  -  @start_ds\n  \
                   +  @end_ds -- <b>\n  ```\n\nAsk @erin about <b>#12</b>.\n"
                .into(),
    }
}
