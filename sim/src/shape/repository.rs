//! Repositories, and what happened in them.

use serde_json::{Value, json};

use super::{LONG_AGO, account, owner, time};
use crate::world::{Activity, Kind, NodeId, Repository, RepositoryName, World};

/// What a repository links to: the field, and what follows the repository's own address.
const LINKS: [(&str, &str); 36] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];

/// What nobody has said of a repository here.
const UNSAID: [&str; 5] = ["description", "homepage", "language", "license", "mirror_url"];
/// What nobody has counted.
const NONE_OF: [&str; 6] =
    ["forks", "forks_count", "size", "stargazers_count", "watchers", "watchers_count"];

/// A repository.
pub(crate) fn repository(world: &World, repository: &Repository) -> Value {
    let (name, open) = (&repository.name, repository.open_pulls());
    let pushed = repository.activity.last().map_or(LONG_AGO.to_owned(), |last| time(last.at));
    let mut shape = json!({
        "id": repository.id,
        "node_id": NodeId::new(Kind::Repository, repository.id).to_string(),
        "private": false,
        "default_branch": repository.default_branch,
        "archived": false,
        "disabled": false,
        "visibility": "public",
        "topics": [],
        "has_discussions": false,
        "has_downloads": true,
        "has_issues": true,
        "has_pages": false,
        "has_projects": false,
        "has_wiki": false,
        "is_template": false,
        "allow_forking": true,
        "allow_merge_commit": true,
        "allow_squash_merge": true,
        "allow_rebase_merge": true,
        "web_commit_signoff_required": false,
        "open_issues": open,
        "open_issues_count": open,
        "created_at": LONG_AGO,
        "updated_at": pushed,
        "pushed_at": pushed,
    });
    name_it(world, &mut shape, name);
    for name in UNSAID {
        shape[name] = Value::Null;
    }
    for name in NONE_OF {
        shape[name] = 0.into();
    }
    shape
}

/// The same of a fork of it.
pub(crate) fn fork(world: &World, home: &Repository, name: &RepositoryName) -> Value {
    let mut shape = repository(world, home);
    name_it(world, &mut shape, name);
    shape["fork"] = true.into();
    shape
}

/// What follows from a repository's name.
fn name_it(world: &World, shape: &mut Value, name: &RepositoryName) {
    let (url, host) = (world.url(), world.url().replace("http://", ""));
    let own = format!("{url}/repos/{name}");
    for (link, rest) in LINKS {
        shape[link] = format!("{own}{rest}").into();
    }
    shape["name"] = name.name().into();
    shape["full_name"] = name.as_str().into();
    shape["fork"] = false.into();
    shape["owner"] = owner(world, name);
    shape["html_url"] = format!("{url}/{name}").into();
    shape["svn_url"] = format!("{url}/{name}").into();
    shape["clone_url"] = format!("{url}/{name}.git").into();
    shape["git_url"] = format!("git://{host}/{name}.git").into();
    shape["ssh_url"] = format!("ssh://git@{host}/{name}.git").into();
    shape["url"] = own.into();
}

/// A repository with what only `GET /repos/{owner}/{repo}` shows.
pub(crate) fn full_repository(world: &World, home: &Repository) -> Value {
    let mut shape = repository(world, home);
    shape["network_count"] = 0.into();
    shape["subscribers_count"] = 0.into();
    shape
}

/// One entry of a repository's activity.
pub(crate) fn activity(world: &World, activity: &Activity) -> Value {
    json!({
        "id": activity.id,
        "node_id": format!("PSH_{}", activity.id),
        "before": activity.before.as_str(),
        "after": activity.after.as_str(),
        "ref": activity.reference,
        "timestamp": time(activity.at),
        "activity_type": activity.kind,
        "actor": account(world, &world.login(&activity.actor)),
    })
}
