//! What holds at the end of every story: nothing that people see is there twice, and no deployment
//! is in progress.

use std::collections::BTreeMap;

use sluice_sim::World;
use sluice_sim::world::{PullRequest, Repository};

/// How the comments of which there is one for each project begin: the sticky one, and the pages of
/// statuses.
const COMMENTS: [&str; 2] = ["<!-- sluice:comment ", "<!-- sluice:checks "];

/// What the world's pull requests show more than once: check runs of ours on one head, and sticky
/// comments.
pub fn shown_twice(world: &World) -> Vec<String> {
    let app = &world.app().slug;
    let of_all = |repository: &Repository| -> Vec<String> {
        let pulls = repository.pulls.iter();
        pulls.flat_map(|(number, pull)| of_pull(repository, (*number, pull), app)).collect()
    };
    world.repositories().iter().flat_map(of_all).collect()
}

/// The same, and deployments that nobody has told the end of.
pub fn shown_wrongly(world: &World) -> Vec<String> {
    let all = world.repositories().iter().flat_map(|home| &home.deployments);
    let left = all.filter(|one| one.is_open()).map(|one| format!("left open: {one:#?}"));
    shown_twice(world).into_iter().chain(left).collect()
}

fn of_pull(repository: &Repository, (number, pull): (u64, &PullRequest), app: &str) -> Vec<String> {
    let mut shown = BTreeMap::<String, usize>::new();
    for run in repository.runs_of(&pull.head_oid).filter(|run| run.app == app) {
        *shown.entry(format!("check run {}", run.name)).or_default() += 1;
    }
    for comment in repository.comments_of(number) {
        for which in COMMENTS {
            let Some((_, whose)) = comment.body.split_once(which) else { continue };
            let whose = whose.split_once("-->").map_or(whose, |(project, _)| project);
            *shown.entry(format!("comment {which}{whose}")).or_default() += 1;
        }
    }
    let twice = shown.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|(what, times)| format!("#{number}: {times} × {what}")).collect()
}
