//! Finding our sticky comment in a conversation.
//!
//! Owns what makes a comment ours, and how far a long conversation is searched. Refuses to write.

use serde::Deserialize;
use serde_json::{Value, json};
use sluice::github::{Ask, Comment};

use super::budget::Priority;
use super::client::Errand;
use super::limits::Failure;
use super::shape::{self, CommentPage, Comments, Nodes};
use super::{HttpGitHub, documents};

/// Comments of which none is overlooked without a further request.
const AT_BOTH_ENDS: u64 = 100;
/// Pages of a hundred comments that are read after the first ones.
const MORE_PAGES: usize = 10;

impl HttpGitHub {
    /// Our comment. Only a conversation that is longer than its two ends, and has it at neither,
    /// takes further requests; it is searched from its beginning, where ours was written.
    pub(super) async fn sticky(
        &self,
        ask: &Ask,
        comments: Comments,
    ) -> Result<Option<Comment>, Failure> {
        let Comments { oldest, newest } = comments;
        let CommentPage { total_count, page_info, list } = oldest;
        let found = ours(list, &ask.marker).or_else(|| ours(newest, &ask.marker));
        if found.is_some() || total_count <= AT_BOTH_ENDS {
            return Ok(found);
        }
        let mut read = page_info;
        for _ in 0..MORE_PAGES {
            let Some(after) = read.end_cursor.filter(|_| read.has_next_page) else { break };
            let page = self.comments_after(ask, &after).await?;
            if let Some(found) = ours(page.list, &ask.marker) {
                return Ok(Some(found));
            }
            read = page.page_info;
        }
        Ok(None)
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

/// Ours is what GitHub says we wrote: anybody may quote the marker.
fn ours(comments: Nodes<shape::Comment>, marker: &str) -> Option<Comment> {
    let mut all = comments.into_vec().into_iter();
    all.find(|comment| comment.viewer_did_author && comment.body.contains(marker))
        .map(|comment| Comment { id: comment.id, body: comment.body })
}
