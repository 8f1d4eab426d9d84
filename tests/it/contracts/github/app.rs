//! As a GitHub App: tokens that are made, shared, renewed, and made anew.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures_util::future::join_all;

use sluice::clock::{Clock, SystemClock};
use sluice::config::ChecksAs;
use sluice::github::{GitHub, GitHubError};
use sluice::names::Repository;
use sluice::observe::Observers;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world;
use sluice_sim::{Pr, Standin, StandinConfig};
use sluice_worker::github::{
    Auth, ExposeSecret as _, HttpGitHub, Patience, SecretString, Settings, SetupError, WriteLimits,
};

use super::town::Town;

const MINUTE: Duration = Duration::from_secs(60);

/// A clock that a test moves, on which every wait is over at once.
struct Moved {
    began: (SystemTime, Instant),
    by: Mutex<Duration>,
    /// How often somebody waited, as before another try.
    waits: AtomicUsize,
}

#[async_trait]
impl Clock for Moved {
    fn now(&self) -> SystemTime {
        self.began.0 + *self.by.lock().unwrap()
    }
    fn instant(&self) -> Instant {
        self.began.1 + *self.by.lock().unwrap()
    }
    async fn sleep(&self, _: Duration) {
        self.waits.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

/// A town in which the adapter is the App, and time stands still.
struct AppTown {
    town: Town,
    clock: Arc<Moved>,
    pr: Pr,
}

fn as_app(standin: &Standin, clock: Arc<Moved>) -> Settings {
    let private_key = SecretString::from(standin.private_key().unwrap());
    Settings {
        // As on a GitHub Enterprise server: the App's own paths are below the same prefix.
        api_url: format!("{}/api/v3", standin.url()),
        auth: Auth::App { id: StandinConfig::default().app.id, private_key },
        app: None,
        checks: ChecksAs::Auto,
        patience: Patience { request: Duration::from_secs(4), ..Patience::default() },
        limits: WriteLimits::NONE,
        observer: Arc::new(Observers::default()),
        clock,
    }
}

impl AppTown {
    async fn found() -> Self {
        let began = (SystemClock.now(), SystemClock.instant());
        let clock = Arc::new(Moved { began, by: Mutex::default(), waits: AtomicUsize::new(0) });
        let config =
            StandinConfig { clock: world::Clock::Set(clock.now()), ..StandinConfig::default() };
        let town = Town::around(config, |standin| as_app(standin, clock.clone())).await;
        let pr = town.pr("orders").await;
        Self { town, clock, pr }
    }

    /// Lets time pass here and at GitHub.
    async fn passes(&self, by: Duration) {
        *self.clock.by.lock().unwrap() += by;
        let advance = move |world: &mut sluice_sim::World| {
            world.clock().advance(by);
            Ok(())
        };
        self.town.standin.change(advance).await.unwrap();
    }

    async fn no_tokens_are_made(&self, times: u32, answer: Answer) {
        let matching =
            Matching::Rest { method: "POST".to_owned(), path: "access_tokens".to_owned() };
        let spoil = move |world: &mut sluice_sim::World| {
            world.faults.answer(matching, times, answer);
            Ok(())
        };
        self.town.standin.change(spoil).await.unwrap();
    }

    async fn is_read(&self) {
        self.town.github.facts(&self.town.ask(&self.pr)).await.unwrap();
    }

    /// How often was asked where the App is installed, and for a token.
    fn asked(&self) -> (usize, usize) {
        let requests = self.town.standin.requests();
        let ending = |end: &str| requests.iter().filter(|r| r.path.ends_with(end)).count();
        (ending("/installation"), ending("/access_tokens"))
    }

    async fn token(&self) -> String {
        let repository = Repository::new("acme/data").unwrap();
        let token = self.town.github.token(&repository).await.unwrap();
        token.expose_secret().to_owned()
    }
}

#[tokio::test]
async fn one_token_serves_all_requests_and_fetches() {
    let town = AppTown::found().await;
    join_all((0..10).map(|_| town.is_read())).await;
    assert_eq!(town.asked(), (1, 1));
    let token = town.token().await;
    assert!(token.starts_with("ghs_") && token != town.town.standin.token(), "one of its own");
    assert_eq!(town.asked(), (1, 1));
    let shown = format!("{:?}", as_app(&town.town.standin, town.clock.clone()).auth);
    assert!(!shown.contains("PRIVATE"), "{shown}");
}

#[tokio::test]
async fn a_check_run_that_the_app_wrote_is_known_as_ours() {
    let town = AppTown::found().await;
    let report = town.town.report(&town.pr, "gate:1").await;
    town.town.github.report(&report).await.unwrap();
    let facts = town.town.facts(&town.pr).await;
    assert_eq!(facts.checks.len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_hour_is_over() {
    let town = AppTown::found().await;
    let first = town.token().await;
    town.passes(44 * MINUTE).await;
    assert_eq!(town.token().await, first);
    town.passes(2 * MINUTE).await;
    assert_ne!(town.token().await, first);
    assert_eq!(town.asked(), (1, 2), "where it is installed is known");
    town.passes(24 * 60 * MINUTE).await;
    town.is_read().await;
}

#[tokio::test]
async fn while_no_new_token_is_made_the_old_one_serves() {
    let town = AppTown::found().await;
    let first = town.token().await;
    town.passes(50 * MINUTE).await;
    town.no_tokens_are_made(1, Answer::Status(502)).await;
    town.is_read().await;
    assert_eq!(town.token().await, first);
    assert_eq!(town.asked(), (1, 2), "who has the old one does not ask each time");
    town.passes(MINUTE).await;
    assert_ne!(town.token().await, first, "but soon again");
}

#[tokio::test]
async fn who_waits_for_a_new_token_in_vain_has_the_old_one_in_time() {
    let town = AppTown::found().await;
    let first = town.token().await;
    town.passes(50 * MINUTE).await;
    town.no_tokens_are_made(1, Answer::Slow(MINUTE)).await;
    join_all((0..3).map(|_| town.is_read())).await;
    assert_eq!((town.token().await, town.asked()), (first, (1, 1)), "the answer never came");
    assert_eq!(town.clock.waits.load(Ordering::SeqCst), 0, "nobody had to try again");
}

#[tokio::test]
async fn without_any_token_it_is_asked_again_and_then_said() {
    let town = AppTown::found().await;
    town.no_tokens_are_made(2, Answer::Status(502)).await;
    town.is_read().await;
    let town = AppTown::found().await;
    let limited = Answer::RateLimited { status: 403, retry_after: Some(MINUTE) };
    town.no_tokens_are_made(1, limited).await;
    let ask = town.town.ask(&town.pr);
    let error = town.town.github.facts(&ask).await.unwrap_err();
    assert!(matches!(error, GitHubError::Limited { after } if after == MINUTE), "{error:?}");
}

#[tokio::test]
async fn a_token_that_github_takes_no_longer_is_made_anew_once() {
    let town = AppTown::found().await;
    let revoke = |world: &mut sluice_sim::World| {
        world.revoke_tokens();
        Ok(())
    };
    town.is_read().await;
    town.passes(2 * MINUTE).await;
    town.town.standin.change(revoke).await.unwrap();
    town.is_read().await;
    assert_eq!(town.asked(), (1, 2));
    // A new one would be refused as well: something else is wrong.
    town.town.standin.change(revoke).await.unwrap();
    let ask = town.town.ask(&town.pr);
    let (read, requests) = town.town.counted(town.town.github.facts(&ask)).await;
    assert!(matches!(read, Err(GitHubError::Forbidden(_))), "{read:?}");
    assert_eq!((town.asked(), requests), ((1, 2), 1));
}

#[tokio::test]
async fn an_app_that_was_installed_anew_is_found() {
    let town = AppTown::found().await;
    town.is_read().await;
    let reinstall = |world: &mut sluice_sim::World| {
        world.reinstall(78);
        Ok(())
    };
    town.town.standin.change(reinstall).await.unwrap();
    town.passes(50 * MINUTE).await;
    town.is_read().await;
    assert_eq!(town.asked(), (2, 3), "under its old number it is gone");
}

#[tokio::test]
async fn where_the_app_is_not_installed_is_said() {
    let town = AppTown::found().await;
    let elsewhere = Repository::new("acme/elsewhere").unwrap();
    let error = town.town.github.token(&elsewhere).await.unwrap_err();
    let said = "GitHub refuses us: the App 4242 is not installed on acme/elsewhere";
    assert_eq!(error.to_string(), said);
    assert_eq!(town.asked(), (1, 0), "that is final");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_not_shown() {
    let town = AppTown::found().await;
    let mut settings = as_app(&town.town.standin, town.clock.clone());
    settings.auth = Auth::App { id: 1, private_key: SecretString::from("hunter2") };
    let Err(error) = HttpGitHub::new(&settings) else { panic!("it is a key") };
    assert!(matches!(error, SetupError::PrivateKey), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    // In a variable, line ends are often written so.
    let one_line = town.town.standin.private_key().unwrap().replace('\n', "\\n");
    settings.auth = Auth::App { id: 1, private_key: SecretString::from(one_line) };
    let github = HttpGitHub::new(&settings).unwrap();
    let error = github.token(&Repository::new("acme/data").unwrap()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Forbidden(_)), "another App's: {error:?}");
}
