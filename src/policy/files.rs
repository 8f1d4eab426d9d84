//! Which files a project's configuration is made of.
//!
//! Owns their names, for everything that reads a configuration or tells whether it has changed.
//! Refuses to read them.

use crate::github::Changed;
use crate::project::Project;

/// The configuration files of SQLMesh that are data. `.env` goes along, as SQLMesh reads it.
pub const DATA: [&str; 5] = ["config.yml", "config.yaml", "sqlmesh.yml", "sqlmesh.yaml", ".env"];

/// The files that make a configuration more than data: Python, which may import anything that is
/// in the repository, and a dbt project, which is configured by all its files.
pub const CODE: [&str; 2] = ["config.py", "dbt_project.yml"];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static str> {
    DATA.into_iter().chain(CODE)
}

/// The files of the project's configuration that a pull request changes, as far as is known.
pub fn changed<'a>(project: &Project, changed: &'a Changed) -> Vec<&'a str> {
    let Changed::Files(files) = changed else { return Vec::new() };
    let is_configuration = |file: &&str| {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        folder == project.path && all().any(|known| known == name)
    };
    files.iter().map(String::as_str).filter(is_configuration).collect()
}
