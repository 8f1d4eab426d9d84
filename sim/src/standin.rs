//! The running stand-in: starts the HTTP surface and the webhook sender around a world, and is
//! what tests and the demo hold on to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::actors::Actor;
use crate::shared::Shared;
use crate::snapshot::PrSnapshot;
use crate::webhook::{self, Receiver};
use crate::wiretap::Wiretap;
use crate::world::{App, Clock, Files, Pr, RepositoryName, RequestRecord, World, WorldError};
use crate::{git::GitError, http};

/// How to start a stand-in. The default is an App called `sluice` on a free port.
#[derive(Clone, Debug)]
pub struct StandinConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The App whose identity sluice has, with its token.
    pub app: App,
    /// Where webhooks go; may be set later with [`Standin::deliver_to`].
    pub receiver: Option<Receiver>,
    /// Where the bare repositories are made; `None` makes a directory that is removed at the end.
    pub directory: Option<PathBuf>,
    /// The world's time.
    pub clock: Clock,
    /// Who hears what goes over the wire.
    pub wiretap: Option<Arc<dyn Wiretap>>,
}

impl Default for StandinConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            app: App {
                id: 4_242,
                slug: "sluice".to_owned(),
                name: "sluice".to_owned(),
                installation: 77,
                token: "ghs_standin-installation-token".to_owned(),
            },
            receiver: None,
            directory: None,
            clock: Clock::Real,
            wiretap: None,
        }
    }
}

/// Why the stand-in could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The world's rules refuse: the story is impossible.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The machine refuses: no port, no directory.
    #[error("the stand-in could not {doing}")]
    Io {
        /// What it was doing.
        doing: &'static str,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// What was waited for did not happen in time.
    #[error("nothing of the kind happened within {0:?}")]
    TooLate(Duration),
    /// A closure panicked.
    #[error("a change of the world panicked")]
    Panicked(#[from] tokio::task::JoinError),
}

impl From<GitError> for SimError {
    fn from(error: GitError) -> Self {
        Self::World(error.into())
    }
}

/// A GitHub that runs. Clones share it; it stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Standin {
    pub(crate) shared: Shared,
    url: String,
    token: String,
    wiretap: Option<Arc<dyn Wiretap>>,
    life: Arc<Life>,
}

/// What ends with the last clone.
#[derive(Debug)]
struct Life {
    stop: CancellationToken,
    sending: Mutex<Option<DropGuard>>,
    _stop_on_drop: DropGuard,
    _directory: Option<tempfile::TempDir>,
}

impl Standin {
    /// Starts listening and, when there is a receiver, sending.
    ///
    /// # Errors
    /// [`SimError::Io`] when there is no port or no directory to be had.
    pub async fn start(config: StandinConfig) -> Result<Self, SimError> {
        let io = |doing| move |source| SimError::Io { doing, source };
        let (root, temporary) = match config.directory {
            Some(root) => (root, None),
            None => {
                let made = tempfile::tempdir().map_err(io("make a directory"))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let listener = TcpListener::bind(config.listen).await.map_err(io("listen"))?;
        let address = listener.local_addr().map_err(io("listen"))?;
        let url = format!("http://{address}");
        let token = config.app.token.clone();
        let mut world = World::new(root, config.app, config.clock);
        world.set_url(url.clone());
        let shared = Shared::new(world);
        let stop = CancellationToken::new();
        let router = http::router(shared.clone(), config.wiretap.clone());
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
            if let Err(error) = serving.await {
                tracing::error!(%error, "the stand-in stopped serving");
            }
        });
        let life = Arc::new(Life {
            sending: Mutex::new(None),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            _directory: temporary,
        });
        let standin = Self { shared, url, token, wiretap: config.wiretap, life };
        if let Some(receiver) = config.receiver {
            standin.deliver_to(receiver);
        }
        Ok(standin)
    }

    /// The address of the API: `http://127.0.0.1:port`, without a slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The installation token that sluice runs with.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The private key of the App that sluice may run as, as PEM.
    ///
    /// # Errors
    /// The machine makes none.
    pub fn private_key(&self) -> Result<&'static str, SimError> {
        Ok(self.shared.look(|world| world.private_key())?)
    }

    /// The address to clone a repository from, without credentials.
    #[must_use]
    pub fn clone_url(&self, repository: &RepositoryName) -> String {
        format!("{}/{repository}.git", self.url)
    }

    /// Sends webhooks there from now on, those that wait first; the receiver before it gets no
    /// more.
    pub fn deliver_to(&self, receiver: Receiver) {
        let stop = self.life.stop.child_token();
        let mut sending = self.life.sending.lock().unwrap_or_else(PoisonError::into_inner);
        *sending = Some(stop.clone().drop_guard());
        let (shared, wiretap) = (self.shared.clone(), self.wiretap.clone());
        tokio::spawn(webhook::send_all((shared, wiretap), receiver, stop));
    }

    /// A person to act as; registered, with the token `token-<login>`, when new.
    #[must_use]
    pub fn user(&self, login: &str) -> Actor {
        self.shared.change(|world| world.add_user(login, &format!("token-{login}")));
        Actor::new(self.clone(), login)
    }

    /// A repository to make, `owner/name`.
    #[must_use]
    pub fn repository(&self, name: &str) -> RepositoryDraft {
        RepositoryDraft { standin: self.clone(), name: RepositoryName::new(name) }
    }

    /// Looks at the world, briefly: nothing else happens meanwhile, and another look from inside
    /// the closure would wait for ever.
    pub fn world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.shared.look(look)
    }

    /// Changes the world, and wakes whoever waits for a change.
    ///
    /// # Errors
    /// What the change returns.
    pub async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut World) -> Result<T, WorldError> + Send + 'static,
    ) -> Result<T, SimError> {
        Ok(self.shared.change_blocking(change).await??)
    }

    /// Waits until the world answers with `Some`. Woken by changes; never polls.
    ///
    /// # Errors
    /// [`SimError::TooLate`] when it has not happened within `patience`.
    pub async fn until<T>(
        &self,
        patience: Duration,
        mut happened: impl FnMut(&World) -> Option<T>,
    ) -> Result<T, SimError> {
        let mut changes = self.shared.changes();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = self.shared.look(&mut happened) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        let found = tokio::time::timeout(patience, waiting).await.ok().flatten();
        found.ok_or(SimError::TooLate(patience))
    }

    /// Waits until no webhook is pending or on its way.
    ///
    /// # Errors
    /// [`SimError::TooLate`].
    pub async fn until_delivered(&self, patience: Duration) -> Result<(), SimError> {
        self.until(patience, |world| world.deliveries().is_settled().then_some(())).await
    }

    /// Everything about a pull request that a story asks for.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn pr(&self, pr: &Pr) -> Result<PrSnapshot, SimError> {
        Ok(self.shared.look(|world| PrSnapshot::take(world, pr))?)
    }

    /// Every request that was made so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.look(|world| world.requests().all().to_vec())
    }

    /// Sends a webhook again, with the same GUID.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn redeliver(&self, guid: &str) -> Result<(), SimError> {
        Ok(self.shared.change(|world| world.deliveries_mut().redeliver(guid))?)
    }
}

/// A repository about to be made.
#[derive(Debug)]
pub struct RepositoryDraft {
    standin: Standin,
    name: RepositoryName,
}

impl RepositoryDraft {
    /// Makes it with the files of a directory, on `main`. Links and `.git` are left out.
    ///
    /// # Errors
    /// [`SimError::Io`] when the directory cannot be read, otherwise as `with_files`.
    pub async fn from_dir(self, directory: &Path) -> Result<RepositoryName, SimError> {
        let directory = directory.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let mut files = Files::new();
            collect(&directory, &directory, &mut files).map(|()| files)
        });
        let files =
            read.await?.map_err(|source| SimError::Io { doing: "read a directory", source })?;
        self.create(files).await
    }

    /// Makes it with these files, on `main`.
    ///
    /// # Errors
    /// [`SimError::World`] when the name is taken or git fails.
    pub async fn with_files(self, files: &[(&str, &str)]) -> Result<RepositoryName, SimError> {
        let owned = |&(path, text): &(&str, &str)| (path.to_owned(), Some(text.into()));
        self.create(files.iter().map(owned).collect()).await
    }

    async fn create(self, files: Files) -> Result<RepositoryName, SimError> {
        let name = self.name.clone();
        self.standin.change(move |world| world.create_repository(&name, &files)).await?;
        Ok(self.name)
    }
}

fn collect(root: &Path, directory: &Path, files: &mut Files) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && entry.file_name() != ".git" {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            let relative = path.strip_prefix(root).map_err(std::io::Error::other)?;
            files.push((relative.to_string_lossy().into_owned(), Some(std::fs::read(&path)?)));
        }
    }
    Ok(())
}
