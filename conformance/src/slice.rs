//! The slice that we use of what GitHub publishes, made anew from the packages that hold it.
//!
//! Owns which files are read and written. What is kept of each is in the modules below.

mod graphql;
mod openapi;
mod rest;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::described::COMPONENT;

/// Reads the packages, unpacked into `from/<name>/`, and writes their slices to `to`.
///
/// # Errors
/// A package is not there or not of the form we know, or lacks what we use.
pub fn make(from: &Path, to: &Path) -> anyhow::Result<()> {
    let rest = rest::slice(&read(&from.join("openapi/generated/api.github.com.json"))?)?;
    write(to, "rest.txt", lines(&rest).as_bytes())?;
    let webhooks = read(&from.join("openapi-webhooks/generated/api.github.com.json"))?;
    write(to, "webhooks.txt", lines(&webhooks::slice(&webhooks)?).as_bytes())?;
    let schema = read(&from.join("graphql-schema/schema.json"))?;
    let schema = graphql::slice(&schema, &standins_types()?)?;
    write(to, "schema.graphql", schema.as_bytes())?;
    let examples = read(&from.join("webhooks-examples/api.github.com/index.json"))?;
    write(to, "payloads.txt.gz", &payloads(&examples)?)
}

/// A component's name in its line.
fn component(name: &str) -> String {
    format!("{COMPONENT}{name}")
}

/// The names of the types that the stand-in knows.
fn standins_types() -> anyhow::Result<BTreeSet<String>> {
    let schema = crate::sub_schema::standins().map_err(anyhow::Error::msg)?;
    Ok(schema.types.keys().map(ToString::to_string).filter(|it| !it.starts_with("__")).collect())
}

/// One line for each example: the event's name, a tab, the payload.
fn payloads(examples: &Value) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for event in examples.as_array().context("no examples")? {
        let name = event["name"].as_str().context("an event without a name")?;
        for payload in event["examples"].as_array().into_iter().flatten() {
            writeln!(encoder, "{name}\t{payload}")?;
        }
    }
    Ok(encoder.finish()?)
}

fn lines(described: &BTreeMap<String, Value>) -> String {
    described.iter().map(|(name, it)| format!("{name}\t{}\n", json!(it))).collect()
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_reader(std::io::BufReader::new(file))?)
}

fn write(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
}
