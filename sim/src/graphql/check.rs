//! Check suites, check runs, and the rollup of these and of commit statuses.

#![allow(clippy::too_many_arguments, reason = "the arguments are GitHub's own")]

use async_graphql::{ComplexObject, Context, ID, InputObject, SimpleObject, Union};

use super::connection::{Connection, Window};
use super::scalar::{DateTime, Uri};
use super::status::StatusContext;
use super::with_world;
use super::words::{CheckConclusionState, CheckRunType, CheckStatusState, StatusState};
use crate::git::Oid;
use crate::world::{self, Kind, NodeId, Pr, RepositoryName, World};

/// `App`.
#[derive(SimpleObject)]
pub(crate) struct App {
    id: ID,
    database_id: u64,
    slug: String,
    name: String,
}

impl App {
    fn of(world: &World, slug: &str) -> Self {
        let shape = crate::shape::app(world, slug);
        let database_id = shape["id"].as_u64().unwrap_or_default();
        Self {
            id: NodeId::new(Kind::Bot, database_id).to_string().into(),
            database_id,
            slug: slug.to_owned(),
            name: shape["name"].as_str().unwrap_or(slug).to_owned(),
        }
    }
}

/// `CheckSuite`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct CheckSuite {
    id: ID,
    database_id: u64,
    app: App,
    created_at: DateTime,
    #[graphql(skip)]
    home: RepositoryName,
    #[graphql(skip)]
    suite: world::CheckSuite,
}

/// `CheckRunFilter`.
#[derive(InputObject, Default)]
pub(crate) struct CheckRunFilter {
    check_type: Option<CheckRunType>,
    app_id: Option<u64>,
    check_name: Option<String>,
    status: Option<CheckStatusState>,
    statuses: Option<Vec<CheckStatusState>>,
}

/// `CheckSuiteFilter`.
#[derive(InputObject, Default)]
pub(crate) struct CheckSuiteFilter {
    app_id: Option<u64>,
    check_name: Option<String>,
}

impl CheckSuite {
    /// The suites of a commit that pass the filter.
    pub(crate) fn of_commit(
        world: &World,
        home: &world::Repository,
        commit: &Oid,
        filter: &CheckSuiteFilter,
    ) -> Vec<Self> {
        let suites = home.suites.iter().filter(|suite| suite.commit == *commit);
        let named = |suite: &world::CheckSuite| {
            filter.check_name.as_ref().is_none_or(|name| {
                home.runs.values().any(|run| run.suite == suite.id && run.name == *name)
            })
        };
        suites
            .filter(|suite| named(suite))
            .map(|suite| Self {
                id: NodeId::new(Kind::CheckSuite, suite.id).to_string().into(),
                database_id: suite.id,
                app: App::of(world, &suite.app),
                created_at: DateTime(suite.created_at),
                home: home.name.clone(),
                suite: suite.clone(),
            })
            .filter(|suite| filter.app_id.is_none_or(|id| suite.app.database_id == id))
            .collect()
    }
}

#[ComplexObject]
impl CheckSuite {
    async fn check_runs(
        &self,
        context: &Context<'_>,
        filter_by: Option<CheckRunFilter>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<CheckRun>> {
        let filter = filter_by.unwrap_or_default();
        let runs = with_world(context, |world| {
            let home = world.repository(&self.home)?;
            let commit = &self.suite.commit;
            let runs: Vec<&world::CheckRun> = match filter.check_type {
                Some(CheckRunType::Latest) => home.latest_runs(commit),
                Some(CheckRunType::All) | None => home.runs_of(commit).collect(),
            };
            let of_suite = runs.into_iter().filter(|run| run.suite == self.suite.id);
            let wanted = of_suite.filter(|run| filter.wants(run));
            Ok(wanted.map(|run| CheckRun::of(&self.home, run)).collect())
        })?;
        Window { first, last, after }.cut("checkRuns", runs)
    }
}

impl CheckRunFilter {
    fn wants(&self, run: &world::CheckRun) -> bool {
        let status = CheckStatusState::from(run.status);
        self.check_name.as_ref().is_none_or(|name| run.name == *name)
            && self.status.is_none_or(|wanted| wanted == status)
            && self.statuses.as_ref().is_none_or(|wanted| wanted.contains(&status))
    }
}

/// `CheckRun`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct CheckRun {
    pub(crate) id: ID,
    database_id: u64,
    name: String,
    status: CheckStatusState,
    conclusion: Option<CheckConclusionState>,
    external_id: Option<String>,
    details_url: Option<Uri>,
    started_at: DateTime,
    completed_at: Option<DateTime>,
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    #[graphql(skip)]
    home: RepositoryName,
    #[graphql(skip)]
    run: world::CheckRun,
}

impl CheckRun {
    pub(crate) fn of(home: &RepositoryName, run: &world::CheckRun) -> Self {
        Self {
            id: NodeId::new(Kind::CheckRun, run.id).to_string().into(),
            database_id: run.id,
            name: run.name.clone(),
            status: run.status.into(),
            conclusion: run.conclusion.map(Into::into),
            external_id: run.external_id.clone(),
            details_url: run.details_url.clone().map(Uri),
            started_at: DateTime(run.started_at),
            completed_at: run.completed_at.map(DateTime),
            title: run.output.title.clone(),
            summary: run.output.summary.clone(),
            text: run.output.text.clone(),
            home: home.clone(),
            run: run.clone(),
        }
    }
}

#[ComplexObject]
impl CheckRun {
    async fn check_suite(&self, context: &Context<'_>) -> async_graphql::Result<CheckSuite> {
        with_world(context, |world| {
            let home = world.repository(&self.home)?;
            let filter = CheckSuiteFilter::default();
            let suites = CheckSuite::of_commit(world, home, &self.run.commit, &filter);
            let own = suites.into_iter().find(|suite| suite.database_id == self.run.suite);
            own.ok_or(world::WorldError::NotFound)
        })
    }

    async fn is_required(
        &self,
        context: &Context<'_>,
        pull_request_id: Option<ID>,
        pull_request_number: Option<u64>,
    ) -> async_graphql::Result<bool> {
        let subject = (pull_request_id, pull_request_number);
        with_world(context, |world| required(world, &self.home, subject, &self.name))
    }
}

/// Whether branch protection demands the check for that pull request.
pub(super) fn required(
    world: &World,
    home: &RepositoryName,
    (id, number): (Option<ID>, Option<u64>),
    check: &str,
) -> Result<bool, world::WorldError> {
    let home = world.repository(home)?;
    let node = id.and_then(|id| NodeId::parse(&id));
    let by_id = node.and_then(|node| home.pulls.values().find(|pull| pull.id == node.id));
    let by_number = number.map(|number| Pr::new(home.name.clone(), number));
    let pull = match by_number {
        Some(pr) => Some(world.pull(&pr)?.1),
        None => by_id,
    };
    let pull = pull.ok_or(world::WorldError::NotFound)?;
    let rule = home.protection.get(&pull.base);
    Ok(rule.is_some_and(|rule| rule.required_checks.iter().any(|name| name == check)))
}

/// `StatusCheckRollupContext`.
#[derive(Union)]
pub(crate) enum StatusCheckRollupContext {
    /// A check run.
    CheckRun(Box<CheckRun>),
    /// A commit status.
    StatusContext(Box<StatusContext>),
}

/// `StatusCheckRollup`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct StatusCheckRollup {
    state: StatusState,
    #[graphql(skip)]
    home: RepositoryName,
    #[graphql(skip)]
    commit: Oid,
}

impl StatusCheckRollup {
    /// The rollup of a commit; `None` when nothing was ever reported on it.
    pub(crate) fn of_commit(home: &world::Repository, commit: &Oid) -> Option<Self> {
        let state = home.rollup(commit)?.into();
        Some(Self { state, home: home.name.clone(), commit: commit.clone() })
    }
}

#[ComplexObject]
impl StatusCheckRollup {
    async fn contexts(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<StatusCheckRollupContext>> {
        let contexts = with_world(context, |world| {
            let home = world.repository(&self.home)?;
            let runs = home.latest_runs(&self.commit).into_iter().map(|run| {
                StatusCheckRollupContext::CheckRun(Box::new(CheckRun::of(&self.home, run)))
            });
            let statuses = home.latest_statuses(&self.commit).into_iter().map(|status| {
                let status = StatusContext::of(world, &self.home, status);
                StatusCheckRollupContext::StatusContext(Box::new(status))
            });
            Ok(runs.chain(statuses).collect())
        })?;
        Window { first, last, after }.cut("contexts", contexts)
    }
}
