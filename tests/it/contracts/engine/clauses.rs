//! The clauses of the `Engine` contract. Each says one promise of `src/engine.rs`.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use sluice::engine::{
    Change, EngineError, Fence, Plan, PlanRequest, Progress, Purpose, Session, Source, Watch,
};
use sluice::github::MergeMethod;
use sluice::names::{Environment, PolicySha, Sha};
use sluice::policy::BotOptions;
use tokio_util::sync::CancellationToken;

use super::Bench;

/// How long anything is waited for: a bound against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says the same before every stage, and remembers that it was asked.
struct Gate(Fence, Mutex<Vec<String>>);

impl Gate {
    fn says(fence: Fence) -> Self {
        Self(fence, Mutex::default())
    }

    fn asked(&self) -> usize {
        self.1.lock().unwrap().len()
    }
}

#[async_trait]
impl Watch for Gate {
    async fn may_start(&self, stage: &str) -> Fence {
        self.1.lock().unwrap().push(stage.to_owned());
        self.0
    }

    fn progress(&self, _: Progress) {}
}

/// Cancels the job when it is asked first, and never answers.
struct Fatal(CancellationToken);

#[async_trait]
impl Watch for Fatal {
    async fn may_start(&self, _: &str) -> Fence {
        self.0.cancel();
        std::future::pending().await
    }

    fn progress(&self, _: Progress) {}
}

fn policy_id(id: &str) -> PolicySha {
    PolicySha::new(id).unwrap()
}

fn topic_environment() -> Environment {
    Environment::new("warehouse_7").unwrap()
}

fn request(purpose: Purpose) -> PlanRequest {
    let environment = match purpose {
        Purpose::Pr => topic_environment(),
        Purpose::ProdPreview | Purpose::Prod => Environment::prod(),
    };
    let options = BotOptions {
        auto_categorize_changes: serde_json::json!({"sql": "full"}),
        skip_pr_backfill: false,
        ..crate::town::policy().bot
    };
    PlanRequest { purpose, environment, options, head_branch: "topic".to_owned() }
}

async fn open(bench: &impl Bench, source: &Source) -> Box<dyn Session> {
    bench.engine().open(source, CancellationToken::new()).await.unwrap()
}

async fn refusal(bench: &impl Bench, source: &Source, cancel: CancellationToken) -> EngineError {
    let Err(error) = bench.engine().open(source, cancel).await else { panic!("it was opened") };
    error
}

async fn plan(session: &mut Box<dyn Session>, purpose: Purpose) -> Plan {
    session.load().await.unwrap();
    session.plan(&request(purpose)).await.unwrap()
}

pub(super) async fn a_sound_change_is_merged_into_the_base_and_passes(bench: &impl Bench) {
    let pr = bench.village().pr(&bench.orders(20)).await;
    bench.village().pushes(&("README.md".to_owned(), "Our shop.\n".to_owned())).await;
    let mut session = open(bench, &bench.village().source(&pr)).await;
    let checkout = session.checkout().clone();
    assert_eq!(session.load().await.unwrap().models, 2);
    assert_eq!(session.lint().await.unwrap().errors, [""; 0]);
    let tests = session.test().await.unwrap();
    assert!(tests.ran > 0 && tests.failures.is_empty(), "{tests:?}");
    session.close().await.unwrap();
    let merged = bench.village().merged_tree(&pr).await;
    assert_eq!((&checkout.tree, &checkout.project_tree), (&merged, &merged));
}

pub(super) async fn findings_are_reports_and_no_errors(bench: &impl Bench) {
    bench.village().pushes(&bench.failing_totals()).await;
    let pr = bench.village().pr(&bench.untidy()).await;
    let mut session = open(bench, &bench.village().source(&pr)).await;
    session.load().await.unwrap();
    let tests = session.test().await.unwrap();
    let [failure] = &tests.failures[..] else { panic!("one test fails: {tests:?}") };
    assert!(failure.name.contains("test_totals") && !failure.text.is_empty(), "{failure:?}");
    let lint = session.lint().await.unwrap();
    assert!(matches!(&lint.errors[..], [error] if error.contains("untidy")), "{lint:?}");
    session.close().await.unwrap();
}

pub(super) async fn an_applied_plan_is_what_the_environment_stands_at(bench: &impl Bench) {
    let pr = bench.village().pr(&bench.orders(20)).await;
    let source = bench.village().source(&pr);
    let mut session = open(bench, &source).await;
    let first = plan(&mut session, Purpose::Pr).await;
    assert!(first.is_new_environment && first.has_effect && first.has_changes);
    let added = |name| {
        let name = bench.name(name);
        first.models.iter().any(|m| m.name == name && m.change == Change::Added)
    };
    assert!(added("orders") && added("totals"), "{:?}", first.models);
    // What stands before the `@` is the adapter's own: SQLMesh's name is quoted, with a catalog.
    let built = |key: &&String| key.contains("orders") && key.contains('@');
    assert_eq!(first.builds.iter().filter(built).count(), 1, "{:?}", first.builds);
    let watch = Gate::says(Fence::Go);
    let applied = session.apply(&first, &watch).await.unwrap();
    assert!(applied.changed && watch.asked() > 0);
    assert_eq!(applied.plan_id.as_ref(), Some(&first.plan_id));
    session.close().await.unwrap();

    let mut session = open(bench, &source).await;
    let again = plan(&mut session, Purpose::Pr).await;
    assert!(!again.is_new_environment && !again.has_changes && !again.has_effect);
    assert!(again.models.is_empty() && again.builds.is_empty() && again.digest_input.is_empty());
    let watch = Gate::says(Fence::Go);
    assert!(!session.apply(&again, &watch).await.unwrap().changed);
    assert_eq!(watch.asked(), 0, "there was nothing to begin");
    let state = session.environment(&topic_environment()).await.unwrap().unwrap();
    assert_eq!((state.plan_id, state.finalized), (first.plan_id, true));
    assert_eq!(session.environment(&Environment::prod()).await.unwrap(), None);
    session.close().await.unwrap();

    let later = bench.village().pr_on("later", &bench.orders(30)).await;
    let mut session = open(bench, &bench.village().source(&later)).await;
    let modified = plan(&mut session, Purpose::Pr).await;
    let changes: Vec<_> = modified.digest_input.iter().map(|d| (&d.name, d.change)).collect();
    assert_eq!(changes, [(&bench.name("orders"), Change::DirectlyModified)]);
    session.close().await.unwrap();
}

pub(super) async fn nothing_begins_after_the_watch_says_halt(bench: &impl Bench) {
    let pr = bench.village().pr(&bench.orders(20)).await;
    let mut session = open(bench, &bench.village().source(&pr)).await;
    let prod = plan(&mut session, Purpose::Prod).await;
    let watch = Gate::says(Fence::Halt);
    let error = session.apply(&prod, &watch).await.unwrap_err();
    assert!(matches!(error, EngineError::Halted(_)), "{error:?}");
    assert_eq!(watch.asked(), 1);
    assert_eq!(session.environment(&Environment::prod()).await.unwrap(), None);
    session.close().await.unwrap();
}

pub(super) async fn what_cannot_be_merged_says_why(bench: &impl Bench) {
    let pr = bench.village().pr(&bench.orders(20)).await;
    let unknown = Source { head: Sha::new("d".repeat(40)).unwrap(), ..bench.village().source(&pr) };
    let error = refusal(bench, &unknown, CancellationToken::new()).await;
    assert!(matches!(&error, EngineError::NoCommit(head) if *head == unknown.head), "{error:?}");
    let (path, text) = bench.orders(30);
    bench.village().pushes(&(path.clone(), text)).await;
    let error = refusal(bench, &bench.village().source(&pr), CancellationToken::new()).await;
    assert!(
        matches!(&error, EngineError::MergeConflict { files } if *files == [path]),
        "{error:?}"
    );
}

pub(super) async fn who_is_cancelled_is_told_so(bench: &impl Bench) {
    let pr = bench.village().pr(&bench.orders(20)).await;
    let source = bench.village().source(&pr);
    let cancel = CancellationToken::new();
    let mut session = bench.engine().open(&source, cancel.clone()).await.unwrap();
    let prod = plan(&mut session, Purpose::Prod).await;
    let in_flight = Fatal(cancel.clone());
    let applying = tokio::time::timeout(PATIENCE, session.apply(&prod, &in_flight));
    let error = applying.await.expect("it did not hear").unwrap_err();
    assert!(matches!(error, EngineError::Cancelled), "{error:?}");
    let error = session.load().await.unwrap_err();
    assert!(matches!(error, EngineError::Cancelled), "every call after it: {error:?}");
    drop(session);
    let error = refusal(bench, &source, cancel).await;
    assert!(matches!(error, EngineError::Cancelled), "{error:?}");

    let cancel = CancellationToken::new();
    let mut session = bench.engine().open(&source, cancel.clone()).await.unwrap();
    cancel.cancel();
    let error = session.load().await.unwrap_err();
    assert!(matches!(error, EngineError::Cancelled), "the next call: {error:?}");
    drop(session);
    let mut session = open(bench, &source).await;
    session.load().await.expect("the next session has a seat and a warehouse");
    assert_eq!(session.environment(&Environment::prod()).await.unwrap(), None);
    session.close().await.unwrap();
}

pub(super) async fn a_policy_is_the_base_commits_and_is_read_once(bench: &impl Bench) {
    let (engine, project) = (bench.engine(), bench.village().project());
    let first = engine.policy(project, &bench.village().base(), &policy_id("a1")).await.unwrap();
    assert_eq!(first.approvers.iter().map(|a| a.as_str()).collect::<Vec<_>>(), ["carol"]);
    assert!(first.bot.enable_deploy_command && first.linter);
    assert_eq!(first.bot.merge_method, Some(MergeMethod::Squash));
    // A pull request's own configuration decides nothing.
    bench.village().pr(&bench.configuration("mallory")).await;
    bench.village().pushes(&bench.configuration("dave")).await;
    let base = bench.village().base();
    let second = engine.policy(project, &base, &policy_id("b2")).await.unwrap();
    assert_eq!(second.approvers.iter().map(|a| a.as_str()).collect::<Vec<_>>(), ["dave"]);
    let nowhere = Sha::new("d".repeat(40)).unwrap();
    let known = engine.policy(project, &nowhere, &policy_id("a1")).await.unwrap();
    assert_eq!(known, first, "what was read before needs no git");
    let error = engine.policy(project, &nowhere, &policy_id("c3")).await.unwrap_err();
    assert!(matches!(error, EngineError::NoCommit(_)), "{error:?}");
}

pub(super) async fn an_environment_that_is_not_there_can_be_removed(bench: &impl Bench) {
    let pr = bench.village().pr(&bench.orders(20)).await;
    let mut session = open(bench, &bench.village().source(&pr)).await;
    session.load().await.unwrap();
    assert_eq!(session.environment(&topic_environment()).await.unwrap(), None);
    session.invalidate(&topic_environment()).await.unwrap();
    let (used, least) = (session.close().await.unwrap(), bench.least_used());
    assert!(used.cpu >= least.cpu && used.peak_rss >= least.peak_rss, "{used:?}");
}
