//! Comments and reactions.

use serde_json::{Value, json};

use super::{account, optional_time, time};
use crate::world::{
    Comment, Kind, NodeId, PullRequest, PullState, Reaction, ReactionContent, Repository, World,
};

/// Every reaction that there is.
const REACTIONS: [ReactionContent; 8] = [
    ReactionContent::ThumbsUp,
    ReactionContent::ThumbsDown,
    ReactionContent::Laugh,
    ReactionContent::Confused,
    ReactionContent::Heart,
    ReactionContent::Hooray,
    ReactionContent::Rocket,
    ReactionContent::Eyes,
];

/// A comment.
pub(crate) fn comment(world: &World, home: &Repository, comment: &Comment) -> Value {
    let (url, name) = (world.url(), &home.name);
    let own = format!("{url}/repos/{name}/issues/comments/{}", comment.id);
    json!({
        "id": comment.id,
        "node_id": NodeId::new(Kind::IssueComment, comment.id).to_string(),
        "reactions": reactions(&own, &comment.reactions),
        "url": own,
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

/// How many there are of each.
fn reactions(subject: &str, reactions: &[Reaction]) -> Value {
    let mut shape = json!({
        "url": format!("{subject}/reactions"),
        "total_count": reactions.len(),
    });
    for content in REACTIONS {
        let count = reactions.iter().filter(|reaction| reaction.content == content).count();
        if let Some(name) = json!(content).as_str() {
            shape[name] = count.into();
        }
    }
    shape
}

/// The particular part of an `issue_comment` webhook. It carries no SHA, as GitHub's does not.
pub(crate) fn comment_event(
    world: &World,
    home: &Repository,
    pull: &PullRequest,
    subject: &Comment,
) -> Value {
    json!({"issue": issue(world, home, pull), "comment": comment(world, home, subject)})
}

/// A pull request as the issue that it is, too.
fn issue(world: &World, home: &Repository, pull: &PullRequest) -> Value {
    let (url, name, number) = (world.url(), &home.name, pull.number);
    let own = format!("{url}/repos/{name}/issues/{number}");
    let page = format!("{url}/{name}/pull/{number}");
    json!({
        "id": pull.id,
        "node_id": NodeId::new(Kind::PullRequest, pull.id).to_string(),
        "number": number,
        "title": pull.title,
        "body": pull.body,
        "state": if pull.state == PullState::Open { "open" } else { "closed" },
        "draft": pull.draft,
        "locked": false,
        "active_lock_reason": null,
        "user": account(world, &pull.author),
        "assignee": null,
        "assignees": [],
        "labels": [],
        "milestone": null,
        "author_association": "CONTRIBUTOR",
        "comments": home.comments_of(number).count(),
        "comments_url": format!("{own}/comments"),
        "events_url": format!("{own}/events"),
        "labels_url": format!("{own}/labels{{/name}}"),
        "timeline_url": format!("{own}/timeline"),
        "repository_url": format!("{url}/repos/{name}"),
        "html_url": page,
        "reactions": reactions(&own, &pull.reactions),
        "url": own,
        "created_at": time(pull.created_at),
        "updated_at": time(pull.updated_at),
        "closed_at": optional_time(pull.closed_at),
        "performed_via_github_app": null,
        "pull_request": {
            "url": format!("{url}/repos/{name}/pulls/{number}"),
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "merged_at": optional_time(pull.merged.as_ref().map(|merged| merged.at)),
        },
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
