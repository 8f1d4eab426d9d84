//! The sections `[[project]]`.
//!
//! Owns what a project's path may be, and which projects share a repository.

use std::path::{Path, PathBuf};

use super::Surroundings;
use super::document::{Node, Value};
use super::kinds;
use super::section::Section;
use crate::names::{ProjectName, Repository};
use crate::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};

pub(super) fn projects(root: &mut Section<'_>, around: &Surroundings<'_>) -> Vec<Project> {
    let none_written = !root.has("project");
    let mut projects = root.each("project", |section| project(section, around));
    if none_written {
        root.problem("project", "missing: at least one [[project]] is to be served");
    }
    for index in 1..projects.len() {
        let (before, rest) = projects.split_at(index);
        if before.iter().any(|other| other.name == rest[0].name) {
            let name = &rest[0].name;
            root.problem("project", format!("two projects have the name {name}"));
        }
    }
    let repositories: Vec<Repository> = projects.iter().map(|p| p.repository.clone()).collect();
    for project in &mut projects {
        let sharing = repositories.iter().filter(|other| same(other, &project.repository)).count();
        project.shares_repository =
            if sharing > 1 { SharesRepository::Yes } else { SharesRepository::No };
    }
    projects
}

/// Whether two names are one repository: GitHub does not look at their case.
fn same(a: &Repository, b: &Repository) -> bool {
    a.as_str().eq_ignore_ascii_case(b.as_str())
}

fn project(mut section: Section<'_>, around: &Surroundings<'_>) -> Option<Project> {
    let name = section.required("name", kinds::named(ProjectName::new));
    let repository = section.required("repository", kinds::named(Repository::new));
    let path = section.or("path", folder, String::new());
    let also = section.or("also", kinds::list(inside), Vec::new());
    let python = python(&mut section, around);
    let gateway = section.optional("gateway", kinds::text);
    let pass_env = section.or("pass_env", kinds::list(kinds::variable), Vec::new());
    let max_sessions = section.or("max_sessions", kinds::count(1, 256), 1);
    let approvals = section.or("approvals", approvals, Approvals::AtLeast(1));
    let words = [("refuse", OldHead::Refuse), ("accept", OldHead::Accept)];
    let approval_on_old_head =
        section.or("approval_on_old_head", kinds::choice(&words), OldHead::Refuse);
    let code_owners = section.or("code_owners", code_owners, OwnersApproval::NotAsked);
    section.finish();
    Some(Project {
        name: name?,
        repository: repository?,
        path,
        also,
        python: python?,
        gateway,
        pass_env,
        max_sessions: usize::try_from(max_sessions).unwrap_or(1),
        approvals,
        approval_on_old_head,
        code_owners,
        shares_repository: SharesRepository::No,
    })
}

/// A folder inside the repository, without a slash at its end; `.` is the root.
fn folder(node: &Node) -> Result<String, String> {
    const EXPECTED: &str = "expected a folder in the repository such as \"warehouse\" or \
                            \"data/warehouse\": relative, with /, without ..";
    let Value::Text(written) = &node.value else { return Err(EXPECTED.to_owned()) };
    let is_part = |part: &str| {
        !matches!(part, "" | "." | ".." | ".git")
            && !part.contains(|c: char| c == '\\' || c.is_control())
    };
    let text = written.trim_end_matches('/');
    match text.strip_prefix("./").unwrap_or(text) {
        "" if !written.is_empty() => Err(EXPECTED.to_owned()),
        "" | "." => Ok(String::new()),
        text if text.split('/').all(is_part) => Ok(text.to_owned()),
        _ => Err(EXPECTED.to_owned()),
    }
}

/// A file or a folder inside the repository, which is not all of it.
fn inside(node: &Node) -> Result<String, String> {
    folder(node).ok().filter(|path| !path.is_empty()).ok_or_else(|| {
        "expected files and folders in the repository such as \"macros\" or \"dbt/seeds.csv\": \
         relative, with /, without .."
            .to_owned()
    })
}

/// Exactly one of `python` and `requirements`.
fn python(section: &mut Section<'_>, around: &Surroundings<'_>) -> Option<Python> {
    match (section.has("python"), section.has("requirements")) {
        (false, false) => {
            let why = "missing: an interpreter (python) or a file of pinned requirements \
                       (requirements)";
            section.problem("python", why);
        }
        (true, true) => {
            let why = "there is requirements too: which one is the project's Python?";
            section.problem("python", why);
        }
        (true, false) | (false, true) => {}
    }
    let interpreter = section.optional("python", kinds::text);
    let requirements = section.optional("requirements", kinds::text);
    match (interpreter, requirements) {
        (Some(written), _) => Some(Python::Interpreter(interpreter_path(&written, around))),
        (None, Some(written)) => Some(Python::Requirements(around.path(&written))),
        (None, None) => None,
    }
}

/// A bare name such as `python3` is looked up on the `PATH`; anything else is a file.
fn interpreter_path(written: &str, around: &Surroundings<'_>) -> PathBuf {
    match Path::new(written).components().count() {
        1 => PathBuf::from(written),
        _ => around.path(written),
    }
}

fn approvals(node: &Node) -> Result<Approvals, String> {
    let at_least = kinds::count(1, 100)(node).map(Approvals::AtLeast);
    at_least.or_else(|_| kinds::choice(&[("all", Approvals::All)])(node)).map_err(|_| {
        "expected a number from 1 to 100, or \"all\": how many approvers must approve".to_owned()
    })
}

fn code_owners(node: &Node) -> Result<OwnersApproval, String> {
    Ok(match kinds::flag(node)? {
        true => OwnersApproval::Required,
        false => OwnersApproval::NotAsked,
    })
}
