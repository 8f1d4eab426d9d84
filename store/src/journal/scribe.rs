//! Writes the journal, in the background.
//!
//! Owns a line of entries that is bounded, and the one task that empties it. Whoever tells it
//! something never waits; what does not fit is dropped, counted and said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::redis;
use sluice::clock::{Clock as _, SystemClock, unix_ms};
use sluice::observe::{Event, Observer};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::book::{Book, Entry};
use super::{Journal, Worker, write};
use crate::Shared;

/// How often a worker says that it lives. It is taken for dead after three of them.
pub const BEAT: Duration = Duration::from_secs(10);

/// The most entries that wait to be written.
const LINE: usize = 8192;

/// The most entries that are written at once.
const AT_ONCE: usize = 1024;

/// The shortest time from one writing to the next: people do not look more often, and what happens
/// meanwhile is written together.
const PACE: Duration = Duration::from_millis(50);

/// How long to wait before writing again what could not be written.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the last entries may take when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A listener that writes the journal.
pub struct Scribe {
    desk: Arc<Desk>,
    line: mpsc::Sender<Entry>,
    ending: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
    _end: DropGuard,
}

/// What listener and task share.
struct Desk {
    host: String,
    book: Mutex<Book>,
    /// The picture of what runs has changed.
    changed: Notify,
    dropped: AtomicU64,
}

impl Scribe {
    pub(crate) fn start(shared: Arc<Shared>, worker: Option<Worker>, beat: Duration) -> Self {
        let host = worker.as_ref().map(|worker| worker.host.clone()).unwrap_or_default();
        let desk = Arc::new(Desk {
            host,
            book: Mutex::default(),
            changed: Notify::new(),
            dropped: AtomicU64::new(0),
        });
        let (line, entries) = mpsc::channel(LINE);
        let ending = CancellationToken::new();
        let pen = Pen {
            id: format!("{}:{:016x}", desk.host, rand::random::<u64>()),
            desk: desk.clone(),
            shared,
            worker,
            lives: beat * 3,
            unwritten: Vec::new(),
        };
        let task = tokio::spawn(pen.write(entries, beat, ending.clone()));
        let _end = ending.clone().drop_guard();
        Self { desk, line, ending, task: Mutex::new(Some(task)), _end }
    }

    /// How many entries were dropped because too many waited to be written.
    pub fn dropped(&self) -> u64 {
        self.desk.dropped.load(Ordering::Relaxed)
    }

    /// Writes what still waits, and that this worker has ended; returns when that is done, or after
    /// some seconds.
    pub async fn close(&self) {
        self.ending.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && tokio::time::timeout(LAST_WORDS, task).await.is_err()
        {
            tracing::warn!("the last entries of the journal are lost");
        }
    }
}

impl Observer for Scribe {
    fn observe(&self, event: &Event) {
        let change = self.desk.book().note(event, &self.desk.host);
        for entry in change.entries {
            if self.line.try_send(entry).is_err() {
                let dropped = self.desk.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                if dropped.is_power_of_two() {
                    tracing::warn!(dropped, "the journal cannot keep up: entries were dropped");
                }
            }
        }
        if change.picture {
            self.desk.changed.notify_one();
        }
    }
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's own.
struct Pen {
    id: String,
    desk: Arc<Desk>,
    shared: Arc<Shared>,
    worker: Option<Worker>,
    lives: Duration,
    unwritten: Vec<Entry>,
}

impl Pen {
    async fn write(
        mut self,
        mut entries: mpsc::Receiver<Entry>,
        beat: Duration,
        ending: CancellationToken,
    ) {
        // Whoever died since somebody looked last is forgotten, however seldom people look.
        drop(Journal::new(self.shared.clone()).alive().await);
        let mut beats = tokio::time::interval(beat);
        loop {
            let is_beat = tokio::select! {
                _ = entries.recv_many(&mut self.unwritten, AT_ONCE) => false,
                () = self.desk.changed.notified() => false,
                _ = beats.tick() => true,
                () = ending.cancelled() => break,
            };
            let is_all = self.unwritten.len() < AT_ONCE;
            while !self.flush(is_beat).await {
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = ending.cancelled() => break,
                }
            }
            if is_all {
                ending.run_until_cancelled(tokio::time::sleep(PACE)).await;
            }
        }
        while let Ok(entry) = entries.try_recv() {
            self.unwritten.push(entry);
        }
        self.end().await;
    }

    /// Writes what is unwritten, the picture of what runs, and on a beat that this worker lives;
    /// `false` when Redis was not to be had.
    async fn flush(&mut self, is_beat: bool) -> bool {
        let mut pipeline = redis::pipe();
        write::entries(&mut pipeline, &self.shared.keys, &self.unwritten);
        if let Some(worker) = &self.worker {
            let life = (self.id.as_str(), self.lives);
            let running = self.desk.book().running(&self.desk.host, unix_ms(SystemClock.now()));
            write::picture(&mut pipeline, &self.shared.keys, life, &running);
            if is_beat {
                write::life(&mut pipeline, &self.shared.keys, life, worker);
            }
        }
        self.send(pipeline).await
    }

    async fn end(&mut self) {
        let mut pipeline = redis::pipe();
        write::entries(&mut pipeline, &self.shared.keys, &self.unwritten);
        if self.worker.is_some() {
            write::end(&mut pipeline, &self.shared.keys, &self.id);
        }
        self.send(pipeline).await;
    }

    async fn send(&mut self, pipeline: redis::Pipeline) -> bool {
        if pipeline.is_empty() {
            return true;
        }
        let call = async |connection: &mut _| pipeline.query_async::<()>(connection).await;
        let sent = self.shared.link.call(call).await;
        if let Err(error) = &sent {
            tracing::warn!(%error, "the journal cannot be written");
            if error.is_of_the_connection() {
                return false;
            }
        }
        // What Redis refuses once it refuses again.
        self.unwritten.clear();
        true
    }
}
