//! Counts travel through lines, and what is missing is named.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;

use super::*;

#[test]
fn counts_of_many_processes_are_summed_up() {
    let mut one = Coverage::default();
    one.add(Subject::Rest, "GET /app", "200");
    one.add(Subject::GraphQl, "Facts", "200");
    let mut all = Coverage::default();
    for _ in 0..3 {
        one.lines().lines().for_each(|line| all.add_line(line).unwrap());
    }
    assert!(all.table().contains("200 ×3"), "{}", all.table());
    let missing = all.missing();
    assert!(!missing.contains(&"Facts".to_owned()) && missing.contains(&"Merge".to_owned()));
    assert!(missing.contains(&"GET /rate_limit".to_owned()), "{missing:?}");
    assert!(missing.contains(&"push".to_owned()), "{missing:?}");
    assert_eq!(all.add_line("nonsense"), None);
}

#[test]
fn every_document_of_the_worker_has_to_be_covered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/src/github/documents");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let operations = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("query ").or_else(|| line.strip_prefix("mutation "))?;
            Some(rest.split(['(', ' ']).next()?.to_owned())
        });
        found.extend(operations);
    }
    assert!(found.len() >= 7, "{found:?}");
    for name in found {
        assert!(DOCUMENTS.contains(&name.as_str()), "{name}");
    }
}
