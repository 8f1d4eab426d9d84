//! Git objects: commits, trees, blobs, and references to them.

#![allow(clippy::too_many_arguments, reason = "the arguments are GitHub's own")]

use async_graphql::{ComplexObject, Context, Interface, SimpleObject};

use super::check::{CheckSuite, CheckSuiteFilter, StatusCheckRollup};
use super::connection::{Connection, Window};
use super::protection::{BranchProtectionRule, RefUpdateRule, RepositoryRule};
use super::scalar::{DateTime, GitObjectID};
use super::status::Status;
use super::with_world;
use crate::git::{self, ObjectKind};
use crate::world::{self, Origin, RepositoryName, World, WorldError};

/// `GitObject`.
#[derive(Interface)]
#[graphql(field(name = "oid", ty = "&GitObjectID"))]
pub(crate) enum GitObject {
    /// A commit.
    Commit(Box<Commit>),
    /// A directory.
    Tree(Tree),
    /// A file's content.
    Blob(Blob),
}

/// `Tree`.
#[derive(SimpleObject)]
pub(crate) struct Tree {
    pub(crate) oid: GitObjectID,
}

/// `Blob`.
#[derive(SimpleObject)]
pub(crate) struct Blob {
    pub(crate) oid: GitObjectID,
    byte_size: usize,
    is_binary: bool,
    is_truncated: bool,
    text: Option<String>,
}

impl GitObject {
    /// What an expression names in a repository; `None` when nothing.
    pub(crate) fn find(
        home: &world::Repository,
        expression: &str,
    ) -> Result<Option<Self>, WorldError> {
        let Some(object) = home.git.object(expression)? else { return Ok(None) };
        let oid = GitObjectID::from(&object.oid);
        Ok(Some(match object.kind {
            ObjectKind::Commit => Self::Commit(Box::new(Commit::of(home, &object.oid)?)),
            ObjectKind::Tree => Self::Tree(Tree { oid }),
            ObjectKind::Blob => {
                let byte_size = object.content.len();
                let text = String::from_utf8(object.content).ok();
                let is_binary = text.is_none();
                Self::Blob(Blob { oid, byte_size, is_binary, is_truncated: false, text })
            }
        }))
    }
}

/// `TreeEntry`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct TreeEntry {
    pub(crate) oid: GitObjectID,
    path: String,
    name: String,
    #[graphql(skip)]
    home: RepositoryName,
    #[graphql(skip)]
    commit: git::Oid,
}

#[ComplexObject]
impl TreeEntry {
    async fn mode(&self, context: &Context<'_>) -> async_graphql::Result<u32> {
        with_world(context, |world| {
            let home = world.repository(&self.home)?;
            home.git.mode(&self.commit, &self.path)?.ok_or(WorldError::NotFound)
        })
    }

    /// In bytes; of a folder, 0.
    async fn size(&self, context: &Context<'_>) -> async_graphql::Result<usize> {
        with_world(context, |world| {
            let object = world.repository(&self.home)?.git.object(&self.oid.0)?;
            let file = object.filter(|object| object.kind == ObjectKind::Blob);
            Ok(file.map_or(0, |file| file.content.len()))
        })
    }

    async fn object(&self, context: &Context<'_>) -> async_graphql::Result<Option<GitObject>> {
        with_world(context, |world| GitObject::find(world.repository(&self.home)?, &self.oid.0))
    }
}

/// `Ref`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Ref {
    name: String,
    prefix: String,
    #[graphql(skip)]
    home: RepositoryName,
}

impl Ref {
    /// The branch of that name, if it is there.
    pub(crate) fn branch(home: &world::Repository, name: &str) -> Option<Self> {
        home.branches.contains_key(name).then(|| Self {
            name: name.to_owned(),
            prefix: "refs/heads/".to_owned(),
            home: home.name.clone(),
        })
    }
}

#[ComplexObject]
impl Ref {
    async fn target(&self, context: &Context<'_>) -> async_graphql::Result<Option<GitObject>> {
        with_world(context, |world| {
            let home = world.repository(&self.home)?;
            GitObject::find(home, home.tip(&self.name)?.as_str())
        })
    }

    async fn branch_protection_rule(
        &self,
        context: &Context<'_>,
    ) -> async_graphql::Result<Option<BranchProtectionRule>> {
        with_world(context, |world| {
            let rule = world.repository(&self.home)?.protection.get(&self.name);
            let classic = rule.filter(|rule| rule.origin == Origin::Classic);
            Ok(classic.map(|rule| BranchProtectionRule::of(&self.name, rule)))
        })
    }

    async fn ref_update_rule(
        &self,
        context: &Context<'_>,
    ) -> async_graphql::Result<Option<RefUpdateRule>> {
        with_world(context, |world| {
            let rule = world.repository(&self.home)?.protection.get(&self.name);
            Ok(rule.and_then(|rule| RefUpdateRule::of(&self.name, rule)))
        })
    }

    async fn rules(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Option<Connection<RepositoryRule>>> {
        let rules = with_world(context, |world| {
            let rule = world.repository(&self.home)?.protection.get(&self.name);
            Ok(rule.map(RepositoryRule::of).unwrap_or_default())
        })?;
        Window { first, last, after }.cut("rules", rules).map(Some)
    }
}

/// `Commit`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Commit {
    pub(crate) oid: GitObjectID,
    message: String,
    message_headline: String,
    tree: Tree,
    committed_date: DateTime,
    authored_date: DateTime,
    #[graphql(skip)]
    home: RepositoryName,
    #[graphql(skip)]
    commit: git::Commit,
}

impl Commit {
    pub(crate) fn of(home: &world::Repository, oid: &git::Oid) -> Result<Self, WorldError> {
        let commit = home.git.commit(oid)?.ok_or(WorldError::NotFound)?;
        Ok(Self {
            oid: oid.into(),
            message: commit.message.trim_end().to_owned(),
            message_headline: commit.message.lines().next().unwrap_or_default().to_owned(),
            tree: Tree { oid: (&commit.tree).into() },
            committed_date: DateTime(commit.author.at),
            authored_date: DateTime(commit.author.at),
            home: home.name.clone(),
            commit,
        })
    }

    fn with_home<T>(
        &self,
        context: &Context<'_>,
        look: impl FnOnce(&World, &world::Repository) -> Result<T, WorldError>,
    ) -> async_graphql::Result<T> {
        with_world(context, |world| look(world, world.repository(&self.home)?))
    }
}

#[ComplexObject]
impl Commit {
    async fn parents(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<Commit>> {
        let parents = self.with_home(context, |_, home| {
            self.commit.parents.iter().map(|parent| Self::of(home, parent)).collect()
        })?;
        Window { first, last, after }.cut("parents", parents)
    }

    async fn file(
        &self,
        context: &Context<'_>,
        path: String,
    ) -> async_graphql::Result<Option<TreeEntry>> {
        self.with_home(context, |_, home| {
            let object = home.git.object(&format!("{}:{path}", self.commit.oid))?;
            Ok(object.map(|object| TreeEntry {
                oid: (&object.oid).into(),
                name: path.rsplit('/').next().unwrap_or_default().to_owned(),
                path: path.clone(),
                home: self.home.clone(),
                commit: self.commit.oid.clone(),
            }))
        })
    }

    async fn check_suites(
        &self,
        context: &Context<'_>,
        filter_by: Option<CheckSuiteFilter>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<CheckSuite>> {
        let filter = filter_by.unwrap_or_default();
        let suites = self.with_home(context, |world, home| {
            Ok(CheckSuite::of_commit(world, home, &self.commit.oid, &filter))
        })?;
        Window { first, last, after }.cut("checkSuites", suites)
    }

    async fn status_check_rollup(
        &self,
        context: &Context<'_>,
    ) -> async_graphql::Result<Option<StatusCheckRollup>> {
        self.with_home(context, |_, home| Ok(StatusCheckRollup::of_commit(home, &self.commit.oid)))
    }

    async fn status(&self, context: &Context<'_>) -> async_graphql::Result<Option<Status>> {
        let oid = &self.commit.oid;
        self.with_home(context, |world, home| Ok(Status::of_commit(world, home, oid)))
    }
}
