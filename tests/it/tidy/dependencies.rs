//! The direction of dependency, read from the manifests.

use super::Violation;

/// What a package must not name among its normal and build dependencies. Dev-dependencies are
/// free: the tests of the root package see every crate.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "sluice",
        &[
            "sluice-cli",
            "sluice-conformance",
            "sluice-producer",
            "sluice-service",
            "sluice-sim",
            "sluice-store",
            "sluice-worker",
            "axum",
            "deadpool-redis",
            "octocrab",
            "pyo3",
            "redis",
        ],
    ),
    (
        "sluice-store",
        &["sluice-cli", "sluice-producer", "sluice-service", "sluice-sim", "sluice-worker"],
    ),
    ("sluice-service", &["sluice-cli", "sluice-producer", "sluice-sim", "sluice-worker"]),
    ("sluice-producer", &["sluice-cli", "sluice-conformance", "sluice-sim", "sluice-worker"]),
    ("sluice-worker", &["sluice-cli", "sluice-conformance", "sluice-producer", "sluice-sim"]),
    ("sluice-sim", &["sluice-cli", "sluice-conformance", "sluice-producer", "sluice-worker"]),
    ("sluice-cli", &["sluice-conformance"]),
    ("sluice-bench", &["sluice-cli", "sluice-sim"]),
    ("sluice-chaos", &["sluice-cli"]),
    ("sluice-fuzz", &["sluice-cli", "sluice-sim"]),
    (
        "sluice-conformance",
        &["sluice", "sluice-cli", "sluice-producer", "sluice-service", "sluice-worker"],
    ),
    (
        "sluice-rig",
        &["sluice", "sluice-cli", "sluice-producer", "sluice-sim", "sluice-worker", "tokio"],
    ),
    ("xtask", &["sluice", "sluice-cli", "sluice-producer", "sluice-sim", "sluice-worker", "tokio"]),
];

const WHY: &str = "roles know the library, the library knows no role and no transport of one, and \
                   only the binary and the tests see all: ARCHITECTURE.md";

/// Every dependency in the manifest `text` that points the wrong way.
pub(super) fn broken_by(path: &str, text: &str) -> Vec<Violation> {
    let violation = |rule| Violation { path: path.to_owned(), line: 1, rule, why: WHY };
    let manifest: toml::Table = text.parse().expect("cargo has read this manifest");
    let package = &manifest["package"]["name"];
    let package = package.as_str().expect("a package has a name");
    let Some((_, forbidden)) = FORBIDDEN.iter().find(|(name, _)| *name == package) else {
        return vec![violation(format!("no rule says what `{package}` may depend on"))];
    };
    let named = dependencies(&manifest);
    let wrong = named.iter().filter(|name| forbidden.contains(&name.as_str()));
    wrong.map(|name| violation(format!("`{package}` must not depend on `{name}`"))).collect()
}

/// The packages that the manifest names, under whatever alias and for whatever platform.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(toml::Table::values);
    let tables = std::iter::once(manifest).chain(platforms.filter_map(toml::Value::as_table));
    let mut names = Vec::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            let named = table.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
            names.extend(named.map(|(key, value)| {
                let package = value.get("package").and_then(toml::Value::as_str);
                package.unwrap_or(key).to_owned()
            }));
        }
    }
    names
}
