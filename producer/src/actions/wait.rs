//! Waiting for what follows from an event: the journal is read, and nobody else asked.
//!
//! Owns how often, how long, and when it is given up. A step that waits changes nothing: when it
//! stops, the jobs go on.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice::clock::Clock;
use sluice::job::Envelope;
use sluice::redact::Redactor;
use sluice_service::redis::{Followed, Journal, StoreError};

use super::outcome::Outcome;
use super::progress::{Progress, harmless, still};

/// How often the journal is read: some small answers each time.
const EVERY: Duration = Duration::from_millis(1500);

/// How long Redis may be away before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing may be new before it is said what is still waited for.
const QUIET: Duration = Duration::from_secs(5 * 60);

/// A step that waits.
pub(super) struct Waiting<'a> {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limit: Duration,
    pub(super) redactor: &'a Redactor,
}

/// Why nothing is waited for any more.
pub(super) enum Over {
    /// Everything has come to its end.
    Ended,
    /// It took too long.
    Limit(Duration),
    /// The step was told to stop.
    Told,
    /// Redis cannot say.
    Unseen(String),
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => write!(f, "what followed from the event has ended"),
            Self::Limit(limit) => {
                let limit = humantime::format_duration(*limit);
                write!(f, "the time limit of {limit} is over; the jobs go on")
            }
            Self::Told => write!(f, "told to stop waiting; the jobs go on"),
            Self::Unseen(why) => write!(
                f,
                "the jobs are stored and go on, but it cannot be seen what becomes of them: {why}"
            ),
        }
    }
}

/// What is seen, and when something was new.
struct View<'a> {
    waiting: &'a Waiting<'a>,
    cause: &'a str,
    outcomes: Vec<Outcome>,
    progress: Progress,
    begun: Instant,
    news_at: Instant,
    /// Since when Redis does not answer, and what it said last.
    unseen: Option<(Instant, String)>,
}

impl Waiting<'_> {
    /// Waits until all has ended that follows from these jobs, or as long as it may. What was seen
    /// last is known in any case.
    pub(super) async fn until_over(
        &self,
        stored: &[Envelope],
        told: impl Future<Output = ()>,
    ) -> (Vec<Outcome>, Over) {
        let of = |stored: &Envelope| {
            let (project, pr) = (stored.job.project().clone(), stored.job.pr());
            Outcome::new(stored.id.clone(), project, pr)
        };
        let now = self.clock.instant();
        let mut view = View {
            waiting: self,
            cause: stored.first().map_or("", |stored| &stored.cause),
            outcomes: stored.iter().map(of).collect(),
            progress: Progress::default(),
            begun: now,
            news_at: now,
            unseen: None,
        };
        let over = view.watch(told).await;
        (view.outcomes, over)
    }
}

/// What ends the waiting from outside.
enum Stopped {
    Told,
    Limit,
}

impl View<'_> {
    async fn watch(&mut self, told: impl Future<Output = ()>) -> Over {
        let clock = Arc::clone(&self.waiting.clock);
        let limit = clock.sleep(self.waiting.limit);
        let stopped = async {
            tokio::select! {
                biased;
                () = told => Stopped::Told,
                () = limit => Stopped::Limit,
            }
        };
        let mut stopped = pin!(stopped);
        loop {
            let stopped = tokio::select! {
                biased;
                over = self.look() => match over {
                    Some(over) => return over,
                    None => tokio::select! {
                        stopped = &mut stopped => stopped,
                        () = clock.sleep(EVERY) => continue,
                    },
                },
                stopped = &mut stopped => stopped,
            };
            return match (stopped, self.unseen.take()) {
                (Stopped::Told, _) => Over::Told,
                (Stopped::Limit, Some((_, why))) => Over::Unseen(why),
                (Stopped::Limit, None) => Over::Limit(self.waiting.limit),
            };
        }
    }

    /// Looks once, and tells what is new.
    async fn look(&mut self) -> Option<Over> {
        let seen = self.read().await;
        let now = self.waiting.clock.instant();
        if let Err(error) = seen {
            let why = self.waiting.redactor.redact(&error.to_string()).into_owned();
            if self.unseen.is_none() {
                self.say(&format!("{why}; trying again"));
            }
            let (since, said) = self.unseen.get_or_insert((now, String::new()));
            said.clone_from(&why);
            let is_over = now.saturating_duration_since(*since) >= PATIENCE;
            return is_over.then_some(Over::Unseen(why));
        }
        self.unseen = None;
        let news = self.outcomes.iter().flat_map(|outcome| self.progress.news(outcome));
        let mut news: Vec<String> = news.collect();
        if !news.is_empty() {
            self.news_at = now;
        } else if now.saturating_duration_since(self.news_at) >= QUIET {
            self.news_at = now;
            let waited_for = self.outcomes.iter().filter(|outcome| !outcome.has_ended());
            news.extend(waited_for.map(still));
        }
        for line in news {
            self.say(&line);
        }
        self.outcomes.iter().all(Outcome::has_ended).then_some(Over::Ended)
    }

    /// Reads what has become of the jobs. What a job has shown is told before its end is, and so
    /// read after it.
    async fn read(&mut self) -> Result<(), StoreError> {
        let journal = &self.waiting.journal;
        let trail = journal.trail(self.cause).await?;
        for outcome in &mut self.outcomes {
            let (project, pr) = (&outcome.project, outcome.pr);
            let is_of = |followed: &Followed| followed.project == *project && followed.pr == pr;
            let of = trail.iter().filter(|(_, followed)| is_of(followed));
            let followed = of.map(|(job, followed)| Some((job.parse().ok()?, followed.clone())));
            let followed = followed.flatten().collect();
            outcome.followed = followed;
            let head = outcome.own().and_then(|own| own.head.clone());
            if let Some(head) = head {
                outcome.shown = journal.shown(&outcome.project, pr, &head).await?;
            }
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        let now = self.waiting.clock.instant();
        let since = now.saturating_duration_since(self.begun).as_secs();
        let line = self.waiting.redactor.redact(line);
        anstream::println!("{since:>6} s  {}", harmless(&line));
    }
}
