//! Python environments made from pinned requirements, one per set, shared by all workers of a user.
//!
//! Owns making and finding them. A marker file is written last, so that what a killed maker left is
//! made again; a file lock keeps two makers apart.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::timeout;

use super::tail::Tail;

/// The pinned set that the demo and the tests use: SQLMesh on DuckDB and PostgreSQL.
pub const REQUIREMENTS: &str = include_str!("requirements.txt");

const READY: &str = ".ready";
/// Long enough for pip on a slow line.
const STEP_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Hears what is being done, one line at a time.
pub type Told = Arc<dyn Fn(&str) + Send + Sync>;

/// Where environments are, and what they are made with.
#[derive(Clone)]
pub struct Environments {
    /// Holds one folder per requirement set.
    pub folder: PathBuf,
    /// The interpreter that they are made from.
    pub base: PathBuf,
    /// Hears progress.
    pub told: Told,
}

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum VenvError {
    /// A file could not be read, written or locked.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        #[source]
        /// Why.
        source: io::Error,
    },
    /// A program could not run or did not succeed.
    #[error("{what} failed\n{output}")]
    Step {
        /// What was run, or what of it went wrong.
        what: String,
        /// The last lines of its output.
        output: String,
    },
}

/// Where environments are kept when nothing else is configured: `$XDG_CACHE_HOME/sluice/venvs`, or
/// below `~/.cache`; `None` without a home.
pub fn default_folder() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("sluice/venvs"))
}

impl Environments {
    /// The interpreter of the environment that has `requirements`, the text of a requirements file
    /// with every version pinned. Makes it when it is not there, or waits for whoever makes it.
    ///
    /// # Errors
    /// When a step fails; the next call tries again.
    pub async fn interpreter(&self, requirements: &str) -> Result<PathBuf, VenvError> {
        let version = self.run(Step::version(&self.base)).await?;
        let home = self.folder.join(digest(requirements, &version));
        let python = home.join("bin/python");
        if home.join(READY).exists() {
            return Ok(python);
        }
        fs::create_dir_all(&self.folder).map_err(file(&self.folder))?;
        let _lock = lock(home.with_extension("lock")).await?;
        if home.join(READY).exists() {
            return Ok(python); // someone else made it meanwhile
        }
        (self.told)("making a Python environment, once for these requirements");
        self.make(&home, &python, requirements).await?;
        fs::write(home.join(READY), version).map_err(file(&home))?;
        (self.told)("the Python environment is ready");
        Ok(python)
    }

    async fn make(&self, home: &Path, python: &Path, text: &str) -> Result<(), VenvError> {
        if home.exists() {
            fs::remove_dir_all(home).map_err(file(home))?;
        }
        self.run(Step::new(&self.base, ["-m", "venv"]).path(home)).await?;
        let list = home.join("requirements.txt");
        fs::write(&list, text).map_err(file(&list))?;
        let uv_args = ["pip", "install", "--compile-bytecode", "--python"];
        let uv = Step::new(Path::new("uv"), uv_args).path(python).arg("-r").path(&list);
        match self.run(uv).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "uv on the path did not install, another uv is tried")
            }
        }
        // uv is ten times as fast, even counting its own installation; pip always works.
        let fetch = Step::new(python, ["-m", "pip", "install", "--quiet", "uv"]);
        let uv = Step::new(python, ["-m", "uv"]).args(uv_args).path(python).arg("-r").path(&list);
        let quick = async {
            self.run(fetch).await?;
            self.run(uv).await
        };
        if let Err(error) = quick.await {
            tracing::warn!(%error, "uv from the package index did not install, pip is tried");
            let pip = Step::new(python, ["-m", "pip", "install", "--quiet", "-r"]).path(&list);
            self.run(pip).await?;
        }
        Ok(())
    }

    async fn run(&self, step: Step) -> Result<String, VenvError> {
        let Step { mut command, what } = step;
        let failed = |why: String, output: String| VenvError::Step {
            what: format!("{what}: {why}"),
            output,
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string(), String::new()))?;
        let (said, complained) = (Tail::default(), Tail::default());
        let ended = async {
            let outs = (child.stdout.take(), child.stderr.take());
            let told = |line: &str| (self.told)(line);
            let out = async {
                if let Some(out) = outs.0 {
                    said.clone().follow(out, |_| {}).await;
                }
            };
            let err = async {
                if let Some(err) = outs.1 {
                    complained.clone().follow(err, told).await;
                }
            };
            tokio::join!(out, err);
            child.wait().await
        };
        match timeout(STEP_WITHIN, ended).await {
            Ok(Ok(status)) if status.success() => Ok(said.text()),
            Ok(Ok(status)) => Err(failed(status.to_string(), complained.text())),
            Ok(Err(error)) => Err(failed(error.to_string(), complained.text())),
            Err(_) => Err(failed(format!("{} s passed", STEP_WITHIN.as_secs()), complained.text())),
        }
    }
}

/// One program to run, and its name in messages.
struct Step {
    command: Command,
    what: String,
}

impl Step {
    fn new<const N: usize>(program: &Path, args: [&str; N]) -> Self {
        let mut command = Command::new(program);
        // Building a package from source runs its code.
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| passes(name)));
        Self { command, what: program.display().to_string() }.args(args)
    }

    fn version(base: &Path) -> Self {
        Self::new(base, ["-c", "import platform; print(platform.python_version())"])
    }

    fn args<const N: usize>(self, args: [&str; N]) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    fn arg(mut self, arg: &str) -> Self {
        self.what = format!("{} {arg}", self.what);
        self.command.arg(arg);
        self
    }

    fn path(self, path: &Path) -> Self {
        self.arg(&path.to_string_lossy())
    }
}

/// What installers go by: where to fetch from and keep things. No secret but those meant for them.
fn passes(name: &OsStr) -> bool {
    const NAMES: &[&str] = &["PATH", "HOME", "TMPDIR", "LANG", "XDG_CACHE_HOME"];
    const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
    const FAMILIES: &[&str] = &["SSL_CERT", "PIP_", "UV_"];
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name)
            || PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
            || FAMILIES.iter().any(|family| name.starts_with(family))
    })
}

fn digest(requirements: &str, version: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(version.as_bytes());
    digest.update(b"\n");
    digest.update(requirements.as_bytes());
    hex::encode(&digest.finalize()[..8])
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> VenvError {
    let path = path.to_owned();
    |source| VenvError::File { path, source }
}

/// Held until it is dropped. Waits for another maker; the lock of one that died is free.
async fn lock(path: PathBuf) -> Result<File, VenvError> {
    let at = path.clone();
    let locked = tokio::task::spawn_blocking(move || {
        let lock = File::create(&at)?;
        lock.lock()?;
        io::Result::Ok(lock)
    });
    locked.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(file(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installers_see_their_settings_and_no_other_secret() {
        for name in ["PATH", "HOME", "https_proxy", "PIP_INDEX_URL", "UV_INDEX", "SSL_CERT_FILE"] {
            assert!(passes(OsStr::new(name)), "{name}");
        }
        for name in ["SLUICE_WEBHOOK_SECRET", "GITHUB_TOKEN", "PYTHONPATH", "VIRTUAL_ENV"] {
            assert!(!passes(OsStr::new(name)), "{name}");
        }
    }
}
