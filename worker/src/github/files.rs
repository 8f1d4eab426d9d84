//! The files that a pull request changes.
//!
//! Owns how far they are read. GraphQL lists the first hundred with everything else, but of a
//! renamed file only its new path: then REST is asked, which has both. Refuses to know whose they
//! are.

use serde::Deserialize;
use sluice::github::{Ask, Changed};

use super::HttpGitHub;
use super::budget::Priority;
use super::client::Errand;
use super::limits::{Failure, succeed};
use super::shape;

/// GitHub lists no more files than this, and does not say that there are more.
const MOST_LISTED: usize = 3000;

/// Pages of a hundred that are read.
const MOST_PAGES: usize = MOST_LISTED / 100;

/// What GraphQL calls files whose old path it does not tell.
const HAVE_TWO_PATHS: [&str; 2] = ["RENAMED", "COPIED"];

impl HttpGitHub {
    /// All of them, from what was listed with the other facts or else, if they are wanted, by REST.
    pub(super) async fn changed(
        &self,
        ask: &Ask,
        listed: shape::Files,
    ) -> Result<Changed, Failure> {
        let has_more = listed.page_info.has_next_page;
        let files = listed.list.into_vec();
        let is_plain = |file: &shape::ChangedFile| !HAVE_TWO_PATHS.contains(&&*file.change_type);
        if !has_more && files.iter().all(is_plain) {
            return Ok(Changed::Files(files.into_iter().map(|file| file.path).collect()));
        }
        match ask.files {
            true => self.changed_by_rest(ask).await,
            false => Ok(Changed::Unknown),
        }
    }

    async fn changed_by_rest(&self, ask: &Ask) -> Result<Changed, Failure> {
        #[derive(Deserialize)]
        struct File {
            filename: String,
            #[serde(default)]
            previous_filename: Option<String>,
        }
        let errand = Errand::of(ask, "facts", Priority::Verdict);
        let mut path = format!("/repos/{}/pulls/{}/files?per_page=100", ask.repository, ask.pr);
        let (mut all, mut listed) = (Vec::new(), 0);
        for _ in 0..MOST_PAGES {
            let answer = self.client.get(&errand, &path).await?;
            let answer = succeed(answer, "the changed files", self.client.clock.now())?;
            let page: Vec<File> =
                serde_json::from_slice(&answer.body).map_err(|source| Failure::Ambiguous {
                    what: "files of another shape than asked for".to_owned(),
                    source: Some(Box::new(source)),
                })?;
            listed += page.len();
            let both = |file: File| [Some(file.filename), file.previous_filename];
            all.extend(page.into_iter().flat_map(both).flatten());
            match self.client.next_page_of(&answer.headers) {
                Some(next) => path = next,
                None if listed < MOST_LISTED => return Ok(Changed::Files(all)),
                None => break,
            }
        }
        Ok(Changed::Unknown)
    }
}
