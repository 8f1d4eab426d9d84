//! The HTTP surface: routes, and nothing of what they mean. Rules live in the world, JSON shapes in
//! `shape`, GraphQL in `graphql`.

mod call;
mod checks;
mod comments;
mod deliveries;
mod deployments;
mod entry;
mod git;
mod installation;
mod pulls;
mod reply;
mod repository;
mod teams;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, patch, post, put};

use crate::graphql;
use crate::shared::Shared;
use crate::wiretap::Wiretap;
use call::Call;
use reply::Endpoint;

/// Everything behind the address of the stand-in.
pub(crate) fn router(shared: Shared, wiretap: Option<Arc<dyn Wiretap>>) -> Router {
    let endpoints = Router::new()
        .merge(account_routes())
        .nest("/repos/{owner}/{repo}", repository_routes())
        .route("/graphql", post(graphql::answer))
        .route("/{owner}/{repo}/info/refs", get(git::serve))
        .route("/{owner}/{repo}/git-upload-pack", post(git::serve))
        .fallback(reply::no_such_route)
        .with_state(shared.clone());
    let door = entry::Door { shared, wiretap };
    // A request's path is rewritten on the way in, so the layer has to be outside the router
    // that matches it.
    Router::new()
        .fallback_service(endpoints)
        .layer(axum::middleware::from_fn_with_state(door, entry::admit))
}

fn account_routes() -> Router<Shared> {
    Router::new()
        .route("/rate_limit", get(on(repository::rate_limit)))
        .route("/user", get(on(repository::user)))
        .route("/orgs/{org}/teams/{team}/members", get(on(teams::members)))
        .route("/app", get(on(repository::app)))
        .route("/app/hook/deliveries", get(on(deliveries::list)))
        .route("/app/hook/deliveries/{delivery}/attempts", post(on(deliveries::send_again)))
        .route(
            "/app/installations/{installation}/access_tokens",
            post(on(installation::make_token)),
        )
}

fn repository_routes() -> Router<Shared> {
    Router::new()
        .route("/", get(on(repository::show)))
        .route("/installation", get(on(installation::show)))
        .route("/activity", get(on(repository::activity)))
        .route("/collaborators/{login}/permission", get(on(repository::permission)))
        .route("/contents/{*path}", get(on(repository::contents)))
        .route("/git/blobs/{sha}", get(on(repository::blob)))
        .route("/commits/{sha}", get(on(repository::commit)))
        .route("/branches/{branch}", get(on(repository::branch)))
        .route("/rules/branches/{branch}", get(on(repository::branch_rules)))
        .route("/pulls", get(on(pulls::list)))
        .route("/pulls/{number}", get(on(pulls::show)))
        .route("/pulls/{number}/reviews", get(on(pulls::reviews)))
        .route("/pulls/{number}/files", get(on(pulls::files)))
        .route("/pulls/{number}/merge", put(on(pulls::merge)))
        .route("/check-runs", post(on(checks::create)))
        .route("/check-runs/{id}", get(on(checks::show)).patch(on(checks::update)))
        .route("/commits/{sha}/check-runs", get(on(checks::of_commit)))
        .route("/commits/{sha}/check-suites", get(on(checks::suites_of_commit)))
        .route("/statuses/{sha}", post(on(checks::give_status)))
        .route("/deployments", get(on(deployments::list)).post(on(deployments::create)))
        .route(
            "/deployments/{id}/statuses",
            get(on(deployments::statuses)).post(on(deployments::tell)),
        )
        .route("/issues/{number}/comments", get(on(comments::list)).post(on(comments::create)))
        .route("/issues/{number}/reactions", post(on(comments::react_to_pull)))
        .route(
            "/issues/comments/{id}",
            patch(on(comments::update)).get(on(comments::show)).delete(on(comments::delete)),
        )
        .route("/issues/comments/{id}/reactions", post(on(comments::react_to_comment)))
}

/// Makes a route of an endpoint.
fn on(
    endpoint: Endpoint,
) -> impl FnOnce(Call) -> Pin<Box<dyn Future<Output = Response> + Send>> + Clone + Send + Sync {
    move |call: Call| Box::pin(call.answer(endpoint))
}
