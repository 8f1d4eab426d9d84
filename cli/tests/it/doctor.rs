//! What the doctor finds: without GitHub, and at one that answers.

use serde_json::Value;
use sluice_conformance::Watched;
use sluice_sim::StandinConfig;

use crate::cluster::Cluster;

#[tokio::test]
async fn doctor_finds_what_is_wrong_and_says_what_to_do() {
    let cluster = Cluster::new();
    let output = cluster.says(&["doctor", "--json"]).await;
    assert_eq!(output.status.code(), Some(1), "nobody is at GitHub's address");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |check: &str| {
        let all = said["findings"].as_array().unwrap();
        let found = all.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no {check} in {said:#}"))["health"].clone()
    };
    for check in ["configuration", "RabbitMQ", "queues", "dead letters", "git", "worker.data_dir"] {
        assert_eq!(of(check), "ok", "{check}: {said:#}");
    }
    assert_eq!(of("GitHub"), "problem");
    assert_eq!(of("Redis' clock"), "ok");
    let all = String::from_utf8(output.stdout).unwrap();
    assert!(!all.contains("hush"), "{all}");
    cluster.finish().await;
}

#[tokio::test]
async fn doctor_examines_an_app_that_makes_its_own_tokens() {
    let cluster = Cluster::new();
    let github = Watched::start(StandinConfig::default()).await.unwrap();
    github.repository("acme/warehouse").with_files(&[("a.txt", "a")]).await.unwrap();
    cluster.with_github(github.url());
    let text = std::fs::read_to_string(cluster.file()).unwrap();
    let key = "[github]\napp_id = 4242\nprivate_key_env = \"SLUICE_APP_KEY\"\n";
    std::fs::write(cluster.file(), text.replace("[github]\n", key)).unwrap();
    let key = github.private_key().unwrap();
    let with_key = |key: &str| {
        let mut command = cluster.command(&["doctor", "--json"]);
        command.env("SLUICE_APP_KEY", key).env_remove("GITHUB_TOKEN");
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    let said: Value = serde_json::from_slice(&with_key(key).await.stdout).unwrap();
    let all_well = ("ok", "may do and is told all that sluice needs");
    assert_eq!(of(&said, "GitHub's token"), ("ok", "made with the App's key, and renewed"));
    assert_eq!(of(&said, "acme/warehouse, the App"), all_well, "{said:#}");
    let output = with_key("hunter2").await;
    assert_eq!(output.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (health, found) = of(&said, "GitHub");
    assert!(health == "problem" && found.contains("not an RSA key in PEM"), "{said:#}");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("hunter2"));
    cluster.finish().await;
}

/// The health of a check, and what was found.
fn of<'a>(said: &'a Value, check: &str) -> (&'a str, &'a str) {
    let all = said["findings"].as_array().unwrap();
    let found = all.iter().find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {said:#}"));
    (found["health"].as_str().unwrap(), found["found"].as_str().unwrap())
}

#[tokio::test]
async fn doctor_examines_a_github_that_answers() {
    let cluster = Cluster::new();
    let github = Watched::start(StandinConfig::default()).await.unwrap();
    github.repository("acme/warehouse").with_files(&[("a.txt", "a")]).await.unwrap();
    cluster.with_github(github.url());
    let mut command = cluster.command(&["doctor", "--json"]);
    command.env("GITHUB_TOKEN", github.token());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (health, found) = of(&said, "GitHub");
    assert!(health == "ok" && found.contains("takes the token, "), "{said:#}");
    assert_eq!(of(&said, "GitHub's token"), ("warning", "of an App's installation"));
    assert_eq!(of(&said, "acme/warehouse").0, "warning", "it does not say who may push");
    assert_eq!(of(&said, "acme/warehouse, branch main").0, "warning", "nothing protects it");

    // One that GitHub does not know, and a repository that it does not show.
    let output = cluster.says(&["doctor", "--json"]).await;
    let refused: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{refused:#}");
    assert_eq!(of(&refused, "GitHub").0, "problem", "{refused:#}");
    let text = std::fs::read_to_string(cluster.file()).unwrap();
    std::fs::write(cluster.file(), text.replace("acme/warehouse", "acme/lake")).unwrap();
    let mut command = cluster.command(&["doctor", "--json"]);
    command.env("GITHUB_TOKEN", github.token());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let hidden: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(of(&hidden, "acme/lake").0, "problem", "{hidden:#}");
    cluster.finish().await;
}

#[tokio::test]
async fn doctor_says_what_a_persons_token_loses() {
    let cluster = Cluster::new();
    let github = Watched::start(StandinConfig::default()).await.unwrap();
    let home = github.repository("acme/warehouse").with_files(&[("a.txt", "a")]).await.unwrap();
    let robot = github.user("robot");
    robot.joins(&home, sluice_sim::world::Role::Write).await.unwrap();
    cluster.with_github(github.url());
    let doctor = || {
        let mut command = cluster.command(&["doctor", "--json"]);
        command.env("GITHUB_TOKEN", "token-robot");
        async move {
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await;
            serde_json::from_slice::<Value>(&output.unwrap().stdout).unwrap()
        }
    };
    let said = doctor().await;
    let (health, found) = of(&said, "GitHub's token");
    assert!(health == "warning" && found.contains("commit statuses by robot"), "{said:#}");
    let all = said.to_string();
    for lost in ["Re-run", "pages of checks", "whoever may push", "GitHub App"] {
        assert!(all.contains(lost), "{lost}: {said:#}");
    }
    let text = std::fs::read_to_string(cluster.file()).unwrap();
    let forced = text.replace("[github]\n", "[github]\nchecks = \"check_runs\"\n");
    std::fs::write(cluster.file(), forced).unwrap();
    let said = doctor().await;
    assert_eq!(of(&said, "GitHub's token").0, "problem", "{said:#}");
    cluster.finish().await;
}
