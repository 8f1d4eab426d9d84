//! The GraphQL documents, each whole and constant: what varies is a variable, never text.
//!
//! They are plain `.graphql` files so that tools can check them against GitHub's published schema.

macro_rules! document {
    ($($name:literal),+) => {
        concat!($(include_str!(concat!("documents/", $name, ".graphql"))),+)
    };
}

/// Everything a decision about a pull request is made of.
pub(super) const FACTS: &str = document!(
    "facts",
    "head_checks",
    "statuses",
    "contexts",
    "comments",
    "standing",
    "owners_files"
);
/// What we wrote to a commit and its pull request.
pub(super) const WRITTEN: &str =
    document!("written", "head_checks", "statuses", "contexts", "comments");
/// The next hundred checks and statuses of a commit.
pub(super) const MORE_CONTEXTS: &str = document!("more_contexts", "contexts");
/// The next hundred comments of a pull request.
pub(super) const MORE_COMMENTS: &str = document!("more_comments");
/// A page of the open pull requests of a repository.
pub(super) const OPEN_PULLS: &str = document!("open_pulls", "statuses");
/// Whether a pull request is merged, and as what.
pub(super) const STANDING: &str = document!("standing_of", "standing");
/// Merges, and reads the merged commit back.
pub(super) const MERGE: &str = document!("merge", "standing");
/// Writes the comment with the pages of statuses.
pub(super) const ADD_PAGES: &str = document!("add_pages");
/// Writes it anew.
pub(super) const REWRITE_PAGES: &str = document!("rewrite_pages");
/// The same, and whether it is in the merge queue.
pub(super) const STANDING_IN_QUEUE: &str = document!("standing_in_queue", "standing");
/// Puts a pull request into the merge queue.
pub(super) const ENQUEUE: &str = document!("enqueue");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_fits_githubs_schema() {
        let all = [FACTS, WRITTEN, MORE_CONTEXTS, MORE_COMMENTS, OPEN_PULLS, STANDING, MERGE];
        let more = [ADD_PAGES, REWRITE_PAGES, STANDING_IN_QUEUE, ENQUEUE];
        for document in all.into_iter().chain(more) {
            assert_eq!(sluice_conformance::check_document(document), Ok(()), "{document}");
        }
    }
}
