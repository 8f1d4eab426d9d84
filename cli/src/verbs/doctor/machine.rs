//! This machine: git, Python, SQLMesh, the data folder.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sluice::config::Config;
use sluice::project::{Project, Python};
use sluice_worker::sqlmesh::can_run_apart;
use tokio::process::Command;
use tokio::time::timeout;

use super::Findings;

/// How long a program may take to say its version; importing SQLMesh takes some seconds.
const WITHIN: Duration = Duration::from_secs(60);

/// The oldest git whose `merge-tree` does what is needed.
const GIT: (u32, u32) = (2, 38);

pub(super) async fn check(config: &Config, findings: &mut Findings) {
    git(findings).await;
    for project in &config.projects {
        python(project, findings).await;
    }
    forks(findings).await;
    data_dir(&config.worker.data_dir, findings);
}

/// Whether the code of forks can be run here, when somebody asks for it.
async fn forks(findings: &mut Findings) {
    match can_run_apart().await {
        Ok(()) => findings.good("forks", "their code can be run apart, on `/gate`"),
        Err(why) => {
            let advice = "only where `/gate` is to run a fork's linter and unit tests";
            findings.fair("forks", why, advice);
        }
    }
}

async fn git(findings: &mut Findings) {
    let advice = "workers need git 2.38 or newer on their PATH";
    match said("git", &["--version"]).await {
        Ok(text) => {
            let version = text.trim().trim_start_matches("git version ").to_owned();
            match version_of(&version) {
                Some(found) if found >= GIT => findings.good("git", version),
                _ => findings.bad("git", version, advice),
            }
        }
        Err(why) => findings.bad("git", why, advice),
    }
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

async fn python(project: &Project, findings: &mut Findings) {
    let check = format!("SQLMesh of {}", project.name);
    match &project.python {
        Python::Interpreter(file) => {
            let ask = "import sys, sqlmesh; print(sqlmesh.__version__, sys.version.split()[0])";
            match said(file.as_os_str(), &["-c", ask]).await {
                Ok(text) => match text.split_whitespace().collect::<Vec<_>>().as_slice() {
                    [.., sqlmesh, python] => {
                        findings.good(&check, format!("{sqlmesh} on Python {python}"));
                    }
                    _ => findings.bad(&check, "it does not say its version", "install it anew"),
                },
                Err(why) => {
                    let advice = "install SQLMesh for this interpreter, or name another one in \
                                  project.python (or requirements)";
                    findings.bad(&check, format!("{}: {why}", file.display()), advice);
                }
            }
        }
        Python::Requirements(file) => match std::fs::read_to_string(file) {
            Ok(text) => match text.lines().find(|line| line.trim().starts_with("sqlmesh")) {
                Some(line) => findings.good(&check, format!("{} when it is needed", line.trim())),
                None => findings.bad(
                    &check,
                    format!("{} names no sqlmesh", file.display()),
                    "add a line `sqlmesh==…`, with the version that deploys today",
                ),
            },
            Err(error) => findings.bad(
                &check,
                format!("{} cannot be read: {error}", file.display()),
                "mend project.requirements",
            ),
        },
    }
}

/// What a program prints. Its own words of failure are bounded to the last line.
async fn said(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Result<String, String> {
    let running =
        Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match timeout(WITHIN, running).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("cannot be started: {error}")),
        Err(_) => return Err(format!("says nothing within {} s", WITHIN.as_secs())),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    Err(last.unwrap_or("it failed and did not say why").chars().take(300).collect())
}

fn data_dir(folder: &Path, findings: &mut Findings) {
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, b"may be deleted"))
        .and_then(|()| std::fs::remove_file(&probe));
    let shown = folder.display();
    match written {
        Ok(()) => findings.good("worker.data_dir", format!("{shown} can be written")),
        Err(error) => findings.bad(
            "worker.data_dir",
            format!("{shown}: {error}"),
            "give the worker's account a folder of its own",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version_of("2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version_of("2.43.0"), Some((2, 43)));
        assert_eq!(version_of("none"), None);
    }
}
