//! Connections: GitHub's way to page through lists, with its bounds.

use async_graphql::{OutputType, SimpleObject};

use super::check::{App, CheckRun, CheckSuite, StatusCheckRollupContext};
use super::comment::IssueComment;
use super::commit::Commit;
use super::protection::{BranchProtectionRule, RepositoryRule};
use super::pull::{PullRequest, PullRequestChangedFile, PullRequestCommit, PullRequestReview};
use super::typed;

/// The most that one page may hold.
const MOST: i32 = 100;

/// `PageInfo`.
#[derive(SimpleObject)]
pub(crate) struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

/// One page of a list.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "PullRequestConnection", params(PullRequest)),
    concrete(name = "PullRequestReviewConnection", params(PullRequestReview)),
    concrete(name = "PullRequestCommitConnection", params(PullRequestCommit)),
    concrete(name = "PullRequestChangedFileConnection", params(PullRequestChangedFile)),
    concrete(name = "IssueCommentConnection", params(IssueComment)),
    concrete(name = "CommitConnection", params(Commit)),
    concrete(name = "CheckSuiteConnection", params(CheckSuite)),
    concrete(name = "CheckRunConnection", params(CheckRun)),
    concrete(name = "AppConnection", params(App)),
    concrete(name = "StatusCheckRollupContextConnection", params(StatusCheckRollupContext)),
    concrete(name = "BranchProtectionRuleConnection", params(BranchProtectionRule)),
    concrete(name = "RepositoryRuleConnection", params(RepositoryRule))
)]
pub(crate) struct Connection<T: OutputType> {
    nodes: Vec<T>,
    total_count: usize,
    page_info: PageInfo,
}

/// Which page was asked for.
#[derive(Default)]
pub(crate) struct Window {
    pub(crate) first: Option<i32>,
    pub(crate) last: Option<i32>,
    pub(crate) after: Option<String>,
}

impl Window {
    /// Cuts the page out of the whole list.
    pub(crate) fn cut<T: OutputType>(
        &self,
        name: &str,
        items: Vec<T>,
    ) -> async_graphql::Result<Connection<T>> {
        let Some(size) = self.first.or(self.last) else {
            let message = format!(
                "You must provide a `first` or `last` value to properly paginate the `{name}` \
                 connection."
            );
            return Err(typed("MISSING_PAGINATION_BOUNDARIES", message));
        };
        if !(0..=MOST).contains(&size) {
            let message = format!(
                "Requesting {size} records on the `{name}` connection exceeds the `first` limit \
                 of {MOST} records."
            );
            return Err(typed("EXCESSIVE_PAGINATION", message));
        }
        let size = usize::try_from(size)?;
        let total = items.len();
        let begin = match (&self.after, self.first) {
            (Some(cursor), _) => index(cursor).map_or(0, |index| index + 1).min(total),
            (None, Some(_)) => 0,
            (None, None) => total.saturating_sub(size),
        };
        let end = (begin + size).min(total);
        let nodes: Vec<T> = items.into_iter().skip(begin).take(size).collect();
        Ok(Connection {
            nodes,
            total_count: total,
            page_info: PageInfo {
                has_next_page: end < total,
                has_previous_page: begin > 0,
                start_cursor: (begin < end).then(|| cursor(begin)),
                end_cursor: (begin < end).then(|| cursor(end - 1)),
            },
        })
    }
}

fn cursor(index: usize) -> String {
    format!("Y3Vyc29yOnYyOp{index}")
}

fn index(cursor: &str) -> Option<usize> {
    cursor.strip_prefix("Y3Vyc29yOnYyOp")?.parse().ok()
}
