//! Accounts and the application.

use serde_json::{Value, json};

use super::LONG_AGO;
use crate::world::{Kind, NodeId, RepositoryName, World};

/// What an account links to: the field, and what follows the account's own address.
const LINKS: [(&str, &str); 9] = [
    ("events_url", "/events{/privacy}"),
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("organizations_url", "/orgs"),
    ("received_events_url", "/received_events"),
    ("repos_url", "/repos"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
];

/// An account by the login that REST shows; null when it was deleted or never was.
pub(crate) fn account(world: &World, login: &str) -> Value {
    let app = world.app();
    if login.strip_suffix("[bot]") == Some(app.slug.as_str()) {
        return account_of(world, login, (NodeId::new(Kind::Bot, app.id), "Bot"));
    }
    world.user(login).map_or(Value::Null, |user| {
        account_of(world, &user.login, (NodeId::new(Kind::User, user.id), "User"))
    })
}

fn account_of(world: &World, login: &str, (node, kind): (NodeId, &str)) -> Value {
    let url = world.url();
    // Brackets, as a bot's login has them, are not allowed in an address.
    let in_address = login.replace('[', "%5B").replace(']', "%5D");
    let own = format!("{url}/users/{in_address}");
    let mut shape = json!({
        "login": login,
        "id": node.id,
        "node_id": node.to_string(),
        "avatar_url": format!("{url}/avatars/{in_address}"),
        "gravatar_id": "",
        "url": own,
        "html_url": format!("{url}/{in_address}"),
        "type": kind,
        "user_view_type": "public",
        "site_admin": false,
    });
    for (name, rest) in LINKS {
        shape[name] = format!("{own}{rest}").into();
    }
    shape
}

/// The account itself, as `GET /user` shows it to its owner.
pub(crate) fn profile(world: &World, login: &str) -> Value {
    let mut shape = account(world, login);
    for empty in ["bio", "company", "email", "hireable", "location", "twitter_username"] {
        shape[empty] = Value::Null;
    }
    for none in ["followers", "following", "public_gists", "public_repos"] {
        shape[none] = 0.into();
    }
    shape["name"] = login.into();
    shape["blog"] = "".into();
    shape["created_at"] = LONG_AGO.into();
    shape["updated_at"] = LONG_AGO.into();
    shape
}

/// The owner of a repository: an organization unless a user has that login.
pub(crate) fn owner(world: &World, name: &RepositoryName) -> Value {
    let account = account(world, name.owner());
    if !account.is_null() {
        return account;
    }
    organization(world, name.owner())
}

fn organization(world: &World, login: &str) -> Value {
    let digest = login.bytes().fold(7_u64, |sum, byte| sum * 31 % 100_003 + u64::from(byte));
    account_of(world, login, (NodeId::new(Kind::User, digest), "Organization"))
}

/// A GitHub App.
pub(crate) fn app(world: &World, slug: &str) -> Value {
    let own = world.app();
    let (id, name) = if slug == own.slug { (own.id, own.name.as_str()) } else { (15_368, slug) };
    json!({
        "id": id,
        "slug": slug,
        "name": name,
        "node_id": NodeId::new(Kind::Bot, id).to_string(),
        "client_id": format!("Iv1.{id:016x}"),
        "owner": organization(world, "apps-of-the-standin"),
        "description": "",
        "external_url": world.url(),
        "html_url": format!("{}/apps/{slug}", world.url()),
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
        "permissions": {"checks": "write", "contents": "write", "pull_requests": "write"},
        "events": ["check_run", "check_suite", "issue_comment", "pull_request"],
    })
}
