//! Environments are made once, and again when their maker was killed.

use std::sync::{Arc, Mutex};

use sluice_worker::sqlmesh::Environments;

#[tokio::test]
async fn a_half_made_environment_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    let told = Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
    let environments =
        Environments { folder: folder.path().to_owned(), base: "python3".into(), told };
    let (one, other) =
        tokio::join!(environments.interpreter("# nothing"), environments.interpreter("# nothing"));
    let python = one.unwrap();
    assert_eq!(python, other.unwrap());
    let home = python.ancestors().nth(2).unwrap().to_owned();
    let made = |lines: &Mutex<Vec<String>>| {
        lines.lock().unwrap().iter().filter(|line| line.starts_with("making")).count()
    };
    assert_eq!(made(&lines), 1, "the second caller waited for the first");

    std::fs::remove_file(home.join(".ready")).unwrap();
    std::fs::write(home.join("left-behind"), "").unwrap();
    assert_eq!(environments.interpreter("# nothing").await.unwrap(), python);
    assert!(!home.join("left-behind").exists());
    assert_eq!(made(&lines), 2);

    let error = environments.interpreter("--no-index\nabsent==0").await;
    assert!(error.is_err());
}
