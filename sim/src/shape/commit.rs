//! Commits, and what carries them: pushes, merge groups, branches.

use serde_json::{Value, json};

use super::{account, time};
use crate::git::{Commit, Oid};
use crate::world::{ActivityType, Origin, Repository, World, WorldError};

/// A commit as webhooks and suites show it.
pub(crate) fn commit_summary(home: &Repository, oid: &Oid) -> Result<Value, WorldError> {
    let commit = home.git.commit(oid)?.ok_or(WorldError::NotFound)?;
    let by = json!({"name": commit.author.name, "email": commit.author.email});
    Ok(json!({
        "id": commit.oid.as_str(),
        "tree_id": commit.tree.as_str(),
        "message": commit.message,
        "timestamp": time(commit.author.at),
        "author": by,
        "committer": by,
    }))
}

/// A commit as REST shows it. Whoever wrote it committed it.
pub(crate) fn commit(world: &World, home: &Repository, commit: &Commit) -> Value {
    let (url, name) = (world.url(), &home.name);
    let own = format!("{url}/repos/{name}/commits/{}", commit.oid);
    let parent = |parent: &Oid| {
        json!({
            "sha": parent.as_str(),
            "url": format!("{url}/repos/{name}/commits/{parent}"),
            "html_url": format!("{url}/{name}/commit/{parent}"),
        })
    };
    let by = json!({
        "name": commit.author.name,
        "email": commit.author.email,
        "date": time(commit.author.at),
    });
    // An account that the author's address belongs to; null when there is none.
    let who = account(world, &commit.author.name);
    json!({
        "sha": commit.oid.as_str(),
        "node_id": format!("C_{}", commit.oid),
        "url": own,
        "html_url": format!("{url}/{name}/commit/{}", commit.oid),
        "comments_url": format!("{own}/comments"),
        "author": who,
        "committer": who,
        "parents": commit.parents.iter().map(parent).collect::<Vec<_>>(),
        "commit": {
            "message": commit.message,
            "tree": {
                "sha": commit.tree.as_str(),
                "url": format!("{url}/repos/{name}/git/trees/{}", commit.tree),
            },
            "author": by,
            "committer": by,
            "comment_count": 0,
            "url": format!("{url}/repos/{name}/git/commits/{}", commit.oid),
        },
    })
}

/// The particular part of a `push` webhook.
pub(crate) fn push(
    world: &World,
    home: &Repository,
    branch: &str,
    before: &Oid,
) -> Result<Value, WorldError> {
    let (url, name, after) = (world.url(), &home.name, home.tip(branch)?);
    let mut head = commit_summary(home, after)?;
    let by = head["author"].clone();
    head["distinct"] = true.into();
    head["url"] = format!("{url}/{name}/commit/{after}").into();
    for files in ["added", "removed", "modified"] {
        head[files] = json!([]);
    }
    let forced = home.activity.last().is_some_and(|last| last.kind == ActivityType::ForcePush);
    Ok(json!({
        "ref": format!("refs/heads/{branch}"),
        "before": before.as_str(),
        "after": after.as_str(),
        "created": *before == Oid::zero(),
        "deleted": false,
        "forced": forced,
        "base_ref": null,
        "compare": format!("{url}/{name}/compare/{before}...{after}"),
        "pusher": by,
        "commits": [head],
        "head_commit": head,
    }))
}

/// A branch, with what a classic rule demands of it. A ruleset is not shown here.
pub(crate) fn branch(world: &World, home: &Repository, branch: &str) -> Result<Value, WorldError> {
    let (url, name, tip) = (world.url(), &home.name, home.tip(branch)?);
    let tip = home.git.commit(tip)?.ok_or(WorldError::NotFound)?;
    let own = format!("{url}/repos/{name}/branches/{branch}");
    let rule = home.protection.get(branch).filter(|rule| rule.origin == Origin::Classic);
    let contexts = rule.map_or(&[][..], |rule| &rule.required_checks);
    let checks = contexts.iter().map(|context| json!({"context": context, "app_id": null}));
    let level = match contexts {
        [] => "off",
        _ => "non_admins",
    };
    Ok(json!({
        "name": branch,
        "commit": commit(world, home, &tip),
        "_links": {"self": own, "html": format!("{url}/{name}/tree/{branch}")},
        "protected": home.protection.contains_key(branch),
        "protection": {
            "enabled": rule.is_some(),
            "required_status_checks": {
                "enforcement_level": level,
                "contexts": contexts,
                "checks": checks.collect::<Vec<_>>(),
            },
        },
        "protection_url": format!("{own}/protection"),
    }))
}

/// The rules of rulesets that hold for a branch.
pub(crate) fn branch_rules(home: &Repository, branch: &str) -> Value {
    let rule = home.protection.get(branch).filter(|rule| rule.origin == Origin::Ruleset);
    let Some(rule) = rule else { return json!([]) };
    let checks = rule.required_checks.iter().map(|context| json!({"context": context}));
    let rules = [
        json!({
            "type": "pull_request",
            "parameters": {
                "allowed_merge_methods": ["merge", "squash", "rebase"],
                "dismiss_stale_reviews_on_push": rule.dismiss_stale,
                "require_code_owner_review": false,
                "require_last_push_approval": false,
                "required_approving_review_count": rule.required_approvals,
                "required_review_thread_resolution": false,
            },
        }),
        json!({
            "type": "required_status_checks",
            "parameters": {
                "required_status_checks": checks.collect::<Vec<_>>(),
                "strict_required_status_checks_policy": rule.strict,
            },
        }),
    ];
    let sourced = rules.map(|mut rule| {
        rule["ruleset_source_type"] = "Repository".into();
        rule["ruleset_source"] = home.name.as_str().into();
        rule["ruleset_id"] = 1.into();
        rule
    });
    json!(sourced)
}
