//! Repositories.

#![allow(clippy::too_many_arguments, reason = "the arguments are GitHub's own")]

use async_graphql::{ComplexObject, Context, ID, SimpleObject};

use super::commit::{GitObject, Ref};
use super::connection::{Connection, Window};
use super::protection::BranchProtectionRule;
use super::pull::PullRequest;
use super::scalar::{GitObjectID, Uri};
use super::words::{IssueOrder, PullRequestState};
use super::{typed, with_world};
use crate::world::{self, Kind, NodeId, Origin, Pr, RepositoryName, World};

/// `Repository`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Repository {
    pub(crate) id: ID,
    database_id: u64,
    name: String,
    name_with_owner: String,
    is_fork: bool,
    is_private: bool,
    url: Uri,
    default_branch_ref: Option<Ref>,
    #[graphql(skip)]
    home: RepositoryName,
}

impl Repository {
    pub(crate) fn of(world: &World, home: &world::Repository) -> Self {
        Self {
            id: NodeId::new(Kind::Repository, home.id).to_string().into(),
            database_id: home.id,
            name: home.name.name().to_owned(),
            name_with_owner: home.name.to_string(),
            is_fork: false,
            is_private: false,
            url: Uri(format!("{}/{}", world.url(), home.name)),
            default_branch_ref: Ref::branch(home, &home.default_branch),
            home: home.name.clone(),
        }
    }
}

#[ComplexObject]
impl Repository {
    async fn pull_request(
        &self,
        context: &Context<'_>,
        number: u64,
    ) -> async_graphql::Result<Option<PullRequest>> {
        let pr = Pr::new(self.home.clone(), number);
        let found = with_world(context, |world| Ok(PullRequest::of(world, &pr).ok()))?;
        let message = || format!("Could not resolve to a PullRequest with the number of {number}.");
        found.map(Some).ok_or_else(|| typed("NOT_FOUND", message()))
    }

    async fn pull_requests(
        &self,
        context: &Context<'_>,
        states: Option<Vec<PullRequestState>>,
        order_by: Option<IssueOrder>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<PullRequest>> {
        let pulls = with_world(context, |world| {
            let home = world.repository(&self.home)?;
            let wanted = home.pulls.values().filter(|pull| {
                states.as_ref().is_none_or(|states| states.contains(&pull.state.into()))
            });
            let mut wanted: Vec<_> = wanted.collect();
            if let Some(order) = order_by {
                order.sort(&mut wanted);
            }
            wanted
                .into_iter()
                .map(|pull| PullRequest::of(world, &Pr::new(self.home.clone(), pull.number)))
                .collect()
        })?;
        Window { first, last, after }.cut("pullRequests", pulls)
    }

    async fn object(
        &self,
        context: &Context<'_>,
        oid: Option<GitObjectID>,
        expression: Option<String>,
    ) -> async_graphql::Result<Option<GitObject>> {
        let Some(named) = oid.map(|oid| oid.0).or(expression) else { return Ok(None) };
        with_world(context, |world| GitObject::find(world.repository(&self.home)?, &named))
    }

    #[graphql(name = "ref")]
    async fn reference(
        &self,
        context: &Context<'_>,
        qualified_name: String,
    ) -> async_graphql::Result<Option<Ref>> {
        let branch = qualified_name.strip_prefix("refs/heads/").unwrap_or(&qualified_name);
        with_world(context, |world| Ok(Ref::branch(world.repository(&self.home)?, branch)))
    }

    async fn branch_protection_rules(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<BranchProtectionRule>> {
        let rules = with_world(context, |world| {
            let rules = world.repository(&self.home)?.protection.iter();
            let classic = rules.filter(|(_, rule)| rule.origin == Origin::Classic);
            Ok(classic.map(|(branch, rule)| BranchProtectionRule::of(branch, rule)).collect())
        })?;
        Window { first, last, after }.cut("branchProtectionRules", rules)
    }
}
