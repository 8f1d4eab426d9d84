//! Projects and policies for targets that need some, and how their input is divided.

use sluice::names::{ProjectName, Repository};
use sluice::policy::Policy;
use sluice::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};

/// Two projects of one repository, and one of another.
pub(crate) fn projects() -> Vec<Project> {
    [
        ("warehouse", "acme/monorepo", SharesRepository::Yes),
        ("lake", "acme/monorepo", SharesRepository::Yes),
        ("alone", "acme/data", SharesRepository::No),
    ]
    .into_iter()
    .map(|(name, repository, shares_repository)| Project {
        name: ProjectName::new(name).unwrap(),
        repository: Repository::new(repository).unwrap(),
        path: name.to_owned(),
        python: Python::Interpreter("python".into()),
        also: vec![],
        gateway: None,
        pass_env: vec![],
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository,
    })
    .collect()
}

/// A policy with this namespace in front of its commands.
pub(crate) fn policy(namespace: Option<&str>) -> Policy {
    let policy = serde_json::json!({
        "approvers": ["carol"],
        "linter": true,
        "bot": {
            "invalidate_environment_after_deploy": true,
            "enable_deploy_command": true,
            "merge_method": null,
            "command_namespace": namespace,
            "auto_categorize_changes": null,
            "default_pr_start": null,
            "default_pr_preview_start": "yesterday",
            "skip_pr_backfill": true,
            "pr_include_unmodified": false,
            "run_on_deploy_to_prod": false,
            "pr_environment_name": null,
            "pr_min_intervals": null,
            "pr_preview_min_intervals": 1,
            "prod_branch_names": ["main"],
            "forward_only_branch_suffix": "-forward-only",
            "check_if_blocked_on_deploy_to_prod": true,
        },
    });
    serde_json::from_value(policy).unwrap()
}

/// The first line, and what comes after it.
pub(crate) fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}
