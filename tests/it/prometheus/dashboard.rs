//! The queries of the dashboard that `deploy/grafana` brings.

use std::path::Path;

use serde_json::Value;

/// What Grafana puts in for its variables, as it would for one project and a short range.
const VARIABLES: [(&str, &str); 3] =
    [("$__rate_interval", "1m"), ("$__range", "5m"), ("$project", ".*")];

/// Every query, as Prometheus gets to see it.
pub fn queries() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/dashboards/sluice.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<String> = targets.map(|target| filled_in(&target["expr"])).collect();
    assert!(queries.len() > 20, "the dashboard has {} queries", queries.len());
    queries
}

fn filled_in(query: &Value) -> String {
    let mut query = query.as_str().unwrap().to_owned();
    for (variable, value) in VARIABLES {
        query = query.replace(variable, value);
    }
    assert!(!query.contains('$'), "a variable is not known: {query}");
    query
}

/// The metrics that a query reads, without what a histogram's series are called on top.
pub fn metrics_in(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("sluice_"));
    let bare = |word: &str| {
        let word = word.strip_suffix("_bucket").or(word.strip_suffix("_count")).unwrap_or(word);
        word.to_owned()
    };
    ours.map(bare).collect()
}
