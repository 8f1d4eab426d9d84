//! Steps that wait, from a pull request's opening to its merge.

use sluice_sim::world::CheckConclusion;

use super::studio::Studio;
use crate::town::{DEPLOY, TAXED};

#[tokio::test(flavor = "multi_thread")]
async fn a_step_tells_what_the_reference_bot_would_and_a_review_deploys() {
    let studio = Studio::open().await;
    let pr = studio.town.pr("tax", "revenue", TAXED).await;
    let environment = format!("warehouse_{}", pr.number);
    let opened = studio.waits("pull_request").await;
    assert_eq!(opened.code, Some(0), "a missing approval is no fault: {}", opened.complaint);
    let told = [
        ("linter", "success"),
        ("run_unit_tests", "success"),
        ("has_required_approval", "failure"),
        ("created_pr_environment", "true"),
        ("pr_environment_name", environment.as_str()),
        ("pr_environment_synced", "success"),
        ("prod_plan_preview", "success"),
        ("prod_environment_synced", "skipped"),
    ];
    for (key, value) in told {
        assert_eq!(opened.output(key), value, "{key}: {:?}", opened.outputs);
    }
    assert!(opened.output("jobs").starts_with("approval:warehouse:"), "{:?}", opened.outputs);
    assert_eq!(opened.outputs.len(), told.len() + 1);
    assert!(opened.summary.contains("| SQLMesh - Linter | success |"), "{}", opened.summary);
    for line in ["::group::sluice", "look: gate ok", "gate check: test ok", "::endgroup::"] {
        assert!(opened.said.contains(line), "{line}: {}", opened.said);
    }

    // Somebody runs the workflow again: a job of its own, that finds everything done.
    let again = studio.step("pull_request", &["--wait"]).with("GITHUB_RUN_ATTEMPT", "2");
    let again = again.runs().await;
    assert_eq!(again.code, Some(0));
    assert_ne!(again.output("jobs"), opened.output("jobs"));
    assert_eq!(again.output("prod_plan_preview"), "success", "{:?}", again.outputs);
    assert_eq!(again.output("pr_environment_name"), environment);
    assert_eq!(again.output("created_pr_environment"), "", "it was there already");
    assert_eq!(studio.town.warehouse.calls("open"), 1, "nothing was run again");

    studio.town.carol.approves(&pr).await.unwrap();
    let approved = studio.step("pull_request_review", &["--wait"]).with("GITHUB_RUN_ID", "4712");
    let approved = approved.runs().await;
    assert_eq!(approved.code, Some(0), "{approved:#?}");
    assert_eq!(approved.output("has_required_approval"), "success");
    assert_eq!(approved.output("prod_environment_synced"), "success");
    assert!(approved.said.contains("deploy: merge ok"), "{}", approved.said);
    assert!(studio.town.see(&pr).is_merged());
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_tests_fail_the_step() {
    let studio = Studio::open().await;
    studio.town.pr("tax", "revenue", "SELECT 1 AS revenue -- fails test\n").await;
    let opened = studio.waits("pull_request").await;
    assert_eq!(opened.code, Some(1));
    assert_eq!(opened.output("run_unit_tests"), "failure");
    assert_eq!(opened.output("pr_environment_synced"), "skipped");
    assert!(opened.said.contains("run_unit_tests is failure: Tests Failed"), "{}", opened.said);
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_refused_fails_the_step_and_so_does_a_command() {
    let studio = Studio::open().await;
    let conflicting = "SELECT 2 AS revenue -- conflicts\n";
    let pr = studio.town.pr("tax", "revenue", conflicting).await;
    assert_eq!(studio.waits("pull_request").await.code, Some(0));

    studio.town.commands(&studio.town.mallory, &pr, "/deploy").await;
    let step = studio.step("issue_comment", &["--wait"]).with("GITHUB_RUN_ID", "4712");
    let refused = step.runs().await;
    assert_eq!(refused.code, Some(1), "mallory may not");
    assert!(refused.said.contains("the command was refused"), "{}", refused.said);

    studio.town.passes_a_second().await;
    studio.town.carol.approves(&pr).await.unwrap();
    let step = studio.step("pull_request_review", &["--wait"]).with("GITHUB_RUN_ID", "4713");
    let refused = step.runs().await;
    assert_eq!(refused.code, Some(1), "prod was changed under it, twice");
    assert!(refused.said.contains("the deploy ended as refused"), "{}", refused.said);
    assert_eq!(refused.output("prod_environment_synced"), "skipped");
    assert_eq!(studio.town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_head_is_replaced_does_not_wait_for_it() {
    let mut studio = Studio::without_a_worker().await;
    let pr = studio.town.pr("tax", "revenue", TAXED).await;
    let old = studio.step("pull_request", &["--wait", "--timeout", "2min"]);
    let waits = tokio::spawn(old.runs());
    until_stored(&studio, 1).await;
    studio.town.warehouse.hold_apply(&format!("warehouse_{}", pr.number));
    studio.hires().await;
    studio.town.warehouse.until_applying(&format!("warehouse_{}", pr.number)).await;
    studio
        .town
        .alice
        .pushes(&pr, &[("models/orders.sql", Some("SELECT 7 AS id\n"))])
        .await
        .unwrap();
    let new = studio.step("pull_request", &["--wait"]).with("GITHUB_RUN_ID", "4712");
    let new = tokio::spawn(new.runs());
    let old = waits.await.unwrap();
    assert_eq!(old.code, Some(0), "the newer head's own step tells the rest");
    assert_eq!(old.output("run_unit_tests"), "success");
    assert_eq!(old.output("prod_plan_preview"), "cancelled");
    studio.town.warehouse.release();
    let new = new.await.unwrap();
    assert_eq!((new.code, new.output("prod_plan_preview")), (Some(0), "success"));
    studio.close().await;
}

/// Waits until so many looks are stored.
pub(super) async fn until_stored(studio: &Studio, jobs: u64) {
    use sluice::queue::{Queue as _, Route};
    let stored = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        while studio.broker.queue.waiting(&Route::Approval).await.unwrap().jobs != jobs {
            ticks.tick().await;
        }
    };
    let stored = tokio::time::timeout(crate::town::PATIENCE, stored).await;
    assert!(stored.is_ok(), "no {jobs} jobs were stored");
}
