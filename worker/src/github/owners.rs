//! Whom the files belong to that a pull request changes.
//!
//! Owns the reading of CODEOWNERS at the base branch's commit, which the other facts name, and of
//! the members of teams. What a file's id stands for never changes, so it is read once. Refuses to
//! judge: what cannot be read is told as such, and never as nobody's.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sluice::github::{
    Ask, Changed, GitHubError, Members, Owned, OwnedFiles, Owner, Ownership, Review, ReviewState,
    Team,
};
use sluice::names::{Login, Sha};
use sluice::policy::code_owners::{CodeOwners, LARGEST, PLACES};

use super::HttpGitHub;
use super::budget::Priority;
use super::client::{Errand, encoded};
use super::limits::{Failure, succeed};
use super::shape::{BaseCommit, File};

/// Files that are kept in memory at most; then all are forgotten, which costs a request each.
const MOST_FILES: usize = 16;

/// The most teams that are read for one pull request.
const MOST_TEAMS: usize = 20;

/// Pages of a hundred members that are read of one team.
const MOST_PAGES: usize = 10;

/// The names that the places of the file have in the document, in their order.
pub(super) const ALIASES: [&str; 3] = ["owners_of_github", "owners_of_root", "owners_of_docs"];

/// Files that were read before, by the id of their content.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<HashMap<Sha, Arc<CodeOwners>>>);

impl Files {
    fn recall(&self, content: &Sha) -> Option<Arc<CodeOwners>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(content).cloned()
    }

    fn learn(&self, content: &Sha, file: CodeOwners) -> Arc<CodeOwners> {
        let file = Arc::new(file);
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= MOST_FILES {
            files.clear();
        }
        files.insert(content.clone(), Arc::clone(&file));
        file
    }
}

/// What the other facts say that bears on owners.
pub(super) struct Said<'a> {
    pub(super) base: Option<&'a BaseCommit>,
    pub(super) changed: &'a Changed,
    pub(super) reviews: &'a [Review],
    pub(super) author: Option<&'a Login>,
    /// Whether there is a command, which may be an approval.
    pub(super) is_commanded: bool,
}

impl Said<'_> {
    /// Whether anybody's approval may depend on who is in a team.
    fn is_approved(&self) -> bool {
        let approves = |review: &Review| {
            review.state == ReviewState::Approved
                && review.author.is_some()
                && review.author.as_ref() != self.author
        };
        self.is_commanded || self.reviews.iter().any(approves)
    }
}

impl HttpGitHub {
    /// Whom what is changed belongs to, as far as it is wanted.
    pub(super) async fn ownership(&self, ask: &Ask, said: &Said<'_>) -> Result<Ownership, Failure> {
        if !ask.owners {
            return Ok(Ownership::NotAsked);
        }
        let unknown = |why: String| Ok(Ownership::Unknown(why));
        let Some(base) = said.base else {
            return unknown("the base branch is gone".to_owned());
        };
        let Some((place, found)) = in_use(base) else {
            return Ok(Ownership::Known(Owned::default()));
        };
        if !found.is_plain() {
            return unknown(format!("`{place}` on the base branch is a link, and no file"));
        }
        if found.size.is_none_or(|size| size > LARGEST) {
            let why = "is larger than 3 MB, so that GitHub does not use it: make it smaller";
            return unknown(format!("`{place}` on the base branch {why}"));
        }
        let file = match self.owners_files.recall(&found.oid) {
            Some(file) => file,
            None => self.owners_files.learn(&found.oid, self.owners_file(ask, &found.oid).await?),
        };
        let skipped = file.skipped().to_vec();
        let groups = match groups(file, said.changed).await? {
            Ok(groups) => groups,
            Err(why) => return unknown(why),
        };
        let teams = self.teams(ask, said, &groups).await?;
        Ok(Ownership::Known(Owned { place: Some(place.to_owned()), skipped, groups, teams }))
    }

    /// A file, by the id of its content.
    async fn owners_file(&self, ask: &Ask, content: &Sha) -> Result<CodeOwners, Failure> {
        #[derive(Deserialize)]
        struct Blob {
            content: String,
            encoding: String,
        }
        let errand = Errand::of(ask, "facts", Priority::Verdict);
        let path = format!("/repos/{}/git/blobs/{content}", ask.repository);
        let answer = self.client.get(&errand, &path).await?;
        let answer = succeed(answer, "CODEOWNERS", self.client.clock.now())?;
        let odd = |source: Box<dyn std::error::Error + Send + Sync>| Failure::Ambiguous {
            what: "a file of another shape than asked for".to_owned(),
            source: Some(source),
        };
        let Blob { content, encoding } =
            serde_json::from_slice(&answer.body).map_err(|source| odd(Box::new(source)))?;
        if encoding != "base64" {
            return Err(Failure::ambiguous(format!("a file in the encoding {encoding}")));
        }
        let lines: String = content.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(lines).map_err(|source| odd(Box::new(source)))?;
        Ok(CodeOwners::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Who is in the teams among the owners, where that may matter.
    async fn teams(
        &self,
        ask: &Ask,
        said: &Said<'_>,
        groups: &[OwnedFiles],
    ) -> Result<BTreeMap<Team, Members>, Failure> {
        let mut teams = BTreeMap::new();
        let mut read = 0;
        for owner in groups.iter().flat_map(|group| &group.owners) {
            let Owner::Team(team) = owner else { continue };
            if teams.contains_key(team) {
                continue;
            }
            let members = if !team.organization().eq_ignore_ascii_case(ask.repository.owner()) {
                Members::Unreadable("it is a team of another organization".to_owned())
            } else if !said.is_approved() {
                Members::NotRead
            } else if read == MOST_TEAMS {
                Members::Unreadable(format!("only {MOST_TEAMS} teams are read"))
            } else {
                read += 1;
                self.members(ask, team).await?
            };
            teams.insert(team.clone(), members);
        }
        Ok(teams)
    }

    /// Who is in a team, and in those below it: they are members of it, too.
    async fn members(&self, ask: &Ask, team: &Team) -> Result<Members, Failure> {
        #[derive(Deserialize)]
        struct Member {
            login: Login,
        }
        let errand = Errand::of(ask, "team", Priority::Verdict);
        let (organization, slug) = (encoded(team.organization()), encoded(team.slug()));
        let mut path = format!("/orgs/{organization}/teams/{slug}/members?per_page=100");
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.client.get(&errand, &path).await?;
            let answer = match succeed(answer, "the team", self.client.clock.now()) {
                Ok(answer) => answer,
                Err(Failure::Final(error)) => return unreadable(error),
                Err(failure) => return Err(failure),
            };
            let page: Vec<Member> =
                serde_json::from_slice(&answer.body).map_err(|source| Failure::Ambiguous {
                    what: "members of another shape than asked for".to_owned(),
                    source: Some(Box::new(source)),
                })?;
            all.extend(page.into_iter().map(|member| member.login));
            match self.client.next_page_of(&answer.headers) {
                Some(next) => path = next,
                None => return Ok(Members::Are(all)),
            }
        }
        Ok(Members::Unreadable(format!("they are more than {}", MOST_PAGES * 100)))
    }
}

/// What is said of a team that GitHub does not show.
fn unreadable(error: GitHubError) -> Result<Members, Failure> {
    Ok(Members::Unreadable(match error {
        GitHubError::NotFound(_) => "there is no such team that sluice may see".to_owned(),
        GitHubError::Forbidden(_) => "the GitHub App lacks the permission members: read".to_owned(),
        error => return Err(Failure::Final(error)),
    }))
}

/// What sort of thing it is, in git's words.
const SORT: u32 = 0o170_000;

impl File {
    /// With content of its own: not a link, a submodule or a folder.
    pub(super) fn is_plain(&self) -> bool {
        self.mode & SORT == 0o100_000
    }

    pub(super) fn is_folder(&self) -> bool {
        self.mode & SORT == 0o040_000
    }
}

/// The file that GitHub uses: the first that is there, a folder being none.
fn in_use(base: &BaseCommit) -> Option<(&'static str, &File)> {
    PLACES.into_iter().zip(ALIASES).find_map(|(place, alias)| {
        let file = base.files.get(alias)?.as_ref()?;
        (!file.is_folder()).then_some((place, file))
    })
}

/// The files with their owners, or why nobody can tell.
async fn groups(
    file: Arc<CodeOwners>,
    changed: &Changed,
) -> Result<Result<Vec<OwnedFiles>, String>, Failure> {
    if !file.names_anybody() {
        return Ok(Ok(Vec::new()));
    }
    let Changed::Files(files) = changed else {
        return Ok(Err("GitHub does not list all changed files".to_owned()));
    };
    let files = files.clone();
    // Thousands of patterns and of files take a while.
    let told = tokio::task::spawn_blocking(move || file.groups(&files)).await;
    match told {
        Ok(told) => Ok(told.map_err(|too_many| too_many.to_string())),
        Err(source) => Err(Failure::Ambiguous {
            what: "the owners of the changed files could not be told".to_owned(),
            source: Some(Box::new(source)),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(mode: u32) -> Option<File> {
        Some(File { oid: Sha::new("a".repeat(40)).unwrap(), mode, size: Some(1) })
    }

    /// A base with things of these modes in GitHub's places, in their order.
    fn base(modes: [u32; 3]) -> BaseCommit {
        let files = ALIASES.into_iter().zip(modes).filter(|(_, mode)| *mode != 0);
        BaseCommit {
            oid: Sha::new("b".repeat(40)).unwrap(),
            tree: None,
            folder: None,
            files: files.map(|(alias, mode)| (alias.to_owned(), entry(mode))).collect(),
        }
    }

    #[test]
    fn the_first_that_is_no_folder_is_used_and_a_link_is_not_followed() {
        const FILE: u32 = 0o100_644;
        const FOLDER: u32 = 0o040_000;
        const LINK: u32 = 0o120_000;
        let used = |modes| {
            let base = base(modes);
            in_use(&base).map(|(place, file)| (place, file.is_plain()))
        };
        assert_eq!(used([0, 0, 0]), None);
        assert_eq!(used([FILE, FILE, FILE]), Some((".github/CODEOWNERS", true)));
        assert_eq!(used([FOLDER, FILE, FILE]), Some(("CODEOWNERS", true)));
        assert_eq!(used([0, 0, FILE]), Some(("docs/CODEOWNERS", true)));
        assert_eq!(used([LINK, FILE, 0]), Some((".github/CODEOWNERS", false)));
    }

    #[test]
    fn every_place_is_asked_for_by_its_name() {
        for (place, alias) in PLACES.into_iter().zip(ALIASES) {
            let asked = format!("{alias}: file(path: \"{place}\")");
            assert!(crate::github::documents::FACTS.contains(&asked), "{place}");
        }
    }

    #[tokio::test]
    async fn files_that_nobody_lists_belong_to_somebody_unless_nobody_owns_anything() {
        let told = async |text: &str| {
            let file = Arc::new(CodeOwners::parse(text));
            groups(file, &Changed::Unknown).await.unwrap()
        };
        assert_eq!(told("# nobody\n*.sql\n").await, Ok(vec![]));
        assert!(told("*.sql @bob\n").await.unwrap_err().contains("does not list all"));
    }
}
