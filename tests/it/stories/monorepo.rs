//! Several projects in one repository: each is gated and deployed for what is its own.

use sluice::outcome::Reason;
use sluice::pipeline::sweep::Sweeper;
use sluice::project::SharesRepository;
use sluice_sim::world::{CheckConclusion, Protection};
use sluice_sim::{Pr, PrSpec};

use super::super::town::{APPROVAL, DEPLOY, PR_ENVIRONMENT, PROD_PLAN, Setup, Town};

const NEW: &str = "SELECT 2 AS revenue\n";

fn of(check: &str, project: &str) -> String {
    format!("{check} ({project})")
}

async fn opened(town: &Town, spec: PrSpec) -> Pr {
    town.alice.opens_pr(&town.repository, spec).await.unwrap()
}

/// The names of all checks on the head.
fn shown(town: &Town, pr: &Pr) -> Vec<String> {
    let mut names: Vec<String> = town.see(pr).checks.into_iter().map(|check| check.name).collect();
    names.sort();
    names
}

async fn is_gated(town: &Town, pr: &Pr, project: &str) {
    town.until_check(pr, &of(PROD_PLAN, project), CheckConclusion::Success).await;
    town.until_quiet().await;
}

#[tokio::test]
async fn only_the_project_that_a_change_belongs_to_is_gated_and_deployed() {
    let town = Town::of(Setup::monorepo()).await;
    let pr = opened(&town, PrSpec::new("a").file("finance/models/revenue.sql", NEW)).await;
    is_gated(&town, &pr, "finance").await;
    assert!(
        shown(&town, &pr).iter().all(|name| name.ends_with(" (finance)")),
        "{:#?}",
        town.see(&pr)
    );
    assert_eq!(town.warehouse.calls("open"), 1, "one session");
    // A review costs the routing and one look, whatever the number of projects.
    let before = town.requests().len();
    town.mallory.approves(&pr).await.unwrap();
    town.until_quiet().await;
    let made = &town.requests()[before..];
    assert!(made.len() <= 3, "{} requests:\n{}", made.len(), made.join("\n"));

    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, &of(DEPLOY, "finance"), CheckConclusion::Success).await;
    town.until(&pr, "merged", |seen| seen.is_merged().then_some(())).await;
    town.until_quiet().await;
    assert!(
        shown(&town, &pr).iter().all(|name| name.ends_with(" (finance)")),
        "{:#?}",
        town.see(&pr)
    );
    town.finish().await;
}

#[tokio::test]
async fn what_is_required_of_other_projects_succeeds_at_once() {
    let town = Town::of(Setup::monorepo()).await;
    let required = [PR_ENVIRONMENT, PROD_PLAN, DEPLOY].map(|check| of(check, "warehouse"));
    let rule = Protection { required_checks: required.to_vec(), ..Protection::default() };
    town.protects_main(rule).await;
    let pr = opened(&town, PrSpec::new("a").file("finance/models/revenue.sql", NEW)).await;
    is_gated(&town, &pr, "finance").await;
    for check in &required {
        assert_eq!(town.conclusion(&pr, check), Some(CheckConclusion::Neutral), "{check}");
    }
    let of_the_other = shown(&town, &pr).into_iter().filter(|name| name.ends_with("(warehouse)"));
    assert_eq!(of_the_other.count(), required.len(), "no more than is required");
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, &of(DEPLOY, "finance"), CheckConclusion::Success).await;
    town.finish().await;
}

#[tokio::test]
async fn a_change_of_no_project_is_waved_through() {
    let town = Town::of(Setup::monorepo()).await;
    let pr = opened(&town, PrSpec::new("docs").file("README.md", "Ours.\n")).await;
    town.until_quiet().await;
    let check = of(PROD_PLAN, "warehouse");
    assert_eq!(shown(&town, &pr), [check.as_str()]);
    assert_eq!(town.conclusion(&pr, &check), Some(CheckConclusion::Neutral));
    assert_eq!((town.warehouse.calls("open"), town.requests().len()), (0, 2));
    // It was seen: neither another event nor a sweep shows anything again.
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.requests().len(), 3);
    let mut sweepers = Sweeper::of_all(&town.deps);
    assert_eq!(sweepers.len(), 1, "one for the repository");
    assert_eq!(sweepers[0].sweep(&town.deps).await.unwrap().looks, 0);
    assert!(!town.see(&pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn a_change_of_several_projects_is_gated_in_each_and_deployed_by_none() {
    let town = Town::of(Setup::monorepo()).await;
    let spec = PrSpec::new("both")
        .file("finance/models/revenue.sql", NEW)
        .file("warehouse/models/revenue.sql", NEW);
    let pr = opened(&town, spec).await;
    for project in ["finance", "warehouse"] {
        is_gated(&town, &pr, project).await;
    }
    town.carol.approves(&pr).await.unwrap();
    for project in ["finance", "warehouse"] {
        town.until_check(&pr, &of(APPROVAL, project), CheckConclusion::Success).await;
        town.until_check(&pr, &of(DEPLOY, project), CheckConclusion::Skipped).await;
    }
    town.until_quiet().await;
    let says = town.says(&pr, &of(DEPLOY, "finance"));
    assert!(says.contains("2 projects (finance, warehouse)"), "{says}");
    assert!(town.refusals(&pr).contains(&Reason::SeveralProjects));
    assert_eq!((town.prod_applies(), town.see(&pr).is_merged()), (0, false));
    town.finish().await;
}

#[tokio::test]
async fn a_file_that_moved_concerns_where_it_was_and_where_it_is() {
    let town = Town::of(Setup::monorepo()).await;
    let spec = PrSpec::new("moved")
        .without("warehouse/models/revenue.sql")
        .file("macros/revenue.sql", "SELECT 1 AS revenue\n");
    let pr = opened(&town, spec).await;
    for project in ["finance", "warehouse"] {
        town.until_concluded(&pr, &of(PROD_PLAN, project)).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn a_head_that_nobody_has_seen_is_swept_into_the_project_that_it_concerns() {
    let town = Town::of(Setup::monorepo()).await;
    let spec = PrSpec::new("a").file("finance/models/revenue.sql", NEW);
    let pr = town.alice.quietly().opens_pr(&town.repository, spec).await.unwrap();
    let mut sweeper = Sweeper::of_all(&town.deps).remove(0);
    assert_eq!(sweeper.sweep(&town.deps).await.unwrap().looks, 1, "one, of however many projects");
    is_gated(&town, &pr, "finance").await;
    assert!(
        shown(&town, &pr).iter().all(|name| name.ends_with(" (finance)")),
        "{:#?}",
        town.see(&pr)
    );
    assert_eq!(sweeper.sweep(&town.deps).await.unwrap().looks, 0);
    town.finish().await;
}

#[tokio::test]
async fn a_project_that_is_alone_in_a_folder_waves_the_rest_through() {
    let mut setup = Setup::monorepo();
    setup.others.clear();
    setup.project.shares_repository = SharesRepository::No;
    let town = Town::of(setup).await;
    let pr = opened(&town, PrSpec::new("docs").file("README.md", "Ours.\n")).await;
    town.until_check(&pr, PROD_PLAN, CheckConclusion::Neutral).await;
    town.until_quiet().await;
    assert_eq!((shown(&town, &pr).len(), town.warehouse.calls("open")), (1, 0));
    let ours = PrSpec::new("a").file("warehouse/models/revenue.sql", NEW);
    let ours = opened(&town, ours).await;
    town.until_check(&ours, PROD_PLAN, CheckConclusion::Success).await;
    town.finish().await;
}
