//! Pull requests, their files and their reviews.

use serde_json::{Value, json};

use super::{account, fork, optional_time, owner, repository, time};
use crate::git::{ChangeType, ChangedFile, Oid};
use crate::world::{
    Kind, Mergeable, NodeId, Pr, PullRequest, PullState, Repository, Review, World, WorldError,
};

/// A pull request, with its merge state as far as it is known now.
pub(crate) fn pull(
    world: &World,
    home: &Repository,
    pull: &PullRequest,
) -> Result<Value, WorldError> {
    let mut shape = summary(world, home, pull)?;
    let details = details(world, home, pull)?;
    if let (Value::Object(shape), Value::Object(details)) = (&mut shape, details) {
        shape.extend(details);
    }
    Ok(shape)
}

fn summary(world: &World, home: &Repository, pull: &PullRequest) -> Result<Value, WorldError> {
    let (url, name, number) = (world.url(), &home.name, pull.number);
    let (api, page) = (format!("{url}/repos/{name}"), format!("{url}/{name}/pull/{number}"));
    let own = format!("{api}/pulls/{number}");
    let merge_commit = merge_commit(world, home, pull)?;
    Ok(json!({
        "id": pull.id,
        "node_id": NodeId::new(Kind::PullRequest, pull.id).to_string(),
        "number": number,
        "state": if pull.state == PullState::Open { "open" } else { "closed" },
        "locked": false,
        "title": pull.title,
        "body": pull.body,
        "user": account(world, &pull.author),
        "draft": pull.draft,
        "active_lock_reason": null,
        "created_at": time(pull.created_at),
        "updated_at": time(pull.updated_at),
        "closed_at": optional_time(pull.closed_at),
        "merged_at": optional_time(pull.merged.as_ref().map(|merged| merged.at)),
        "url": own,
        "html_url": page,
        "issue_url": format!("{api}/issues/{number}"),
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "commits_url": format!("{own}/commits"),
        "review_comments_url": format!("{own}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{api}/issues/{number}/comments"),
        "statuses_url": format!("{api}/statuses/{}", pull.head_oid),
        "_links": links(&api, &page, pull),
        "merge_commit_sha": merge_commit.as_ref().map(Oid::as_str),
        "labels": [],
        "milestone": null,
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "auto_merge": null,
        "author_association": "CONTRIBUTOR",
        "head": head(world, home, pull),
        "base": {
            "label": format!("{}:{}", name.owner(), pull.base),
            "ref": pull.base,
            "sha": pull.base_oid.as_str(),
            "user": owner(world, name),
            "repo": repository(world, home),
        },
    }))
}

/// The commit that merged it, or the one of the test merge.
fn merge_commit(
    world: &World,
    home: &Repository,
    pull: &PullRequest,
) -> Result<Option<Oid>, WorldError> {
    if let Some(merged) = &pull.merged {
        return Ok(Some(merged.commit.clone()));
    }
    let pr = Pr::new(home.name.clone(), pull.number);
    if world.present_merge_state(&pr)?.0 != Mergeable::Mergeable {
        return Ok(None);
    }
    let tested = home.git.object(&format!("refs/pull/{}/merge", pull.number))?;
    Ok(tested.map(|object| object.oid))
}

/// The same links once more, as objects.
fn links(api: &str, page: &str, pull: &PullRequest) -> Value {
    let number = pull.number;
    let own = format!("{api}/pulls/{number}");
    json!({
        "self": {"href": own},
        "html": {"href": page},
        "issue": {"href": format!("{api}/issues/{number}")},
        "comments": {"href": format!("{api}/issues/{number}/comments")},
        "review_comments": {"href": format!("{own}/comments")},
        "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
        "commits": {"href": format!("{own}/commits")},
        "statuses": {"href": format!("{api}/statuses/{}", pull.head_oid)},
    })
}

fn details(world: &World, home: &Repository, pull: &PullRequest) -> Result<Value, WorldError> {
    let pr = Pr::new(home.name.clone(), pull.number);
    let (mergeable, state) = world.present_merge_state(&pr)?;
    Ok(json!({
        "merged": pull.merged.is_some(),
        "merged_by": pull.merged.as_ref().map(|merged| account(world, &world.login(&merged.by))),
        "mergeable": match mergeable {
            Mergeable::Mergeable => Some(true),
            Mergeable::Conflicting => Some(false),
            Mergeable::Unknown => None,
        },
        "mergeable_state": state,
        "rebaseable": null,
        "comments": home.comments_of(pull.number).count(),
        "review_comments": 0,
        "maintainer_can_modify": false,
        "commits": pull.size.commits,
        "additions": pull.size.additions,
        "deletions": pull.size.deletions,
        "changed_files": pull.size.files,
    }))
}

fn head(world: &World, home: &Repository, pull: &PullRequest) -> Value {
    let name = pull.head_repository.as_ref().unwrap_or(&home.name);
    let shape = match &pull.head_repository {
        Some(name) => fork(world, home, name),
        None => repository(world, home),
    };
    json!({
        "label": format!("{}:{}", name.owner(), pull.head),
        "ref": pull.head,
        "sha": pull.head_oid.as_str(),
        "user": owner(world, name),
        "repo": shape,
    })
}

/// The particular part of a `pull_request` webhook.
pub(crate) fn pull_event(
    world: &World,
    home: &Repository,
    subject: &PullRequest,
    action: &str,
) -> Result<Value, WorldError> {
    Ok(json!({
        "action": action,
        "number": subject.number,
        "pull_request": pull(world, home, subject)?,
    }))
}

/// A review, as REST writes it.
pub(crate) fn review(
    world: &World,
    home: &Repository,
    pull: &PullRequest,
    review: &Review,
) -> Value {
    let (url, name, number) = (world.url(), &home.name, pull.number);
    let own = format!("{url}/repos/{name}/pulls/{number}");
    let page = format!("{url}/{name}/pull/{number}#pullrequestreview-{}", review.id);
    json!({
        "id": review.id,
        "node_id": NodeId::new(Kind::Review, review.id).to_string(),
        "user": review.author.as_deref().map(|login| account(world, login)),
        "body": review.body,
        "state": review.state.upper_case(),
        "commit_id": review.commit.as_str(),
        "submitted_at": time(review.submitted_at),
        "author_association": "COLLABORATOR",
        "html_url": page,
        "pull_request_url": own,
        "_links": {"html": {"href": page}, "pull_request": {"href": own}},
    })
}

/// The particular part of a `pull_request_review` webhook, where the state is in lower case and
/// the pull request is the short form.
pub(crate) fn review_event(
    world: &World,
    home: &Repository,
    pull: &PullRequest,
    subject: &Review,
) -> Result<Value, WorldError> {
    let mut shape = review(world, home, pull, subject);
    shape["state"] = subject.state.lower_case().into();
    Ok(json!({"review": shape, "pull_request": summary(world, home, pull)?}))
}

/// One changed file.
pub(crate) fn changed_file(
    world: &World,
    (home, head): (&Repository, &Oid),
    file: &ChangedFile,
) -> Value {
    let (url, name, path) = (world.url(), &home.name, &file.path);
    let mut shape = json!({
        "sha": if file.change == ChangeType::Deleted { None } else { Some(file.blob.as_str()) },
        "blob_url": format!("{url}/{name}/blob/{head}/{path}"),
        "raw_url": format!("{url}/{name}/raw/{head}/{path}"),
        "contents_url": format!("{url}/repos/{name}/contents/{path}?ref={head}"),
        "filename": file.path,
        "status": file.change,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
    });
    if let Some(previous) = &file.previous_path {
        shape["previous_filename"] = previous.as_str().into();
    }
    shape
}
