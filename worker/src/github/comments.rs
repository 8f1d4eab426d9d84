//! Finding our comments in a conversation: the sticky one, and the pages of statuses.
//!
//! Owns what makes a comment ours, and how far a long conversation is searched. Refuses to write.

use serde::Deserialize;
use serde_json::{Value, json};
use sluice::github::{Ask, Comment};

use super::budget::Priority;
use super::client::Errand;
use super::limits::Failure;
use super::shape::{self, CommentPage, Comments, Nodes};
use super::{HttpGitHub, documents, statuses};

/// Comments of which none is overlooked without a further request.
const AT_BOTH_ENDS: u64 = 100;
/// Pages of a hundred comments that are read after the first ones.
const MORE_PAGES: usize = 10;

impl HttpGitHub {
    /// Our comments. Only a conversation that is longer than its two ends, and has the sticky one
    /// at neither, or the pages that are wanted, takes further requests; it is searched from its
    /// beginning, where ours were written.
    pub(super) async fn ours(
        &self,
        ask: &Ask,
        comments: Comments,
        wants_pages: bool,
    ) -> Result<Ours, Failure> {
        let Comments { oldest, newest } = comments;
        let CommentPage { total_count, page_info, list } = oldest;
        let mut ours = Ours::default();
        ours.look(list, ask);
        ours.look(newest, ask);
        let is_found =
            |ours: &Ours| ours.sticky.is_some() && (ours.pages.is_some() || !wants_pages);
        if is_found(&ours) || total_count <= AT_BOTH_ENDS {
            return Ok(ours);
        }
        let mut read = page_info;
        for _ in 0..MORE_PAGES {
            let Some(after) = read.end_cursor.filter(|_| read.has_next_page) else { break };
            let page = self.comments_after(ask, &after).await?;
            ours.look(page.list, ask);
            if is_found(&ours) {
                break;
            }
            read = page.page_info;
        }
        Ok(ours)
    }

    async fn comments_after(&self, ask: &Ask, after: &str) -> Result<CommentPage, Failure> {
        let variables = json!({
            "owner": ask.repository.owner(),
            "name": ask.repository.name(),
            "number": ask.pr.0,
            "after": after,
        });
        let errand = Errand::of(ask, "facts", Priority::Verdict);
        let (data, _) = self.read::<Value>(&errand, documents::MORE_COMMENTS, &variables).await?;
        let comments = data.pointer("/repository/pullRequest/comments");
        CommentPage::deserialize(comments.unwrap_or(&Value::Null)).map_err(|source| {
            let what = "a page of comments of another shape than asked for".to_owned();
            Failure::Ambiguous { what, source: Some(Box::new(source)) }
        })
    }
}

/// Our comments on a pull request, for one project.
#[derive(Debug, Default)]
pub(super) struct Ours {
    pub(super) sticky: Option<Comment>,
    /// What our statuses have no room for.
    pub(super) pages: Option<shape::Comment>,
}

impl Ours {
    /// Takes the first of each. Ours is what GitHub says we wrote: anybody may quote a marker.
    fn look(&mut self, comments: Nodes<shape::Comment>, ask: &Ask) {
        let pages = statuses::marker(&ask.marker);
        let all = comments.into_vec().into_iter();
        for comment in all.filter(|comment| comment.viewer_did_author) {
            // The pages first: whoever edits them cannot make them the sticky comment.
            if comment.body.starts_with(&pages) {
                self.pages.get_or_insert(comment);
            } else if comment.body.contains(&ask.marker) {
                let shape::Comment { id, body, .. } = comment;
                self.sticky.get_or_insert(Comment { id, body });
            }
        }
    }
}
