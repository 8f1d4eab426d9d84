//! Whom files belong to is told as the base branch has it, and what cannot be read is told as such.

use sluice::github::{Ask, GitHub, Members, Owned, Ownership, Team};
use sluice::names::Login;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::ReviewState;
use sluice_sim::{Pr, PrSpec};

use super::town::Town;

async fn on_main(town: &Town, place: &str, text: Option<&str>) {
    town.bob.pushes_to_branch(&town.repository, "main", &[(place, text)]).await.unwrap();
}

fn asking(town: &Town, pr: &Pr) -> Ask {
    Ask { owners: true, ..town.ask(pr) }
}

async fn ownership(town: &Town, pr: &Pr) -> Ownership {
    town.github.facts(&asking(town, pr)).await.unwrap().ownership
}

async fn owned(town: &Town, pr: &Pr) -> Owned {
    match ownership(town, pr).await {
        Ownership::Known(owned) => owned,
        other => panic!("{other:?}"),
    }
}

/// Each group as `files: owners`.
fn groups(owned: &Owned) -> Vec<String> {
    let group = |group: &sluice::github::OwnedFiles| {
        let owners: Vec<String> = group.owners.iter().map(ToString::to_string).collect();
        format!("{}: {}", group.files.join(" "), owners.join(" "))
    };
    owned.groups.iter().map(group).collect()
}

async fn team(town: &Town, slug: &'static str, parent: Option<&'static str>, members: Vec<String>) {
    let team = sluice_sim::world::Team {
        organization: "Acme".to_owned(),
        slug: slug.to_owned(),
        parent: parent.map(str::to_owned),
        members,
    };
    let set = move |world: &mut sluice_sim::World| {
        world.set_team(team);
        Ok(())
    };
    town.standin.change(set).await.unwrap();
}

#[tokio::test]
async fn the_first_file_of_the_base_counts_and_the_pull_requests_own_does_not() {
    let town = Town::found().await;
    let spec = PrSpec::new("x")
        .file("warehouse/models/x.sql", "SELECT 2")
        .file(".github/CODEOWNERS", "* @mallory\n");
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    assert_eq!(town.facts(&pr).await.ownership, Ownership::NotAsked);
    assert_eq!(owned(&town, &pr).await, Owned::default(), "the base has none");
    let files = ".github/CODEOWNERS warehouse/models/x.sql";
    for (place, owner) in [
        ("docs/CODEOWNERS", "@in-docs"),
        ("CODEOWNERS", "@in-root"),
        (".github/CODEOWNERS", "@in-github"),
    ] {
        on_main(&town, place, Some(&format!("* {owner}\n!x @nobody\n"))).await;
        let owned = owned(&town, &pr).await;
        assert_eq!(groups(&owned), [format!("{files}: {owner}")]);
        assert_eq!((owned.place.as_deref(), &owned.skipped[..]), (Some(place), &[2][..]));
    }
    on_main(&town, ".github/CODEOWNERS", None).await;
    on_main(&town, ".github/CODEOWNERS/about", Some("a folder\n")).await;
    assert_eq!(owned(&town, &pr).await.place.as_deref(), Some("CODEOWNERS"));
}

#[tokio::test]
async fn a_file_that_did_not_change_is_read_once_and_a_team_only_when_somebody_approves() {
    let town = Town::found().await;
    team(&town, "data", None, vec!["bob".to_owned()]).await;
    on_main(&town, "CODEOWNERS", Some("*.sql @acme/Data @acme/data @else/where\n")).await;
    let pr = town.pr("x").await;
    let teams = [Team::new("acme", "data"), Team::new("else", "where")];
    let (first, requests) = town.counted(owned(&town, &pr)).await;
    assert_eq!(requests, 2, "the facts, and the file");
    assert_eq!(first.teams[&teams[0]], Members::NotRead);
    on_main(&town, "README.md", Some("moved")).await;
    assert_eq!(town.counted(owned(&town, &pr)).await.1, 1, "another base, the same file");

    town.mallory.reviews(&pr, ReviewState::ChangesRequested).await.unwrap();
    assert_eq!(town.counted(owned(&town, &pr)).await.1, 1, "nothing depends on who is in it");
    town.bob.approves(&pr).await.unwrap();
    let (read, requests) = town.counted(owned(&town, &pr)).await;
    assert_eq!(requests, 2);
    assert_eq!(read.teams[&teams[0]], Members::Are(vec![Login::new("bob")]));
    assert!(matches!(&read.teams[&teams[1]], Members::Unreadable(why) if why.contains("another")));
    assert_eq!(owned(&town, &pr).await, read);
    let last = town.standin.requests().pop().unwrap();
    assert_eq!(last.status, 304, "what did not change costs nothing of the hourly limit");
}

#[tokio::test]
async fn all_members_are_told_with_those_of_the_teams_below() {
    let town = Town::found().await;
    let many: Vec<String> = (0..230).map(|n| format!("member-{n}")).collect();
    for login in &many {
        let _ = town.standin.user(login);
    }
    team(&town, "data", None, many.clone()).await;
    team(&town, "below", Some("data"), vec!["bob".to_owned()]).await;
    on_main(&town, "CODEOWNERS", Some("*.sql @acme/data\n")).await;
    let pr = town.pr("x").await;
    town.bob.approves(&pr).await.unwrap();
    let Members::Are(all) = owned(&town, &pr).await.teams[&Team::new("acme", "data")].clone()
    else {
        panic!("not read");
    };
    assert_eq!(all.len(), 231);
    assert!(all.contains(&Login::new("bob")) && all.contains(&Login::new("member-229")));

    let more: Vec<String> = (0..1_001).map(|n| format!("member-{n}")).collect();
    for login in &more {
        let _ = town.standin.user(login);
    }
    team(&town, "data", None, more).await;
    let read = owned(&town, &pr).await;
    let of = &read.teams[&Team::new("acme", "data")];
    assert_eq!(*of, Members::Unreadable("they are more than 1000".to_owned()));
}

#[tokio::test]
async fn a_team_that_is_not_shown_is_no_team_without_members() {
    let town = Town::found().await;
    on_main(&town, "CODEOWNERS", Some("*.sql @acme/data\n")).await;
    let pr = town.pr("x").await;
    town.bob.approves(&pr).await.unwrap();
    let why = async || match &owned(&town, &pr).await.teams[&Team::new("acme", "data")] {
        Members::Unreadable(why) => why.clone(),
        other => panic!("{other:?}"),
    };
    assert!(why().await.contains("no such team"), "{}", why().await);
    team(&town, "data", None, vec!["bob".to_owned()]).await;
    let forbid = |world: &mut sluice_sim::World| {
        world.let_app_read_members(false);
        Ok(())
    };
    town.standin.change(forbid).await.unwrap();
    assert!(why().await.contains("members: read"), "{}", why().await);

    // A moment of trouble is none of these: it is asked again.
    let mend = |world: &mut sluice_sim::World| {
        world.let_app_read_members(true);
        let path = "/orgs/acme/teams/data/members".to_owned();
        world.faults.answer(
            Matching::Rest { method: "GET".to_owned(), path },
            2,
            Answer::Status(502),
        );
        Ok(())
    };
    town.standin.change(mend).await.unwrap();
    let read = owned(&town, &pr).await;
    assert_eq!(read.teams[&Team::new("acme", "data")], Members::Are(vec![Login::new("bob")]));
}

#[tokio::test]
async fn what_cannot_be_told_is_unknown() {
    let town = Town::found().await;
    let pr = town.pr("x").await;
    let why = async || match ownership(&town, &pr).await {
        Ownership::Unknown(why) => why,
        other => panic!("{other:?}"),
    };
    let large = format!("* @bob\n#{}\n", "x".repeat(3 * 1024 * 1024));
    on_main(&town, "CODEOWNERS", Some(&large)).await;
    assert!(why().await.contains("larger than 3 MB"), "{}", why().await);
    on_main(&town, "CODEOWNERS", Some(&large[..3 * 1024 * 1024])).await;
    assert_eq!(groups(&owned(&town, &pr).await), ["warehouse/models/x.sql: @bob"]);
}

#[tokio::test]
async fn a_renamed_file_belongs_to_the_owners_of_both_its_names() {
    let town = Town::found().await;
    on_main(&town, "CODEOWNERS", Some("/warehouse/ @old\n/lake/ @new\n")).await;
    let spec = PrSpec::new("x").without("warehouse/models/a.sql").file("lake/a.sql", "SELECT 1");
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    let mut told = groups(&owned(&town, &pr).await);
    told.sort();
    assert_eq!(told, ["lake/a.sql: @new", "warehouse/models/a.sql: @old"]);
}

#[tokio::test]
async fn whether_a_reviewer_may_push_is_told_with_the_review() {
    let town = Town::found().await;
    let pr = town.pr("x").await;
    town.mallory.approves(&pr).await.unwrap();
    town.bob.approves(&pr).await.unwrap();
    let may: Vec<bool> = town.facts(&pr).await.reviews.iter().map(|one| one.may_push).collect();
    assert_eq!(may, [false, true]);
}
