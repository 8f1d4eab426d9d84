//! Which changes are a project's.

use super::facts_table::project;
use crate::github::Changed;
use crate::policy::concern::concerns;
use crate::project::Project;

fn files(files: &[&str]) -> Changed {
    Changed::Files(files.iter().map(|file| (*file).to_owned()).collect())
}

#[test]
fn a_project_is_its_folder_and_what_else_it_is_made_of() {
    let also = vec!["macros".to_owned(), "shared/seeds.csv".to_owned()];
    let project = Project { path: "data/warehouse".to_owned(), also, ..project() };
    for file in ["data/warehouse/models/a.sql", "macros/x.py", "shared/seeds.csv"] {
        assert!(concerns(&project, &files(&["README.md", file])), "{file}");
    }
    for file in ["data/warehouse2/a.sql", "data/w", "warehouse/a.sql", "shared/seeds.csv.bak"] {
        assert!(!concerns(&project, &files(&[file])), "{file}");
    }
    assert!(!concerns(&project, &files(&[])), "nothing is changed");
    assert!(concerns(&project, &Changed::Unknown), "it may be");
}

#[test]
fn a_project_at_the_root_is_everything() {
    let project = Project { path: String::new(), ..project() };
    assert!(concerns(&project, &files(&["anything"])));
}

#[test]
fn the_configuration_is_what_lies_in_the_projects_own_folder() {
    let project = Project { path: "data/warehouse".to_owned(), ..project() };
    let changed = files(&[
        "config.yaml",
        "data/warehouse/config.yaml",
        "data/warehouse/models/config.py",
        "data/warehouse/.env",
    ]);
    let found = crate::policy::files::changed(&project, &changed);
    assert_eq!(found, ["data/warehouse/config.yaml", "data/warehouse/.env"]);
    let root = Project { path: String::new(), ..project };
    assert_eq!(crate::policy::files::changed(&root, &changed), ["config.yaml"]);
    assert!(crate::policy::files::changed(&root, &Changed::Unknown).is_empty());
}
