//! Real SQLMesh on DuckDB behind the bridge: what it does, what it refuses, and what it leaves
//! behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod apart;
mod approved;
mod processes;
mod python;
mod shop;
mod venv;

use std::time::Duration;

use shop::{Gate, Shop, plan, request};
use sluice::engine::{Change, EngineError, Fault, Purpose, Session};
use sluice::names::Environment;

const WIDER_ORDERS: &str =
    "MODEL (name shop.orders, kind FULL); SELECT 1 AS id, 10 AS amount, 'x' AS note";

fn declared(error: &EngineError) -> (Fault, &str) {
    match error {
        EngineError::Declared { class, message, .. } => (*class, message),
        other => panic!("not declared: {other:?}"),
    }
}

#[tokio::test]
async fn a_change_is_gated_and_deployed() {
    let shop = Shop::new().await;
    shop.deploy().await;
    shop.write("models/orders.sql", WIDER_ORDERS);

    let mut gate = shop.open().await;
    let loaded = gate.load().await.unwrap();
    assert_eq!((loaded.models, loaded.linter), (3, true));
    let lint = gate.lint().await.unwrap();
    assert_eq!((lint.errors.len(), lint.warnings.len()), (0, 0));
    let tests = gate.test().await.unwrap();
    assert_eq!((tests.ran, tests.failures.len()), (1, 0));
    let pr = plan(&mut gate, Purpose::Pr).await;
    assert!(pr.is_new_environment && pr.has_effect && pr.has_changes);
    let watch = Gate::open();
    let applied = gate.apply(&pr, &watch).await.unwrap();
    assert_eq!(applied.plan_id.as_ref(), Some(&pr.plan_id));
    let asked: Vec<String> = watch.asked.lock().unwrap().clone();
    assert!(applied.stages.keys().all(|stage| asked.contains(stage)), "{asked:?}");
    let last = watch.told.lock().unwrap().iter().rfind(|p| p.phase == "backfill").cloned();
    assert!(last.is_some_and(|p| p.done == p.total && p.total > 0 && p.model.is_some()));
    let preview = plan(&mut gate, Purpose::ProdPreview).await;
    let gated = Box::new(gate).close().await.unwrap();

    let changed: Vec<_> = preview.models.iter().map(|m| (m.name.as_str(), m.change)).collect();
    assert_eq!(
        changed,
        [
            ("shop.daily", Change::IndirectlyModified),
            ("shop.orders", Change::DirectlyModified),
            ("shop.totals", Change::IndirectlyModified),
        ]
    );
    assert_eq!(preview.digest_input.len(), 1);
    assert_eq!(preview.digest_input, pr.digest_input);
    assert!(pr.builds.iter().any(|key| key.contains("orders") && key.contains('@')));
    // The PR environment filled the tables; a view is made again wherever it is promoted.
    assert!(preview.builds.iter().any(|key| key.contains("totals")), "{:?}", preview.builds);
    assert!(preview.markdown.contains("AS note"), "{}", preview.markdown);

    let mut deploy = shop.loaded().await;
    let prod = plan(&mut deploy, Purpose::Prod).await;
    assert_eq!(prod.digest_input, preview.digest_input);
    deploy.apply(&prod, &Gate::open()).await.unwrap();
    deploy.invalidate(&Environment::new("shop_7").unwrap()).await.unwrap();
    let state = deploy.environment(&Environment::prod()).await.unwrap().unwrap();
    assert_eq!((state.plan_id, state.finalized), (prod.plan_id, true));
    let deployed = Box::new(deploy).close().await.unwrap();

    // The figures are for whoever reads them; the bound catches a loop, not a slow machine.
    eprintln!("CPU: gate {:?}, deploy {:?}", gated.cpu, deployed.cpu);
    assert!(gated.cpu + deployed.cpu < Duration::from_secs(60));
    assert!(gated.peak_rss > 50 << 20);
}

#[tokio::test]
async fn nothing_to_do_is_success() {
    let shop = Shop::new().await;
    shop.deploy().await;
    let mut session = shop.loaded().await;
    let pr = plan(&mut session, Purpose::Pr).await;
    assert!(!pr.has_changes && !pr.has_effect && pr.models.is_empty());
    let prod = plan(&mut session, Purpose::Prod).await;
    let watch = Gate::open();
    let applied = session.apply(&prod, &watch).await.unwrap();
    assert!(!applied.changed && applied.plan_id.is_some());
    assert!(watch.asked.lock().unwrap().is_empty());
    assert_eq!(session.environment(&Environment::new("nowhere").unwrap()).await.unwrap(), None);
    session.invalidate(&Environment::new("nowhere").unwrap()).await.unwrap();
}

#[tokio::test]
async fn findings_are_reports_and_do_not_leak_into_each_other() {
    let shop = Shop::new().await;
    shop.write("models/star.sql", "MODEL (name shop.star, kind VIEW); SELECT * FROM shop.orders");
    shop.write(
        "models/totals.sql",
        "MODEL (name shop.totals, kind VIEW); SELECT 1 AS id, 2 AS total",
    );
    let mut session = shop.loaded().await;
    let lint = session.lint().await.unwrap();
    assert_eq!(lint.errors.len(), 1);
    assert!(lint.errors[0].contains("shop.star") && lint.errors[0].contains("noselectstar"));
    let tests = session.test().await.unwrap();
    assert_eq!(tests.failures.len(), 1);
    assert!(tests.failures[0].name.contains("test_totals"), "{:?}", tests.failures);
    let markdown = plan(&mut session, Purpose::Prod).await.markdown;
    assert!(!markdown.contains("noselectstar") && !markdown.contains("test_totals"));
}

#[tokio::test]
async fn a_project_is_at_fault_in_its_own_words() {
    let shop = Shop::new().await;
    let policy = shop.policy().await;
    assert_eq!(policy.approvers.len(), 1);
    assert_eq!(policy.approvers[0].as_str(), "Carol");
    assert!(policy.linter && policy.bot.skip_pr_backfill);

    shop.reconfigure("cicd_bot: {type: github, enable_deploy_command: true}");
    let error = shop.bridges.policy(&shop.project, shop.folder.path()).await.unwrap_err();
    let (class, message) = declared(&error);
    assert_eq!(class, Fault::Config);
    assert!(message.contains("merge_method must be set"), "{message}");

    shop.reconfigure("");
    shop.write("models/orders.sql", "MODEL (name shop.orders, kind NONSENSE); SELECT 1");
    let mut session = shop.open().await;
    let error = session.load().await.unwrap_err();
    assert_eq!(declared(&error).0, Fault::Load);
    let error = session.lint().await.unwrap_err();
    assert!(declared(&error).1.contains("not loaded"));
}

#[tokio::test]
async fn a_change_without_a_category_is_named_and_not_applied() {
    let shop = Shop::new().await;
    shop.deploy().await;
    shop.write("models/orders.sql", WIDER_ORDERS);
    let mut session = shop.loaded().await;
    let mut by_hand = request(Purpose::Prod);
    by_hand.options.auto_categorize_changes = serde_json::json!({"sql": "off"});
    let plan = session.plan(&by_hand).await.unwrap();
    assert_eq!(plan.uncategorized, ["shop.orders"]);
    let error = session.apply(&plan, &Gate::open()).await.unwrap_err();
    assert_eq!(declared(&error).0, Fault::Uncategorized);
}

#[tokio::test]
async fn a_failing_model_says_why() {
    let shop = Shop::new().await;
    shop.write(
        "models/orders.sql",
        "MODEL (name shop.orders, kind FULL); SELECT error('no stock') AS id, 1 AS amount",
    );
    let mut session = shop.loaded().await;
    let plan = plan(&mut session, Purpose::Prod).await;
    let error = session.apply(&plan, &Gate::open()).await.unwrap_err();
    let (class, message) = declared(&error);
    assert_eq!(class, Fault::Apply);
    assert!(message.contains("no stock") && message.contains("orders"), "{message}");
}

#[tokio::test]
async fn sqlmesh_refuses_a_plan_that_would_lose_a_column() {
    let shop = Shop::new().await;
    shop.deploy().await;
    shop.write("models/daily.sql", &shop::DAILY.replace(", amount", ""));
    let mut session = shop.loaded().await;
    let mut forward_only = request(Purpose::Prod);
    forward_only.head_branch = "topic-forward-only".to_owned();
    let error = session.plan(&forward_only).await.unwrap_err();
    let (class, message) = declared(&error);
    assert_eq!(class, Fault::Plan);
    assert!(message.contains("destructive"), "{message}");
}

#[tokio::test]
async fn a_stale_plan_is_caught_before_its_backfill() {
    let shop = Shop::new().await;
    shop.deploy().await;
    shop.write("models/orders.sql", WIDER_ORDERS);
    let mut session = shop.loaded().await;
    let stale = plan(&mut session, Purpose::Prod).await;
    let newer = plan(&mut session, Purpose::ProdPreview).await;
    session.apply(&newer, &Gate::open()).await.unwrap();
    let watch = Gate::open();
    let error = session.apply(&stale, &watch).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Conflict(why) if why.contains(&newer.plan_id)),
        "{error}"
    );
    assert_eq!(watch.asked.lock().unwrap().len(), 1, "it stopped before its first stage");
    let state = session.environment(&Environment::prod()).await.unwrap().unwrap();
    assert_eq!(state.plan_id, newer.plan_id);
}

#[tokio::test]
async fn nothing_begins_after_the_watch_says_halt() {
    let shop = Shop::new().await;
    let mut session = shop.loaded().await;
    let plan = plan(&mut session, Purpose::Prod).await;
    let watch = Gate::shut_before("environment_record_update");
    let error = session.apply(&plan, &watch).await.unwrap_err();
    assert!(matches!(&error, EngineError::Halted(at) if at == "environment_record_update"));
    assert_eq!(watch.asked.lock().unwrap().last().unwrap(), "environment_record_update");
    assert_eq!(session.environment(&Environment::prod()).await.unwrap(), None);
}

#[tokio::test]
async fn project_code_sees_no_secret_and_cannot_speak_for_the_bridge() {
    let shop = Shop::new().await;
    // Cargo sets both for every test; only one is passed on.
    shop.write(
        "macros/noise.py",
        "import os, sys\n\
         print('{\"id\": 1, \"ok\": {\"models\": 99, \"linter\": false}}', flush=True)\n\
         sys.__stdout__.write('noise'); os.write(1, b'noise')\n\
         assert sys.stdin.read() == ''\n\
         assert os.environ['CARGO_PKG_NAME'] == 'sluice-worker'\n\
         assert 'CARGO_MANIFEST_DIR' not in os.environ\n",
    );
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut session = shop.open().await;
    assert_eq!(session.load().await.unwrap().models, 3);
}

#[tokio::test]
async fn project_code_that_exits_is_an_error() {
    let shop = Shop::new().await;
    for (exit, name) in [("raise SystemExit(0)", "SystemExit"), ("raise KeyboardInterrupt", "Keyb")]
    {
        shop.write("macros/leave.py", exit);
        let mut session = shop.open().await;
        let error = session.load().await.unwrap_err();
        assert!(declared(&error).1.contains(name), "{error}");
        shop.write("macros/leave.py", "");
        session.load().await.unwrap();
        Box::new(session).close().await.unwrap();
    }
}

#[tokio::test]
async fn a_removed_model_is_called_by_its_name() {
    let shop = Shop::new().await;
    shop.deploy().await;
    std::fs::remove_file(shop.path("models/totals.sql")).unwrap();
    std::fs::remove_file(shop.path("tests/test_totals.yaml")).unwrap();
    let mut session = shop.loaded().await;
    let removal = plan(&mut session, Purpose::Prod).await;
    assert_eq!(removal.digest_input.len(), 1);
    assert_eq!(removal.digest_input[0].change, Change::Removed);
    assert_eq!(removal.digest_input[0].name, "shop.totals");
}
