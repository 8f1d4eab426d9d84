//! GraphQL: one query for all facts, several mutations in one document, errors in GitHub's shape.

use serde_json::{Value, json};
use sluice_sim::PrSpec;
use sluice_sim::world::{Origin, Protection};

use crate::town::Town;

const FACTS: &str = r#"
query Facts($number: Int!) {
  viewer { login }
  rateLimit { limit remaining cost }
  repository(owner: "acme", name: "warehouse") {
    id nameWithOwner
    pullRequest(number: $number) {
      id number title state isDraft merged mergedAt isCrossRepository isInMergeQueue
      headRefName headRefOid baseRefName baseRefOid author { login } reviewDecision
      baseRef { target { oid ... on Commit { tree { oid } file(path: "README.md") { oid } } } }
      reviews(last: 100, states: [APPROVED, CHANGES_REQUESTED]) {
        nodes { id state author { login } commit { oid } submittedAt }
      }
      latestOpinionatedReviews(first: 10) { nodes { state author { login } } }
      comments(last: 10) { nodes { id databaseId body author { login } viewerDidAuthor } }
      commits(last: 1) { nodes { commit { oid } } }
      files(first: 10) { nodes { path changeType } }
    }
  }
}"#;

#[tokio::test]
async fn all_facts_of_a_pull_request_come_in_one_query() {
    let town = Town::new().await;
    let pr = town.pr("a").await;
    town.bob.requests_changes(&pr).await.unwrap();
    town.bob.approves(&pr).await.unwrap();
    town.mallory.comments(&pr, "hello").await.unwrap();
    let data = town.data(FACTS, json!({"number": 1})).await;
    assert_eq!(data["viewer"]["login"], "sluice[bot]");
    let pull = &data["repository"]["pullRequest"];
    assert_eq!(pull["state"], "OPEN");
    assert_eq!(pull["headRefOid"], town.head(&pr));
    assert_eq!(pull["reviewDecision"], "APPROVED");
    assert_eq!(pull["commits"]["nodes"], json!([{"commit": {"oid": town.head(&pr)}}]));
    assert_eq!(pull["files"]["nodes"], json!([{"path": "models/a.sql", "changeType": "MODIFIED"}]));
    assert_eq!(pull["reviews"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(
        pull["latestOpinionatedReviews"]["nodes"],
        json!([{"state": "APPROVED", "author": {"login": "Bob"}}])
    );
    assert_eq!(pull["comments"]["nodes"][0]["viewerDidAuthor"], false);
    assert_eq!(pull["baseRef"]["target"]["oid"], pull["baseRefOid"]);
}

#[tokio::test]
async fn base_ref_oid_stays_behind_when_the_base_moves() {
    let town = Town::new().await;
    town.pr("b").await;
    let files = [("README.md", Some("moved\n"))];
    let tip = town.bob.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
    let data = town.data(FACTS, json!({"number": 1})).await;
    let pull = &data["repository"]["pullRequest"];
    assert_eq!(pull["baseRef"]["target"]["oid"], tip.as_str());
    assert_ne!(pull["baseRefOid"], tip.as_str());
}

#[tokio::test]
async fn several_writes_go_in_one_document_and_run_in_order() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let facts = town.data(FACTS, json!({"number": 1})).await;
    let repository = facts["repository"]["id"].clone();
    let pull = facts["repository"]["pullRequest"]["id"].clone();
    let document = r"
      mutation Report($lint: CreateCheckRunInput!, $say: AddCommentInput!) {
        lint: createCheckRun(input: $lint) { clientMutationId checkRun { id name status } }
        say: addComment(input: $say) { commentEdge { node { id databaseId } } subject { id } }
      }";
    let variables = json!({
        "lint": {"repositoryId": repository, "headSha": town.head(&pr), "name": "lint",
                 "status": "IN_PROGRESS", "externalId": "job-1", "clientMutationId": "m1",
                 "output": {"title": "Linting", "summary": "…"}},
        "say": {"subjectId": pull, "body": "working on it"},
    });
    let data = town.data(document, variables).await;
    assert_eq!(data["lint"]["clientMutationId"], "m1");
    assert_eq!(data["say"]["subject"]["id"], pull);
    let check = data["lint"]["checkRun"]["id"].clone();
    let comment = data["say"]["commentEdge"]["node"]["id"].clone();

    let document = r"
      mutation ($lint: UpdateCheckRunInput!, $say: UpdateIssueCommentInput!,
                $see: AddReactionInput!) {
        updateCheckRun(input: $lint) { checkRun { conclusion completedAt title } }
        updateIssueComment(input: $say) { issueComment { body lastEditedAt } }
        addReaction(input: $see) { reaction { content } }
      }";
    let variables = json!({
        "lint": {"repositoryId": repository, "checkRunId": check, "conclusion": "SUCCESS"},
        "say": {"id": comment, "body": "done"},
        "see": {"subjectId": comment, "content": "EYES"},
    });
    let data = town.data(document, variables).await;
    assert_eq!(data["updateCheckRun"]["checkRun"]["title"], "Linting", "what is not sent stays");
    let seen = town.gh.pr(&pr).unwrap();
    assert_eq!(seen.check("lint").unwrap().external_id.as_deref(), Some("job-1"));
    assert_eq!(seen.comments[0].body, "done");
    assert_eq!(seen.comments[0].reactions.len(), 1);
}

#[tokio::test]
async fn the_checks_of_a_commit_and_who_demands_them_are_told() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    for origin in [Origin::Classic, Origin::Ruleset] {
        let rule =
            Protection { origin, required_checks: vec!["lint".into()], ..Protection::default() };
        let name = town.repository.clone();
        town.gh.change(move |world| world.protect(&name, "main", Some(rule))).await.unwrap();
        let new = json!({"name": "lint", "head_sha": town.head(&pr), "conclusion": "failure"});
        let path = "/repos/acme/warehouse/check-runs";
        town.send(reqwest::Method::POST, path, &new).await;
        let document = r#"
          query ($head: GitObjectID!) { repository(owner: "ACME", name: "warehouse") {
            pullRequest(number: 1) { baseRef {
              refUpdateRule { requiredStatusCheckContexts }
              rules(first: 9) { nodes { parameters {
                ... on RequiredStatusChecksParameters { requiredStatusChecks { context } } } } }
            } }
            object(oid: $head) { ... on Commit {
              statusCheckRollup { state contexts(first: 100) { nodes { __typename
                ... on CheckRun { name conclusion isRequired(pullRequestNumber: 1) } } } }
              checkSuites(first: 5, filterBy: {appId: 4242}) { nodes { app { slug databaseId }
                checkRuns(first: 5, filterBy: {checkType: LATEST}) { nodes { name status } } } }
            } } } }"#;
        let data = town.data(document, json!({"head": town.head(&pr)})).await;
        let repository = &data["repository"];
        let rollup = &repository["object"]["statusCheckRollup"];
        assert_eq!(rollup["state"], "FAILURE");
        assert_eq!(rollup["contexts"]["nodes"][0]["isRequired"], true);
        let suite = &repository["object"]["checkSuites"]["nodes"][0];
        assert_eq!(suite["app"]["slug"], "sluice");
        assert_eq!(suite["checkRuns"]["nodes"].as_array().unwrap().len(), 1, "the latest only");
        let base = &repository["pullRequest"]["baseRef"];
        let by_ruleset = base["rules"]["nodes"].to_string().contains("lint");
        assert_eq!(by_ruleset, origin == Origin::Ruleset);
        assert_eq!(base["refUpdateRule"].is_null(), origin == Origin::Ruleset);
    }
}

#[tokio::test]
async fn an_error_has_its_type_beside_the_message_and_leaves_the_rest_of_the_data() {
    let town = Town::new().await;
    let query = r#"{ viewer { login }
      repository(owner: "acme", name: "warehouse") { id pullRequest(number: 99) { id } } }"#;
    let answer = town.graphql(query, Value::Null).await;
    assert_eq!(answer["data"]["viewer"]["login"], "sluice[bot]");
    assert!(answer["data"]["repository"]["pullRequest"].is_null());
    let error = &answer["errors"][0];
    assert_eq!(error["type"], "NOT_FOUND");
    assert_eq!(error["path"], json!(["repository", "pullRequest"]));
    assert_eq!(error["message"], "Could not resolve to a PullRequest with the number of 99.");
}

#[tokio::test]
async fn a_user_may_not_write_checks_and_lists_have_bounds() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let facts = town.data(FACTS, json!({"number": 1})).await;
    let input = json!({"repositoryId": facts["repository"]["id"], "headSha": town.head(&pr),
                       "name": "lint"});
    let query = "mutation ($input: CreateCheckRunInput!) {
      createCheckRun(input: $input) { checkRun { id } } }";
    let request = town.request_as("alice", reqwest::Method::POST, "/graphql");
    let body = json!({"query": query, "variables": {"input": input}});
    let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["errors"][0]["type"], "FORBIDDEN");

    let query = r#"{ repository(owner: "acme", name: "warehouse") {
      pullRequest(number: 1) { comments { nodes { id } } files(first: 101) { nodes { path } } }
    } }"#;
    let answer = town.graphql(query, Value::Null).await;
    let types: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|it| it["type"].clone()).collect();
    assert!(types.contains(&json!("MISSING_PAGINATION_BOUNDARIES")), "{answer}");
}

#[tokio::test]
async fn a_fork_has_no_head_ref_here_but_its_commits_are() {
    let town = Town::new().await;
    let spec = PrSpec::new("fix").file("models/f.sql", "SELECT 5\n").from_fork("mallory/warehouse");
    let pr = town.mallory.opens_pr(&town.repository, spec).await.unwrap();
    let query = r#"query ($head: GitObjectID!) { repository(owner: "acme", name: "warehouse") {
      pullRequest(number: 1) { isCrossRepository headRef { name } headRefOid }
      object(oid: $head) { ... on Commit { file(path: "models/f.sql") {
        object { ... on Blob { text } } } } } } }"#;
    let data = town.data(query, json!({"head": town.head(&pr)})).await;
    let pull = &data["repository"]["pullRequest"];
    assert_eq!(pull["isCrossRepository"], true);
    assert!(pull["headRef"].is_null());
    assert_eq!(data["repository"]["object"]["file"]["object"]["text"], "SELECT 5\n");
}
