//! What is found wrong with documents, variables and answers; and the stand-in's own schema.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use serde_json::json;

use super::*;

fn heard(document: &str, variables: &Value, answer: &Value) -> Found {
    let asked = json!({"query": document, "variables": variables});
    Judge::default().judge(&asked, Some(answer))
}

#[test]
fn the_stand_ins_schema_is_a_part_of_githubs() {
    assert_eq!(crate::differences().unwrap(), [""; 0]);
}

#[test]
fn documents_and_variables_that_do_not_fit_are_told() {
    let one = "query One($id: ID!) { node(id: $id) { id } }";
    let found = heard(one, &json!({"id": "R_1"}), &json!({"data": {"node": null}}));
    assert_eq!((found.names, found.asked, found.answered), (vec!["One".into()], vec![], vec![]));
    assert!(check_document("query { viewer { loginn } }").unwrap_err().contains("loginn"));
    let found = heard(one, &json!({}), &json!({"data": {"node": null}}));
    assert_eq!(found.asked.len(), 1, "{:?}", found.asked);
    let write = "mutation W($w: AddReactionInput!) { addReaction(input: $w) { clientMutationId } }";
    let done = json!({"data": {"addReaction": {"clientMutationId": null}}});
    let eyes = json!({"w": {"subjectId": "IC_1", "content": "EYES"}});
    let found = heard(write, &eyes, &done);
    assert_eq!(found.names, ["W", "W: addReaction"]);
    assert_eq!((found.asked, found.answered), (vec![], vec![]));
    for wrong in [
        json!({"w": {"subjectId": "IC_1", "content": "EAR"}}),
        json!({"w": {"subjectId": "IC_1", "content": "EYES", "surplus": 1}}),
        json!({"w": {"content": "EYES"}}),
    ] {
        assert_eq!(heard(write, &wrong, &done).asked.len(), 1, "{wrong}");
    }
}

const PULL: &str = "query Pull($deep: Boolean!) {
  node(id: \"PR_1\") {
    ... on PullRequest {
      number
      state
      headRefOid
      createdAt
      url
      isDraft
      reviews(first: 1) { nodes { state } }
      author @include(if: $deep) { login }
    }
    ... on IssueComment { body }
  }
}";

fn pull() -> Value {
    json!({
        "number": 7,
        "state": "OPEN",
        "headRefOid": "a".repeat(40),
        "createdAt": "2026-01-02T03:04:05Z",
        "url": "http://127.0.0.1:1/a/b/pull/7",
        "isDraft": false,
        "reviews": {"nodes": [{"state": "APPROVED"}, null]},
    })
}

fn answered(node: &Value) -> Vec<String> {
    heard(PULL, &json!({"deep": false}), &json!({"data": {"node": node}})).answered
}

#[test]
fn an_answer_has_the_fields_that_were_asked_for() {
    assert_eq!(answered(&pull()), [""; 0]);
    assert_eq!(answered(&json!({"body": "a comment"})), [""; 0]);
    assert_eq!(answered(&Value::Null), [""; 0]);
    let mut deep = pull();
    deep["author"] = Value::Null;
    assert_eq!(answered(&deep), ["at `data.node`: author was not asked for"]);
    let with = heard(PULL, &json!({"deep": true}), &json!({"data": {"node": deep}}));
    assert_eq!(with.answered, [""; 0]);
    let mut short = pull();
    short.as_object_mut().unwrap().remove("state");
    assert!(answered(&short).contains(&"at `data.node`: lacks state".to_owned()));
    assert_eq!(heard(PULL, &json!({"deep": true}), &json!({})).answered.len(), 1);
}

#[test]
fn an_answer_has_values_of_the_right_types() {
    for (name, value) in [
        ("number", json!("7")),
        ("number", json!(4_294_967_296_u64)),
        ("state", json!("open")),
        ("headRefOid", json!("abc")),
        ("createdAt", json!("yesterday")),
        ("url", json!("/a/b")),
        ("isDraft", Value::Null),
        ("isDraft", json!("no")),
        ("reviews", json!({"nodes": {}})),
        ("reviews", json!([])),
        ("reviews", json!({"nodes": [{"state": "approved"}]})),
    ] {
        let mut wrong = pull();
        wrong[name] = value;
        let found = answered(&wrong);
        assert!(found.len() == 1 && found[0].contains(name), "{wrong}: {found:?}");
    }
}
