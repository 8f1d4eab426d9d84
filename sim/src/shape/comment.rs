//! Comments and reactions.

use serde_json::{Value, json};

use super::{account, time};
use crate::world::{Comment, Kind, NodeId, PullRequest, PullState, Reaction, Repository, World};

/// A comment.
pub(crate) fn comment(world: &World, home: &Repository, comment: &Comment) -> Value {
    let (url, name) = (world.url(), &home.name);
    json!({
        "id": comment.id,
        "node_id": NodeId::new(Kind::IssueComment, comment.id).to_string(),
        "url": format!("{url}/repos/{name}/issues/comments/{}", comment.id),
        "html_url": format!("{url}/{name}/pull/{}#issuecomment-{}", comment.number, comment.id),
        "issue_url": format!("{url}/repos/{name}/issues/{}", comment.number),
        "body": comment.body,
        "user": account(world, &world.login(&comment.author)),
        "created_at": time(comment.created_at),
        "updated_at": time(comment.edited_at.unwrap_or(comment.created_at)),
        "author_association": "NONE",
        "performed_via_github_app": null,
    })
}

/// The particular part of an `issue_comment` webhook. It carries no SHA, as GitHub's does not.
pub(crate) fn comment_event(
    world: &World,
    home: &Repository,
    pull: &PullRequest,
    subject: &Comment,
) -> Value {
    let (url, name, number) = (world.url(), &home.name, pull.number);
    json!({
        "issue": {
            "id": pull.id,
            "node_id": NodeId::new(Kind::PullRequest, pull.id).to_string(),
            "number": number,
            "title": pull.title,
            "state": if pull.state == PullState::Open { "open" } else { "closed" },
            "draft": pull.draft,
            "user": account(world, &pull.author),
            "url": format!("{url}/repos/{name}/issues/{number}"),
            "html_url": format!("{url}/{name}/pull/{number}"),
            "created_at": time(pull.created_at),
            "updated_at": time(pull.updated_at),
            "pull_request": {
                "url": format!("{url}/repos/{name}/pulls/{number}"),
                "html_url": format!("{url}/{name}/pull/{number}"),
            },
        },
        "comment": comment(world, home, subject),
    })
}

/// A reaction.
pub(crate) fn reaction(world: &World, reaction: &Reaction) -> Value {
    json!({
        "id": reaction.id,
        "node_id": NodeId::new(Kind::Reaction, reaction.id).to_string(),
        "user": account(world, &world.login(&reaction.by)),
        "content": reaction.content,
        "created_at": time(world.now()),
    })
}
