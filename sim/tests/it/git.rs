//! Git over HTTP: real fetches, with credentials.

use std::process::Output;

use crate::town::Town;

impl Town {
    /// Runs a real git client that knows no configuration, with the token in a header.
    async fn fetch(&self, token: &str, refspec: &str) -> (Output, tempfile::TempDir) {
        use base64::Engine;
        let directory = tempfile::tempdir().unwrap();
        let basic =
            base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
        let url = self.gh.clone_url(&self.repository);
        let init = self.git(&directory).args(["init", "--quiet", "--bare"]).output().await.unwrap();
        assert!(init.status.success());
        let header = format!("http.extraHeader=Authorization: Basic {basic}");
        let output = self
            .git(&directory)
            .args(["-c", &header, "fetch", "--quiet", &url, refspec])
            .output()
            .await
            .unwrap();
        (output, directory)
    }

    fn git(&self, directory: &tempfile::TempDir) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("git");
        command
            .current_dir(directory.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .kill_on_drop(true);
        command
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_is_fetched_by_reference_and_by_commit() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let head = town.head(&pr);
    for refspec in ["refs/pull/1/head:refs/heads/got", &format!("{head}:refs/heads/got")] {
        let (fetched, directory) = town.fetch(town.gh.token(), refspec).await;
        let said = String::from_utf8_lossy(&fetched.stderr);
        assert!(fetched.status.success(), "{refspec}: {said}");
        let shown = town.git(&directory).args(["rev-parse", "got"]).output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), head);
    }
    assert!(town.gh.requests().iter().all(|it| it.identity.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_fetches_without_a_valid_token() {
    let town = Town::new().await;
    let (refused, _directory) = town.fetch("wrong", "refs/heads/main").await;
    assert!(!refused.status.success());
    assert_eq!(town.gh.requests()[0].status, 401);
}
