//! Whether a pull request concerns a project: by the files that it changes.

use crate::github::Changed;
use crate::project::Project;

/// Whether one of the changed files is in the project's folder, or in what else it is made of. What
/// is not known may be: then it does.
pub fn concerns(project: &Project, changed: &Changed) -> bool {
    let Changed::Files(files) = changed else { return true };
    let places = || std::iter::once(&project.path).chain(&project.also);
    files.iter().any(|file| places().any(|place| is_in(file, place)))
}

fn is_in(file: &str, place: &str) -> bool {
    match file.strip_prefix(place) {
        Some(rest) => place.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}
