//! Which files a project's configuration is made of.
//!
//! Owns their names, for everything that reads a configuration or tells whether it has changed.
//! Refuses to read them.

/// The configuration files of SQLMesh that are data. `.env` goes along, as SQLMesh reads it.
pub(crate) const DATA: [&str; 5] =
    ["config.yml", "config.yaml", "sqlmesh.yml", "sqlmesh.yaml", ".env"];

/// The files that make a configuration more than data: Python, which may import anything that is
/// in the repository, and a dbt project, which is configured by all its files.
pub(crate) const CODE: [&str; 2] = ["config.py", "dbt_project.yml"];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    DATA.into_iter().chain(CODE)
}
