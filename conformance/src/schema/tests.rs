//! Each keyword, with a document that keeps it and one that breaks it.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use serde_json::json;

use super::*;

fn described() -> Described {
    Described::new("#/$defs/name\t{\"type\": \"string\", \"maxLength\": 3}")
}

fn wrong(schema: &Value, document: &Value) -> Vec<String> {
    problems(&described(), schema, document)
}

#[test]
fn every_keyword_is_kept_or_broken() {
    let table = [
        (json!({"type": "string"}), json!("a"), json!(1)),
        (json!({"type": ["string", "null"]}), json!(null), json!(1)),
        (json!({"type": "integer"}), json!(1.0), json!(1.5)),
        (json!({"type": "number"}), json!(1.5), json!("1.5")),
        (json!({"type": "boolean"}), json!(true), json!("true")),
        (json!({"type": "array"}), json!([]), json!({})),
        (json!({"type": "object"}), json!({}), json!([])),
        (json!({"type": "null"}), json!(null), json!(0)),
        (json!({"enum": ["a", null]}), json!(null), json!("b")),
        (json!({"minimum": 1}), json!(1), json!(0)),
        (json!({"maximum": 1}), json!(1), json!(2)),
        (json!({"maxLength": 2}), json!("äö"), json!("abc")),
        (json!({"maxItems": 1}), json!([1]), json!([1, 2])),
        (json!({"items": {"type": "string"}}), json!(["a"]), json!(["a", 1])),
        (json!({"required": ["a"]}), json!({"a": null}), json!({"b": 1})),
        (json!({"properties": {"a": {"type": "string"}}}), json!({"b": 1}), json!({"a": 1})),
        (json!({"additionalProperties": false}), json!({}), json!({"a": 1})),
        (json!({"additionalProperties": {"enum": [1]}}), json!({"a": 1}), json!({"a": 2})),
        (json!({"$ref": "#/$defs/name"}), json!("abc"), json!("abcd")),
        (json!({"$ref": "#/$defs/name", "enum": ["a"]}), json!("a"), json!("b")),
        (json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}), json!(2), json!(3)),
        (json!({"anyOf": [{"enum": [1]}, {"type": "null"}]}), json!(null), json!(2)),
        (json!({"oneOf": [{"minimum": 1}, {"minimum": 5}]}), json!(2), json!(6)),
        (json!({"oneOf": [{"enum": [1]}, {"enum": [2]}]}), json!(2), json!(3)),
        (json!({"format": "date-time"}), json!("2026-01-02T03:04:05Z"), json!("2026-01-02")),
        (json!({"format": "uri"}), json!("http://127.0.0.1:1/a%5Bb"), json!("/a")),
        (json!({"format": "uri"}), json!("git://h/a.git"), json!("http://h/a[b]")),
        (json!({"format": "uri-template"}), json!("http://h/a{/b}"), json!("a{/b}")),
        (json!({"format": "email"}), json!("a@b"), json!("a")),
        (json!({"format": "int64"}), json!(5), json!(1.5)),
    ];
    for (schema, kept, broken) in table {
        assert_eq!(wrong(&schema, &kept), [""; 0], "{schema} keeps {kept}");
        assert_ne!(wrong(&schema, &broken), [""; 0], "{schema} is broken by {broken}");
    }
}

#[test]
fn a_problem_names_its_place() {
    let schema = json!({"properties": {"a": {"items": {"required": ["b"]}}}});
    assert_eq!(wrong(&schema, &json!({"a": [{"b": 1}, {}]})), ["at /a/1: lacks b"]);
    let missing = json!({"$ref": "#/$defs/other"});
    assert_eq!(wrong(&missing, &json!(1)), ["at /: #/$defs/other is not described"]);
}

#[test]
fn a_keyword_that_nobody_checks_is_found_at_any_depth() {
    let schema = json!({"properties": {"pattern": {"anyOf": [{"items": {"pattern": "a"}}]}}});
    let mut found = BTreeSet::new();
    unknown_keywords(&schema, &mut found);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["pattern"]);
}
