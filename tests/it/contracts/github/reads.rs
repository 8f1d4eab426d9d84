//! What is read is what the world holds.

use std::time::Duration;

use sluice::github::{
    Ask, Attempt, GitHub, GitHubError, MergeState, PrState, Report, ReviewDecision, ReviewState,
    Role,
};
use sluice::names::{Login, NodeId, PrNumber};
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::{
    CheckConclusion, CheckRunChange, Kind, NewCheckRun, Protection, StatusState,
};
use sluice_sim::{Oid, Pr, PrSpec};

use super::town::{MARKER, Town, as_sha, nobodys_node};

#[tokio::test]
async fn everything_is_told_in_one_request() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let (facts, requests) = town.counted(town.facts(&pr)).await;
    assert_eq!(requests, 1);
    assert_eq!((facts.number, facts.title.as_str()), (PrNumber(pr.number), "orders"));
    assert_eq!((facts.state, facts.draft, facts.fork), (PrState::Open, false, false));
    assert_eq!(facts.author, Some(Login::new("alice")));
    assert_eq!((facts.head, facts.head_branch.as_str()), (town.head(&pr), "orders"));
    assert_eq!(facts.base_branch, "main");
    let tip = |world: &sluice_sim::World| {
        as_sha(world.repository(&town.repository).unwrap().tip("main").unwrap())
    };
    assert_eq!(facts.base, town.standin.world(tip));
    assert_eq!((facts.checks, facts.comment, facts.command), (vec![], None, None));
    assert_eq!((facts.reviews, facts.review_decision), (vec![], None));
}

#[tokio::test]
async fn the_policy_is_the_bases_configuration_and_nothing_else() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let first = town.facts(&pr).await;
    let push = async |file, text| {
        town.bob.pushes_to_branch(&town.repository, "main", &[(file, Some(text))]).await.unwrap();
        town.facts(&pr).await
    };
    let elsewhere = push("README.md", "hello").await;
    assert_ne!(elsewhere.base, first.base);
    assert_eq!(elsewhere.base_project_tree, first.base_project_tree);
    let model = push("warehouse/models/b.sql", "SELECT 3").await;
    assert_ne!(model.base_project_tree, first.base_project_tree);
    assert_eq!(model.policy, first.policy);
    let configured = push("warehouse/config.yaml", "gateways: {x: {}}").await;
    assert_ne!(configured.policy, first.policy);
    let mut before = configured.policy;
    for file in [
        "warehouse/config.yml",
        "warehouse/sqlmesh.yml",
        "warehouse/sqlmesh.yaml",
        "warehouse/.env",
        "warehouse/config.py",
    ] {
        let policy = push(file, "# new").await.policy;
        assert_ne!(policy, before, "{file}");
        before = policy;
    }
    let imported = push("README.md", "Python may import what is beside its folder").await;
    assert_ne!(imported.policy, before);
    // The pull request's own configuration has no say.
    town.alice.pushes(&pr, &[("warehouse/config.yaml", Some("users: []"))]).await.unwrap();
    assert_eq!(town.facts(&pr).await.policy, imported.policy);
}

#[tokio::test]
async fn a_project_without_plain_configuration_has_a_new_policy_with_every_tree() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let push = async |files: &[(&str, Option<&str>)]| {
        town.bob.pushes_to_branch(&town.repository, "main", files).await.unwrap();
        town.facts(&pr).await.policy
    };
    let none = push(&[("warehouse/config.yaml", None)]).await;
    assert_ne!(push(&[("README.md", Some("one"))]).await, none);
    let dbt = push(&[("warehouse/dbt_project.yml", Some("name: dbt"))]).await;
    assert_ne!(push(&[("profiles/profiles.yml", Some("dev: {}"))]).await, dbt);
}

#[tokio::test]
async fn reviews_keep_their_order_their_state_and_their_commit() {
    let town = Town::found().await;
    let carol = town.standin.user("carol");
    carol.joins(&town.repository, sluice_sim::world::Role::Write).await.unwrap();
    let pr = town.pr("orders").await;
    let old = town.head(&pr);
    town.bob.requests_changes(&pr).await.unwrap();
    let dismissed = carol.approves(&pr).await.unwrap();
    town.bob.dismisses(&pr, dismissed).await.unwrap();
    town.alice.pushes(&pr, &[("warehouse/models/c.sql", Some("SELECT 5"))]).await.unwrap();
    town.bob.approves(&pr).await.unwrap();
    carol.leaves_github().await.unwrap();
    let facts = town.facts(&pr).await;
    let told: Vec<_> = facts
        .reviews
        .iter()
        .map(|r| (r.author.as_ref().map(Login::as_str), r.state, r.commit.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("bob"), ReviewState::ChangesRequested, Some(old.clone())),
            (None, ReviewState::Dismissed, Some(old)),
            (Some("bob"), ReviewState::Approved, Some(town.head(&pr))),
        ]
    );
}

#[tokio::test]
async fn mergeability_is_unknown_until_github_has_looked() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    assert_eq!(town.facts(&pr).await.merge_state, MergeState::Unknown);
    assert_eq!(town.facts(&pr).await.merge_state, MergeState::Clean);
    let conflict = [("warehouse/models/orders.sql", Some("SELECT 99"))];
    town.bob.pushes_to_branch(&town.repository, "main", &conflict).await.unwrap();
    assert_eq!(town.facts(&pr).await.merge_state, MergeState::Unknown);
    assert_eq!(town.facts(&pr).await.merge_state, MergeState::Dirty);
}

#[tokio::test]
async fn drafts_forks_and_closed_ones_are_told() {
    let town = Town::found().await;
    let spec = |branch| PrSpec::new(branch).file("warehouse/models/d.sql", "SELECT 6");
    let draft = town.alice.opens_pr(&town.repository, spec("d").draft()).await.unwrap();
    assert!(town.facts(&draft).await.draft);
    let fork = spec("f").from_fork("mallory/data");
    let fork = town.mallory.opens_pr(&town.repository, fork).await.unwrap();
    let facts = town.facts(&fork).await;
    assert!(facts.fork && facts.head == town.head(&fork));
    town.alice.closes(&draft).await.unwrap();
    assert_eq!(town.facts(&draft).await.state, PrState::Closed);
}

#[tokio::test]
async fn required_checks_are_pending_until_they_succeed() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let name = town.repository.clone();
    let head = Oid::new(town.head(&pr).as_str());
    let rule = Protection {
        required_approvals: 1,
        required_checks: ["build", "ci/old", "never reported"].map(str::to_owned).to_vec(),
        ..Protection::default()
    };
    let (repository, commit) = (name.clone(), head.clone());
    let change = move |world: &mut sluice_sim::World| {
        world.protect(&repository, "main", Some(rule))?;
        world.set_status(&repository, &commit, ("ci/old", StatusState::Pending))?;
        let change = CheckRunChange {
            conclusion: Some(CheckConclusion::Failure),
            ..CheckRunChange::default()
        };
        let name = "build".to_owned();
        let run = NewCheckRun { name, commit: commit.as_str().to_owned(), change };
        world.report_check("github-actions", &repository, run)
    };
    town.standin.change(change).await.unwrap();
    let facts = town.facts(&pr).await;
    assert_eq!(facts.required_pending, ["build", "ci/old", "never reported"]);
    assert_eq!(facts.review_decision, Some(ReviewDecision::ReviewRequired));
    assert_eq!(facts.checks, [], "another App's run is not ours");
    let status = move |world: &mut sluice_sim::World| {
        world.set_status(&name, &head, ("ci/old", StatusState::Success))
    };
    town.standin.change(status).await.unwrap();
    town.bob.approves(&pr).await.unwrap();
    let facts = town.facts(&pr).await;
    assert_eq!(facts.required_pending, ["build", "never reported"]);
    assert_eq!(facts.review_decision, Some(ReviewDecision::Approved));
}

#[tokio::test]
async fn a_quoted_marker_is_nobodys_sticky_comment() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    town.mallory.comments(&pr, &format!("> {MARKER}\nall is well")).await.unwrap();
    assert_eq!(town.facts(&pr).await.comment, None);
}

#[tokio::test]
async fn a_sticky_comment_amid_a_long_conversation_is_found() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let report = Report { checks: vec![], ..town.report(&pr, "job-1").await };
    for number in 0..60 {
        town.mallory.comments(&pr, &format!("> {MARKER}\n{number}")).await.unwrap();
    }
    let made = town.github.report(&report).await.unwrap();
    for number in 60..120 {
        town.mallory.comments(&pr, &format!("> {MARKER}\n{number}")).await.unwrap();
    }
    assert!(made.comment.is_some());
    let (facts, requests) = town.counted(town.github.facts(&town.ask(&pr))).await;
    assert_eq!((facts.unwrap().comment.map(|comment| comment.id), requests), (made.comment, 2));
    let again = Report { attempt: Attempt::Again, ..report };
    town.github.report(&again).await.unwrap();
    assert_eq!(town.standin.pr(&pr).unwrap().comments.len(), 121, "no second one of ours");
}

fn asking(town: &Town, pr: &Pr, comment: u64) -> Ask {
    let id = sluice_sim::world::NodeId::new(Kind::IssueComment, comment).to_string();
    Ask { command: Some(NodeId::new(id).unwrap()), ..town.ask(pr) }
}

#[tokio::test]
async fn a_command_is_told_with_the_push_that_it_followed() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let comment = town.bob.comments(&pr, "/deploy").await.unwrap();
    let ask = asking(&town, &pr, comment);
    let (facts, requests) = town.counted(town.github.facts(&ask)).await;
    let command = facts.unwrap().command.unwrap();
    assert_eq!(requests, 2);
    assert_eq!((command.author, command.body.as_str()), (Some(Login::new("bob")), "/deploy"));
    assert!(!command.edited);
    let pushed = command.head_pushed_ms.expect("the push is on record");
    assert!(pushed <= command.created_ms.saturating_add(999), "{pushed} {}", command.created_ms);

    town.bob.edits_comment(&pr, comment, "/deploy now").await.unwrap();
    let edited = town.github.facts(&ask).await.unwrap().command.unwrap();
    assert!(edited.edited && edited.body == "/deploy now");

    let other = town.pr("others").await;
    let elsewhere = asking(&town, &other, comment);
    assert_eq!(town.github.facts(&elsewhere).await.unwrap().command, None);

    town.bob.deletes_comment(&pr, comment).await.unwrap();
    assert_eq!(town.github.facts(&ask).await.unwrap().command, None);
    let never = Ask { command: Some(nobodys_node()), ..town.ask(&pr) };
    assert_eq!(town.github.facts(&never).await.unwrap().command, None);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let town = Town::found().await;
    let nobody = Ask { pr: PrNumber(404), ..town.ask(&town.pr("orders").await) };
    let error = town.github.facts(&nobody).await.unwrap_err();
    assert!(matches!(error, GitHubError::NotFound(_)), "{error:?}");
}

#[tokio::test]
async fn roles_are_exact() {
    let town = Town::found().await;
    let ask = town.ask(&town.pr("orders").await);
    for (login, role) in [("alice", Role::Write), ("BOB", Role::Maintain), ("acme", Role::Admin)] {
        let login = Login::new(login);
        if login.as_str() == "acme" {
            let owner = town.standin.user("acme");
            owner.joins(&town.repository, sluice_sim::world::Role::Admin).await.unwrap();
        }
        assert_eq!(town.github.role(&ask, &login).await.unwrap(), role, "{login}");
    }
    let stranger = town.github.role(&ask, &Login::new("mallory")).await.unwrap();
    assert!(stranger <= Role::Read, "{stranger:?}");
}

#[tokio::test]
async fn three_disguises_of_a_limit_are_one_error() {
    let limited = |status, retry_after| Answer::RateLimited { status, retry_after };
    let cases = [
        (limited(403, Some(Duration::from_secs(70))), 70),
        (limited(429, None), 60),
        (Answer::GraphQlRateLimited, 1),
    ];
    for (answer, least) in cases {
        let town = Town::found().await;
        let pr = town.pr("orders").await;
        let spoil = move |world: &mut sluice_sim::World| {
            world.faults.answer(Matching::Any, 1, answer);
            Ok(())
        };
        town.standin.change(spoil).await.unwrap();
        match town.github.facts(&town.ask(&pr)).await {
            Err(GitHubError::Limited { after }) => assert!(after.as_secs() >= least, "{after:?}"),
            other => panic!("{answer:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_checks_of_a_commit_that_is_no_head_any_more_are_told_in_one_request() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let older = town.head(&pr);
    town.github.report(&town.report(&pr, "job-1").await).await.unwrap();
    let before = town.facts(&pr).await.checks;
    assert_eq!(before.len(), 1);
    town.alice.pushes(&pr, &[("warehouse/models/orders.sql", Some("SELECT 3"))]).await.unwrap();
    let ask = town.ask(&pr);
    let (checks, requests) = town.counted(town.github.checks(&ask, &older)).await;
    assert_eq!((checks.unwrap(), requests), (before, 1));
    assert_eq!(town.github.checks(&ask, &town.head(&pr)).await.unwrap(), vec![]);
    let gone = as_sha(&Oid::new("c".repeat(40)));
    assert_eq!(town.github.checks(&ask, &gone).await.unwrap(), vec![]);
}
