//! What an approval and a lease are bound to, and that it is the same on every worker.

use std::path::Path;

use sluice::engine::{Change, Purpose, Session};
use sluice::seal;

use crate::shop::{DAILY, Gate, Shop, plan, request};

#[tokio::test]
async fn an_approval_is_of_the_code_and_not_of_the_category_alone() {
    let shop = Shop::new().await;
    shop.deploy().await;
    let mut plans = Vec::new();
    for amount in [20, 30] {
        shop.write(
            "models/orders.sql",
            &format!("MODEL (name shop.orders, kind FULL); SELECT 1 AS id, {amount} AS amount"),
        );
        plans.push(plan(&mut shop.loaded().await, Purpose::Prod).await.digest_input);
    }
    let difference = seal::difference(&plans[0], &plans[1]);
    assert_eq!(difference.len(), 1);
    assert!(difference[0].ends_with("but its code is another."), "{difference:?}");

    shop.write(
        "models/orders.sql",
        "MODEL (name shop.orders, kind FULL, owner carol); SELECT 1 AS id, 10 AS amount",
    );
    shop.reconfigure("before_all: [SELECT 1]");
    let direct = plan(&mut shop.loaded().await, Purpose::Prod).await.digest_input;
    let direct: Vec<_> = direct.iter().map(|d| (d.name.as_str(), d.change)).collect();
    let statements = ("before_all and after_all", Change::DirectlyModified);
    assert_eq!(direct, [("shop.orders", Change::MetadataUpdated), statements]);
}

#[tokio::test]
async fn a_forward_only_change_that_a_pull_request_has_built_still_writes_to_prods_table() {
    let shop = Shop::new().await;
    shop.deploy().await;
    shop.write("models/daily.sql", &DAILY.replace(", amount", ", amount, 1 AS n"));
    let mut session = shop.loaded().await;
    let mut pr = request(Purpose::Pr);
    pr.head_branch = "topic-forward-only".to_owned();
    let pr = session.plan(&pr).await.unwrap();
    session.apply(&pr, &Gate::open()).await.unwrap();
    let prod = plan(&mut session, Purpose::Prod).await;
    assert!(prod.builds.iter().any(|key| key.contains("daily")), "{:?}", prod.builds);
}

#[tokio::test]
async fn a_personal_configuration_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let personal = home.path().join(".sqlmesh");
    std::fs::create_dir(&personal).unwrap();
    std::fs::write(personal.join("config.yaml"), "default_gateway: nowhere").unwrap();
    // The worker's own home is the process's, which tests share: the test runs itself in another.
    let mut shop = Shop::new().await;
    shop.project.pass_env = vec!["HOME".to_owned()];
    if std::env::var_os("SLUICE_TEST_HOME").is_none() {
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "approved::a_personal_configuration_is_not_read"])
            .env("SLUICE_TEST_HOME", "1")
            .env("XDG_CACHE_HOME", cache())
            .env("HOME", home.path())
            .status();
        assert!(ran.unwrap().success());
        return;
    }
    assert!(Path::new(&std::env::var("HOME").unwrap()).join(".sqlmesh").exists());
    assert_eq!(shop.loaded().await.load().await.unwrap().models, 3);
    shop.project.pass_env.clear();
    let another =
        "import os\nassert not os.path.exists(os.path.expanduser('~/.sqlmesh/config.yaml'))\n";
    shop.write("macros/home.py", another);
    assert_eq!(shop.loaded().await.load().await.unwrap().models, 3);
}

/// Where environments are, for a process that has another home.
fn cache() -> std::path::PathBuf {
    sluice_worker::sqlmesh::default_folder().unwrap().ancestors().nth(2).unwrap().to_owned()
}
