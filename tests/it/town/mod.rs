//! A town: a GitHub stand-in over HTTP, a producer, a worker, and people, to tell stories with.
//!
//! Everything is real but SQLMesh, which is scripted (see `engine`): signed webhooks, git over
//! authenticated HTTP, the octocrab adapter. Nothing sleeps: a story waits for what it tells.

use std::sync::Arc;
use std::time::Duration;

use sluice::metrics::Metrics;
use sluice::observe::What;
use sluice::outcome::{DeployOutcome, Reason, Stage};
use sluice::pipeline::Deps;
use sluice::policy::Policy;
use sluice::queue::memory::MemoryQueue;
use sluice_conformance::Watched;
use sluice_service::{Bound, Ended, Shutdown};
use sluice_sim::faults::Faults;
use sluice_sim::world::{CheckConclusion, RequestKind, Role};
use sluice_sim::{Actor, Pr, PrSnapshot, PrSpec, Receiver, RepositoryName};
use sluice_worker::run::{Graces, Slots, run};
use tokio_util::sync::CancellationToken;

mod asked;
mod engine;
mod heard;
mod hour;
mod leases;
mod losing;
mod once;
mod setup;
mod succession;

pub use engine::{Scripted, Warehouse};
use heard::Heard;
pub use hour::Ahead;
pub use leases::{Answers, Call, Losable};
pub use losing::Losing;
pub use once::shown_twice;
use setup::{Behind, MODELS};
pub use setup::{PATIENCE, SECRET, Setup, mirrors, policy, written};

pub const LINTER: &str = "SQLMesh - Linter";
pub const TESTS: &str = "SQLMesh - Run Unit Tests";
pub const APPROVAL: &str = "SQLMesh - Has Required Approval";
pub const PR_ENVIRONMENT: &str = "SQLMesh - PR Environment Synced";
pub const PROD_PLAN: &str = "SQLMesh - Prod Plan Preview";
pub const DEPLOY: &str = "SQLMesh - Prod Environment Synced";

/// What most stories want revenue to be.
pub const TAXED: &str = "SELECT 1.2 AS revenue\n";

/// The town.
pub struct Town {
    pub github: Watched,
    pub repository: RepositoryName,
    pub warehouse: Arc<Warehouse>,
    pub deps: Deps,
    pub queue: Arc<MemoryQueue>,
    pub losing: Arc<Losing>,
    pub leases: Arc<Losable>,
    /// Opens pull requests.
    pub alice: Actor,
    /// Opens pull requests.
    pub bob: Actor,
    /// The required approver.
    pub carol: Actor,
    /// May write, and no more.
    pub mallory: Actor,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<Ahead>,
    heard: Arc<Heard>,
    slots: Slots,
    graces: Graces,
    stop: CancellationToken,
    pub shutdown: Shutdown,
    worker: Option<tokio::task::JoinHandle<Ended>>,
    producer: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Town {
    /// A town with one project, one approver (carol), and one worker.
    pub async fn start() -> Self {
        Self::of(Setup::default()).await
    }

    /// A town whose project has this policy.
    pub async fn with(policy: Policy) -> Self {
        Self::of(Setup { policy, ..Setup::default() }).await
    }

    /// A town that is set up so.
    pub async fn of(setup: Setup) -> Self {
        let github = Watched::start(setup::standin()).await.unwrap();
        let files = setup.files();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), &**text)).collect();
        let repository = github.repository("acme/warehouse").with_files(&files).await.unwrap();
        let [alice, bob, carol, mallory] =
            ["alice", "bob", "carol", "mallory"].map(|login| github.user(login));
        let person = setup.person.map(|login| github.user(login));
        for actor in [&alice, &bob, &carol, &mallory].into_iter().chain(&person) {
            actor.joins(&repository, Role::Write).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let behind = Behind::new(&setup, &github, folder.path());
        let Behind { deps, producer, queue, losing, leases, warehouse, metrics, clock, heard } =
            behind;
        for (name, sql) in MODELS {
            warehouse.is_changed_by_hand("prod", name, sql);
        }
        let (stop, shutdown) = (CancellationToken::new(), Shutdown::default());
        let Setup { slots, graces, .. } = setup;
        let worker = tokio::spawn(run(deps.clone(), slots, graces, shutdown.clone()));
        let bound = Bound::new(producer.0.listen).await.unwrap();
        let url = format!("http://{}/webhooks/github", bound.address());
        let producer = sluice_producer::serve(bound, producer.0, producer.1, stop.clone());
        let producer = tokio::spawn(producer);
        github.deliver_to(Receiver { url, secret: SECRET.to_owned() });
        Self {
            github,
            repository,
            warehouse,
            deps,
            queue,
            losing,
            leases,
            alice,
            bob,
            carol,
            mallory,
            metrics,
            clock,
            heard,
            slots,
            graces,
            stop,
            shutdown,
            worker: Some(worker),
            producer,
            _folder: folder,
        }
    }

    /// Alice opens a pull request that writes one model.
    pub async fn pr(&self, branch: &str, model: &str, sql: &str) -> Pr {
        let spec = PrSpec::new(branch).file(&format!("models/{model}.sql"), sql);
        self.alice.opens_pr(&self.repository, spec).await.unwrap()
    }

    /// The same, gated.
    pub async fn gated_pr(&self, branch: &str, model: &str, sql: &str) -> Pr {
        let pr = self.pr(branch, model, sql).await;
        self.until_gated(&pr).await;
        pr
    }

    /// Waits until the gate has its result and it is judged.
    pub async fn until_gated(&self, pr: &Pr) {
        self.until_concluded(pr, PROD_PLAN).await;
        self.until_quiet().await;
    }

    /// A required check of another app on main, or something else that protects it.
    pub async fn protects_main(&self, rule: sluice_sim::world::Protection) {
        let repository = self.repository.clone();
        let set =
            move |world: &mut sluice_sim::World| world.protect(&repository, "main", Some(rule));
        self.github.change(set).await.unwrap();
    }

    /// Something goes wrong on GitHub's side.
    pub async fn spoils(&self, spoil: impl FnOnce(&mut Faults) + Send + 'static) {
        let change = |world: &mut sluice_sim::World| {
            spoil(&mut world.faults);
            Ok(())
        };
        self.github.change(change).await.unwrap();
    }

    /// Somebody writes a command, not within the second of the push.
    pub async fn commands(&self, who: &Actor, pr: &Pr, body: &str) -> u64 {
        self.passes_a_second().await;
        who.comments(pr, body).await.unwrap()
    }

    /// Waits until a command is noted down, to be obeyed when the gate is done.
    pub async fn until_a_command_waits(&self, pr: &Pr) {
        let marked = |seen: &PrSnapshot| {
            seen.check(DEPLOY)?.summary.as_ref()?.contains("sluice:command").then_some(())
        };
        self.until(pr, "a command waits", marked).await;
    }

    /// Lets a second pass: GitHub's times count nothing less.
    pub async fn passes_a_second(&self) {
        self.leaps(Duration::from_secs(1)).await;
    }

    /// Waits until a check of the pull request's head is concluded; says how.
    pub async fn until_concluded(&self, pr: &Pr, check: &str) -> CheckConclusion {
        let concluded = |seen: &PrSnapshot| seen.conclusion(check);
        self.until(pr, check, concluded).await
    }

    /// Waits until a check is concluded so.
    pub async fn until_check(&self, pr: &Pr, check: &str, conclusion: CheckConclusion) {
        let so = |seen: &PrSnapshot| (seen.conclusion(check) == Some(conclusion)).then_some(());
        self.until(pr, &format!("{check}: {conclusion:?}"), so).await;
    }

    /// Waits until a check's title holds the text.
    pub async fn until_says(&self, pr: &Pr, check: &str, text: &str) {
        let so = |seen: &PrSnapshot| {
            let title = seen.check(check)?.title.as_ref()?;
            title.contains(text).then_some(())
        };
        self.until(pr, &format!("{check}: {text}"), so).await;
    }

    /// Waits until the pull request is deployed and merged.
    pub async fn until_deployed(&self, pr: &Pr) {
        self.until_check(pr, DEPLOY, CheckConclusion::Success).await;
        self.until(pr, "merged", |seen| seen.is_merged().then_some(())).await;
    }

    /// Waits for something on the pull request; shows it all when that does not come.
    pub async fn until<T>(
        &self,
        pr: &Pr,
        what: &str,
        mut happened: impl FnMut(&PrSnapshot) -> Option<T>,
    ) -> T {
        let look = |world: &sluice_sim::World| happened(&PrSnapshot::take(world, pr).unwrap());
        match self.github.until(PATIENCE, look).await {
            Ok(found) => found,
            Err(error) => panic!("{what}: {error}\n{:#?}\n{}", self.see(pr), self.heard.all()),
        }
    }

    /// Waits until a job of the pull request has told something.
    pub async fn until_told(&self, pr: &Pr, told: impl Fn(&What) -> bool) {
        let heard = tokio::time::timeout(PATIENCE, self.heard.until(pr.number, told)).await;
        assert!(heard.is_ok(), "it was not told:\n{}", self.heard.all());
    }

    /// Waits until a stage of that name has begun for the pull request.
    pub async fn until_stage(&self, pr: &Pr, stage: Stage) {
        self.until_told(pr, |what| matches!(what, What::StageStarted(begun) if *begun == stage))
            .await;
    }

    /// The title of a check on a commit that need not be a head any more.
    pub fn title_on(&self, commit: &sluice_sim::Oid, check: &str) -> Option<String> {
        self.github.world(|world| {
            let runs = world.repository(&self.repository).unwrap().latest_runs(commit);
            runs.into_iter().find(|run| run.name == check)?.output.title.clone()
        })
    }

    /// How many check runs of that name the head has.
    pub fn runs(&self, pr: &Pr, check: &str) -> usize {
        let head = self.see(pr).head;
        self.github.world(|world| {
            let repository = world.repository(&self.repository).unwrap();
            repository.runs_of(&head).filter(|run| run.name == check).count()
        })
    }

    /// The pull request now.
    pub fn see(&self, pr: &Pr) -> PrSnapshot {
        self.github.pr(pr).unwrap()
    }

    /// How a check of the head is concluded.
    pub fn conclusion(&self, pr: &Pr, check: &str) -> Option<CheckConclusion> {
        self.see(pr).conclusion(check)
    }

    /// What a check says: title and summary.
    pub fn says(&self, pr: &Pr, check: &str) -> String {
        let seen = self.see(pr);
        let check = seen.check(check).unwrap_or_else(|| panic!("no {check}: {seen:#?}"));
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}\n{}", text(&check.title), text(&check.summary))
    }

    /// The sticky comment; there is never more than one.
    pub fn comment(&self, pr: &Pr) -> String {
        let seen = self.see(pr);
        let ours: Vec<_> =
            seen.comments.iter().filter(|c| c.body.contains("<!-- sluice:comment")).collect();
        assert!(ours.len() <= 1, "one sticky comment: {ours:#?}");
        ours.first().map(|comment| comment.body.clone()).unwrap_or_default()
    }

    /// The text of a model on main.
    pub fn on_main(&self, model: &str) -> Option<String> {
        let path = format!("models/{model}.sql");
        let text = self.github.world(|world| {
            let repository = world.repository(&self.repository).unwrap();
            repository.file(repository.tip("main").unwrap(), &path).unwrap()
        });
        text.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// The text of a model in prod.
    pub fn in_prod(&self, model: &str) -> Option<String> {
        self.warehouse.model("prod", model)
    }

    /// How often something was applied to prod.
    pub fn prod_applies(&self) -> usize {
        self.warehouse.applied().iter().filter(|environment| *environment == "prod").count()
    }

    /// Waits until no job is waiting or running and no webhook is on its way.
    pub async fn until_quiet(&self) {
        let quiet = async {
            self.github.until_delivered(PATIENCE).await.unwrap();
            self.queue.drained().await;
            // What the last job did may have sent webhooks, and those may have made jobs.
            self.github.until_delivered(PATIENCE).await.unwrap();
            self.queue.drained().await;
        };
        let quiet = tokio::time::timeout(PATIENCE, quiet).await;
        assert!(quiet.is_ok(), "still busy:\n{}", self.heard.all());
    }

    /// Why something was refused, by pull request.
    pub fn refusals(&self, pr: &Pr) -> Vec<Reason> {
        self.heard.refusals(pr.number)
    }

    /// How many stages of that name ran for the pull request.
    pub fn stages(&self, pr: &Pr, stage: Stage) -> usize {
        self.heard.stages(pr.number, stage)
    }

    /// What the deploys of the pull request came to.
    pub fn deploys(&self, pr: &Pr) -> Vec<DeployOutcome> {
        self.heard.deploys(pr.number)
    }

    /// Everything that was told.
    pub fn all(&self) -> String {
        self.heard.all()
    }

    /// The lines of the pull request's timeline.
    pub fn notes(&self, pr: &Pr) -> String {
        self.heard.notes(pr.number)
    }

    /// The value of a metric's line.
    pub fn metric(&self, line: &str) -> Option<String> {
        let text = self.metrics.render().unwrap();
        text.lines().find_map(|l| Some(l.strip_prefix(line)?.trim().to_owned()))
    }

    /// The API requests (git excluded) that were made so far, for people.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.github.requests();
        let api = requests.iter().filter(|request| request.kind != RequestKind::Git);
        api.map(|r| format!("{} {} {:?} {}", r.method, r.path, r.operations, r.status)).collect()
    }

    /// The end of a story: quiet, nothing dead, nothing held, no two applies at once.
    pub async fn finish(self) {
        self.until_quiet().await;
        let held = self.held().await;
        assert!(held.is_empty(), "leases at the end: {held:#?}");
        self.finish_with(0).await;
    }

    /// The end of a story in which so many jobs fail for good.
    pub async fn finish_with(mut self, dead: usize) {
        self.until_quiet().await;
        let letters = self.queue.dead();
        assert_eq!(letters.len(), dead, "dead letters: {letters:#?}\n{}", self.heard.all());
        assert_eq!(self.warehouse.overlaps(), Vec::<String>::new(), "applies overlapped");
        assert_eq!(self.github.world(once::shown_wrongly), Vec::<String>::new(), "shown");
        self.stop.cancel();
        self.shutdown.drain.cancel();
        self.is_left_by_its_worker().await;
        self.producer.await.unwrap();
    }

    /// The leases that are held or reserved, but for a sweep's, which nobody gives back.
    pub async fn held(&self) -> Vec<sluice::lease::LeaseInfo> {
        let mut held = self.deps.leases.inspect(&self.deps.projects[0].name).await.unwrap();
        held.retain(leases::is_somebodys);
        held
    }
}
