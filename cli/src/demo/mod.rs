//! `sluice demo`: the whole main job on this machine, told as a story.
//!
//! What runs is what `sluice up` runs, from a configuration file that is written first; only GitHub
//! is a stand-in. It succeeds only when DuckDB and git say what the story told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use sluice::clock::{Clock, SystemClock};
use sluice::config::{Config, LogFormat, Role, Variables};
use sluice_service::{Bound, Shutdown, Stores};
use sluice_sim::world::RequestKind;
use sluice_sim::{Receiver, Standin, StandinConfig};
use sluice_worker::sqlmesh::{Environments, REQUIREMENTS};

use crate::assemble::assemble;
use crate::timeline::Timeline;

mod figures;
mod project;
mod story;
mod witness;

const REPOSITORY: &str = "acme/shop";

/// What the demo may be told.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave everything running at the end, until Ctrl-C: metrics, the stand-in, the files.
    #[arg(long)]
    keep: bool,
    /// Tell the main job once more at the end, alone, and print what it costs: requests and CPU.
    #[arg(long)]
    figures: bool,
    /// The folder for everything that the demo makes; a temporary one otherwise.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Tells the story and checks that it is true.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    sluice_service::log("warn", LogFormat::Text);
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let shutdown = Shutdown::on_signals()?;

    let set_up = set_up(&folder).await?;
    let timeline = Arc::new(Timeline::new(SystemClock.now()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (stores, queue) = Stores::in_memory(&set_up.config, &clock);
    let all = assemble(&set_up.config, set_up.environments, stores, vec![timeline.clone()])?;
    let bound = Bound::new(set_up.config.producer.listen).await?;
    let address = bound.address();
    let url = format!("http://{address}/webhooks/github");
    set_up.github.deliver_to(Receiver { url, secret: set_up.secret });
    let running = tokio::spawn(all.run(bound, shutdown.clone()));

    say("");
    let stage = story::Stage { github: set_up.github, repository: set_up.repository, timeline };
    let ended = tokio::select! {
        ended = tell_and_verify(&stage, &set_up.warehouse) => ended,
        () = shutdown.drain.cancelled() => {
            Err(anyhow::anyhow!("stopped before the end of the story"))
        }
    };
    if ended.is_ok() && options.figures {
        figures::measure(&stage, &queue).await?;
    }
    if ended.is_ok() && options.keep {
        say(&format!(
            "\nKept running until Ctrl-C: metrics at http://{address}/metrics, the GitHub stand-in \
             at {}, files in {}.",
            stage.github.url(),
            folder.display()
        ));
        shutdown.drain.cancelled().await;
    }
    shutdown.drain.cancel();
    running.await?;
    ended
}

async fn tell_and_verify(
    stage: &story::Stage,
    warehouse: &witness::Warehouse,
) -> anyhow::Result<()> {
    let told = story::tell(stage).await?;
    verify(stage, &told, warehouse).await
}

/// What stands before the story begins.
struct SetUp {
    config: Config,
    secret: String,
    github: Standin,
    repository: sluice_sim::RepositoryName,
    environments: Environments,
    warehouse: witness::Warehouse,
}

async fn set_up(folder: &Path) -> anyhow::Result<SetUp> {
    let began = SystemClock.instant();
    let told = Arc::new(move |line: &str| say(&format!("{:>5.1} s  {line}", since(began))));
    let environments = sluice_worker::environments(told.clone())?;
    let python = environments.interpreter(REQUIREMENTS).await?;

    let (project, database) = (folder.join("project"), folder.join("warehouse.duckdb"));
    project::write(&project, &database)?;
    let warehouse = witness::Warehouse { python, database };
    told("deploying the project's first state to prod, with SQLMesh alone");
    warehouse.deploy_first(&project).await?;

    let config =
        StandinConfig { directory: Some(folder.join("github")), ..StandinConfig::default() };
    let github = Standin::start(config).await?;
    let repository = github.repository(REPOSITORY).from_dir(&project).await?;
    told(&format!("a GitHub stand-in answers at {}", github.url()));

    let secret = format!("{:032x}", rand::random::<u128>());
    let path = folder.join("sluice.toml");
    std::fs::write(folder.join("requirements.txt"), REQUIREMENTS)?;
    std::fs::write(&path, configuration(&github))?;
    let variables = Variables::from([
        ("SLUICE_WEBHOOK_SECRET".to_owned(), secret.clone()),
        ("SLUICE_APP_KEY".to_owned(), github.private_key()?.to_owned()),
    ]);
    let config = Config::load(Some(&path), &variables, &[Role::Producer, Role::Worker])?;
    Ok(SetUp { config, secret, github, repository, environments, warehouse })
}

/// The demo's `sluice.toml`.
fn configuration(github: &Standin) -> String {
    format!(
        r#"[github]
api_url = "{url}"
git_url = "{url}/{{repository}}.git"
webhook_secret_env = "SLUICE_WEBHOOK_SECRET"
app_id = {app}
private_key_env = "SLUICE_APP_KEY"

[queue]
url = "memory:"

[lease]
url = "memory:"

[producer]
listen = "127.0.0.1:0"

[worker]
data_dir = "data"

[[project]]
name = "shop"
repository = "{REPOSITORY}"
requirements = "requirements.txt"
max_sessions = 1    # a DuckDB file admits one process
"#,
        url = github.url(),
        app = github.world(|world| world.app().id),
    )
}

/// Asks DuckDB and git whether the story is true.
async fn verify(
    stage: &story::Stage,
    told: &story::Told,
    warehouse: &witness::Warehouse,
) -> anyhow::Result<()> {
    stage.github.until_delivered(story::PATIENCE).await?;
    warehouse.expect_revenue(&project::REVENUE_AT_THE_END).await?;
    let repository = stage.github.world(|world| {
        world.repository(&stage.repository).map(|home| home.git_directory().to_owned())
    });
    let main = witness::main_of(&repository?).await?;
    let merged: Vec<&String> = main.iter().skip(1).collect();
    let told_titles = told.merged.iter().map(|(_, title)| *title);
    anyhow::ensure!(
        merged.len() == told.merged.len()
            && told_titles.zip(&merged).all(|(title, subject)| subject.starts_with(title)),
        "main has {merged:?} instead of {:?}",
        told.merged
    );
    let requests = stage.github.requests();
    let api = requests.iter().filter(|request| request.kind != RequestKind::Git).count();
    say(&format!(
        "\nTrue: in DuckDB prod's revenue is what both merged changes make of it, and git has them \
         on main, in this order, and nothing else: {}. {} are held. {api} GitHub requests for {} \
         pull requests.",
        told.merged.iter().map(|(pr, _)| format!("#{}", pr.number)).collect::<Vec<_>>().join(", "),
        told.held.iter().map(|pr| format!("#{}", pr.number)).collect::<Vec<_>>().join(" and "),
        told.merged.len() + told.held.len(),
    ));
    Ok(())
}

fn since(began: Instant) -> f64 {
    SystemClock.instant().saturating_duration_since(began).as_secs_f64()
}

fn say(line: &str) {
    anstream::println!("{line}");
}
