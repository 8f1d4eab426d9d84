//! A tree on disk, for one job.
//!
//! Owns how files get there: the whole tree through one `read-tree`, or a few files alone. Refuses
//! to fetch or merge.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice::engine::{Checkout, EngineError};
use sluice::names::Sha;
use tokio_util::sync::CancellationToken;

use super::listing::{self, Entry};
use super::mirror::Mirror;
use super::process::Input;
use super::site::{Plot, Site};
use super::stamp;
use sluice::policy::files::{CODE, DATA};

/// Files of a merged tree, which are gone when this is dropped.
#[derive(Debug)]
pub struct Worktree {
    checkout: Checkout,
    project: PathBuf,
    plot: Plot,
}

impl Worktree {
    /// Which tree this is.
    pub fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// The folder that stands for the root of the repository.
    pub fn root(&self) -> &Path {
        &self.plot.files
    }

    /// The project's folder.
    pub fn project(&self) -> &Path {
        &self.project
    }
}

/// Puts a whole tree on disk; the project's files get times that follow from their content.
pub(super) async fn whole(
    mirror: &Mirror,
    site: &Arc<Site>,
    tree: &Sha,
    path: &str,
    cancel: &CancellationToken,
) -> Result<Worktree, EngineError> {
    let mut list = mirror.call(&["ls-tree", "-r", "-t", "-z", "--full-tree", tree.as_str()]);
    if !path.is_empty() {
        list.arguments.extend(["--".into(), path.into()]);
    }
    let listed = mirror.read(list, cancel).await?.success()?;
    let project_tree = listing::project_tree(tree, &listing::entries(&listed)?, path)?;
    let plot = site.plot().map_err(unwritten)?;
    let mut fill = mirror.call(&["read-tree", "--reset", "-u", tree.as_str()]);
    fill.variables = vec![
        ("GIT_WORK_TREE", plot.files.clone().into()),
        ("GIT_INDEX_FILE", plot.beside("index").into()),
    ];
    mirror.read(fill, cancel).await?.success()?;
    let (files, path) = (plot.files.clone(), path.to_owned());
    let project = files.join(&path);
    let stamped = tokio::task::spawn_blocking(move || -> Result<(), EngineError> {
        stamp::stamp(&files, &path, &listing::entries(&listed)?).map_err(unwritten)
    });
    stamped.await.map_err(|error| unwritten(std::io::Error::other(error)))??;
    let checkout = Checkout { tree: tree.clone(), project_tree };
    Ok(Worktree { checkout, project, plot })
}

/// Puts on disk what a project's configuration at a commit is made of.
pub(super) async fn configuration(
    mirror: &Mirror,
    site: &Arc<Site>,
    commit: &Sha,
    path: &str,
    cancel: &CancellationToken,
) -> Result<Worktree, EngineError> {
    let trees = format!("{commit}^{{tree}}\n{commit}:{path}\n");
    let mut ask = mirror.call(&["cat-file", "--batch-check=%(objecttype) %(objectname)"]);
    ask.input = Input::Text(trees);
    let answer = mirror.read(ask, cancel).await?.success()?;
    let answer = String::from_utf8_lossy(&answer);
    let mut trees =
        answer.lines().map(|line| line.strip_prefix("tree ").and_then(|id| Sha::new(id).ok()));
    let (Some(Some(tree)), Some(Some(project_tree))) = (trees.next(), trees.next()) else {
        return Err(listing::no_folder(path));
    };
    let list = mirror.call(&["ls-tree", "-z", "--full-tree", project_tree.as_str()]);
    let listed = mirror.read(list, cancel).await?.success()?;
    let entries = listing::entries(&listed)?;
    let named =
        |entry: &Entry<'_>, names: &[&str]| names.iter().any(|name| entry.path == Path::new(name));
    let is_code =
        |entry: &Entry<'_>| named(entry, &CODE) || (named(entry, &DATA) && !entry.is_file());
    if entries.iter().any(is_code) {
        return whole(mirror, site, &tree, path, cancel).await;
    }
    let plot = site.plot().map_err(unwritten)?;
    let project = plot.files.join(path);
    std::fs::create_dir_all(&project).map_err(unwritten)?;
    for entry in entries.iter().filter(|entry| named(entry, &DATA)) {
        let read = mirror.call(&["cat-file", "blob", entry.id]);
        let content = mirror.read(read, cancel).await?.success()?;
        std::fs::write(project.join(entry.path), content).map_err(unwritten)?;
    }
    Ok(Worktree { checkout: Checkout { tree, project_tree }, project, plot })
}

fn unwritten(source: std::io::Error) -> EngineError {
    let what = "a worktree cannot be written".to_owned();
    EngineError::Broken { what, source: Some(Box::new(source)) }
}
