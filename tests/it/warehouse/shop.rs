//! A SQLMesh project on PostgreSQL, and workers that have bridges for it: each its own processes,
//! its own checkout, and its own connection to state and warehouse.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sluice::clock::SystemClock;
use sluice::engine::{
    Applied, Checkout, EngineError, Fence, Plan, PlanRequest, Progress, Purpose, Session, Watch,
};
use sluice::names::{Environment, Sha};
use sluice::project::{Project, Python};
use sluice_worker::sqlmesh::{
    BridgeSession, Bridges, Environments, Settings, Site, default_folder,
};
use tempfile::TempDir;
use tokio::sync::{Barrier, watch};
use tokio_util::sync::CancellationToken;

use super::database::Database;
use crate::town::{Setup, policy};

/// What a test waits for at most: a bound against hanging, not a measure of speed.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A model that is there from the beginning.
const ORDERS: &str = "MODEL (name shop.orders, kind FULL, columns (id INT, amount INT));\n\
                      SELECT 1 AS id, 10 AS amount\n";

/// A new incremental model. Its query asks `public.meet()` once, in the transaction in which
/// SQLMesh has deleted the interval's rows and not yet inserted the new ones.
pub(super) const EVENTS: &str = "MODEL (
  name shop.events, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-01-01',
  end '2024-01-02', columns (ds DATE, id INT, met INT)
);
SELECT '2024-01-01'::DATE AS ds, numbers.id AS id, m.met AS met
FROM (SELECT public.meet() AS met) AS m
CROSS JOIN (VALUES (1), (2), (3)) AS numbers(id)
WHERE '2024-01-01'::DATE BETWEEN @start_ds AND @end_ds
";

/// Where those who come wait until as many are there as were invited. A sequence counts them, as it
/// is the one thing that others see before a commit. The wait has a bound.
const MEETING: &str = r#"
CREATE SEQUENCE public.arrivals;
CREATE TABLE public.invited (guests INT);
CREATE FUNCTION public.until_here(guests INT) RETURNS VOID LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  until TIMESTAMPTZ := clock_timestamp() + interval '60 seconds';
BEGIN
  WHILE (SELECT NOT is_called OR last_value < guests FROM public.arrivals) LOOP
    IF clock_timestamp() > until THEN
      RAISE EXCEPTION 'fewer than % came', guests;
    END IF;
    PERFORM pg_sleep(0.005);
  END LOOP;
END $$;
CREATE FUNCTION public.meet() RETURNS INT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  came INT := nextval('public.arrivals');
BEGIN
  PERFORM public.until_here((SELECT guests FROM public.invited));
  RETURN came;
END $$;
"#;

/// The project and its warehouse.
pub(crate) struct Shop {
    pub(crate) database: Database,
}

/// A worker of the project.
pub(super) struct Worker {
    folder: TempDir,
    project: Project,
    bridges: Bridges,
}

impl Shop {
    /// A database, and nothing in it.
    pub(crate) async fn empty() -> Self {
        Self { database: Database::new().await }
    }

    /// A shop whose prod has one model.
    pub(super) async fn new() -> Self {
        let shop = Self::empty().await;
        shop.database.ask(&[MEETING]);
        shop.invites(1);
        let mut session = shop.worker().loaded().await;
        let prod = plan(&mut session, &Environment::prod()).await;
        session.apply(&prod, &Going).await.unwrap();
        Box::new(session).close().await.unwrap();
        shop
    }

    /// So many have to come before the next meeting ends.
    pub(super) fn invites(&self, guests: u32) {
        let invite = format!("INSERT INTO public.invited VALUES ({guests})");
        let anew = "SELECT setval('public.arrivals', 1, false)";
        self.database.ask(&["DELETE FROM public.invited", &invite, anew]);
    }

    /// A worker with the project as it was in the beginning.
    pub(super) fn worker(&self) -> Worker {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::new(|line: &str| println!("{line}"));
        let environments =
            Environments { folder: default_folder().unwrap(), base: "python3".into(), told };
        let bridges = Bridges::new(Settings::new(environments), Arc::new(SystemClock)).unwrap();
        let python = Python::Interpreter(self.database.python.clone());
        let project = Project { python, ..Setup::default().project };
        let worker = Worker { folder, project, bridges };
        worker.writes("config.yaml", &self.configuration());
        worker.writes("models/orders.sql", ORDERS);
        worker
    }

    /// The project's configuration, as far as it is about the warehouse.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "gateways: {{warehouse: {{connection: {}}}}}\ndefault_gateway: warehouse\n\
             model_defaults: {{dialect: postgres, start: '2024-01-01'}}\n",
            self.database.connection()
        )
    }

    /// How many rows the new model has in an environment, and how many it should have.
    pub(super) fn rows(&self, environment: &Environment) -> (u64, u64) {
        let schema = match environment == &Environment::prod() {
            true => "shop".to_owned(),
            false => format!("shop__{environment}"),
        };
        let counted = format!("SELECT count(*), count(DISTINCT id) FROM {schema}.events");
        let rows = self.database.ask(&[&counted]);
        (rows[0][0].parse().unwrap(), rows[0][1].parse().unwrap())
    }
}

impl Worker {
    /// Changes a file of its checkout.
    pub(super) fn writes(&self, name: &str, text: &str) {
        let path = self.folder.path().join("project").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Removes a file of its checkout.
    pub(super) fn removes(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join("project").join(name)).unwrap();
    }

    /// A session whose project is loaded.
    pub(super) async fn loaded(&self) -> BridgeSession {
        let sha = Sha::new("a".repeat(40)).unwrap();
        let site = Site {
            folder: self.folder.path().join("project"),
            cache: self.folder.path().join("cache"),
            checkout: Checkout { tree: sha.clone(), project_tree: sha },
            keep: None,
        };
        let opened = self.bridges.session(&self.project, site, CancellationToken::new());
        let mut session = opened.await.unwrap();
        session.load().await.unwrap();
        session
    }
}

/// A plan for prod or a pull request's environment, everything categorized and backfilled.
pub(super) async fn plan(session: &mut BridgeSession, environment: &Environment) -> Plan {
    let purpose = match *environment == Environment::prod() {
        true => Purpose::Prod,
        false => Purpose::Pr,
    };
    let mut options = policy().bot;
    options.auto_categorize_changes = serde_json::json!({"sql": "full", "python": "full"});
    options.skip_pr_backfill = false;
    let head_branch = "topic".to_owned();
    let request = PlanRequest { purpose, environment: environment.clone(), options, head_branch };
    session.plan(&request).await.unwrap()
}

/// Nobody minds.
pub(super) struct Going;

#[async_trait]
impl Watch for Going {
    async fn may_start(&self, _: &str) -> Fence {
        Fence::Go
    }

    fn progress(&self, _: Progress) {}
}

/// Two applies that are led into each other: the second one begins when the first one stands before
/// a stage, and from there both go on together; or the first one goes on, and the second one when
/// the first one is at the meeting.
pub(super) struct Dance<'a> {
    stage: &'static str,
    meeting: Option<&'a Database>,
    first_is_there: watch::Sender<bool>,
    both: Barrier,
}

impl<'a> Dance<'a> {
    /// Both begin this stage together.
    pub(super) fn before(stage: &'static str) -> Self {
        let (first_is_there, both) = (watch::Sender::new(false), Barrier::new(2));
        Self { stage, meeting: None, first_is_there, both }
    }

    /// The second one begins its backfill when the first one is at the meeting in its own: its
    /// tables are made and committed by then.
    pub(super) fn to_the_meeting(shop: &'a Shop) -> Self {
        Self { meeting: Some(&shop.database), ..Self::before("backfill") }
    }

    /// Applies both plans as it is danced.
    pub(super) async fn apply(
        &self,
        first: (&mut BridgeSession, &Plan),
        second: (&mut BridgeSession, &Plan),
    ) -> [Result<Applied, EngineError>; 2] {
        let leads = Dancer { is_first: true, dance: self };
        let follows = Dancer { is_first: false, dance: self };
        let both = async {
            tokio::join!(first.0.apply(first.1, &leads), second.0.apply(second.1, &follows))
        };
        let (first, second) = tokio::time::timeout(PATIENCE * 2, both).await.expect("both end");
        [first, second]
    }
}

struct Dancer<'a> {
    is_first: bool,
    dance: &'a Dance<'a>,
}

#[async_trait]
impl Watch for Dancer<'_> {
    async fn may_start(&self, stage: &str) -> Fence {
        let dance = self.dance;
        if !self.is_first {
            dance.first_is_there.subscribe().wait_for(|there| *there).await.unwrap();
        }
        if stage != dance.stage {
            return Fence::Go;
        }
        if self.is_first {
            dance.first_is_there.send_replace(true);
        }
        match (dance.meeting, self.is_first) {
            (Some(database), false) => database.wait("SELECT public.until_here(1)").await,
            (Some(_), true) => {}
            (None, _) => {
                dance.both.wait().await;
            }
        }
        Fence::Go
    }

    fn progress(&self, _: Progress) {}
}
