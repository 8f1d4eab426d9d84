//! REST, held against GitHub's OpenAPI description: paths, parameters, bodies, answers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;
use sluice_sim::Exchange;

use crate::described::Described;
use crate::exceptions;
use crate::schema::problems;

/// What is described of REST.
pub(crate) static DESCRIBED: LazyLock<Described> =
    LazyLock::new(|| Described::new(include_str!("../descriptions/rest.txt")));

/// GitHub's body of a failure.
const FAILURE: &str = r##"{"$ref": "#/$defs/basic-error"}"##;

/// What was found of one exchange.
#[derive(Default)]
pub(crate) struct Found {
    /// The operation, as `GET /path`; `None` when GitHub has none for it.
    pub(crate) operation: Option<&'static str>,
    /// What is wrong with the request.
    pub(crate) asked: Vec<String>,
    /// What is wrong with the answer.
    pub(crate) answered: Vec<String>,
}

/// Judges an exchange; an answer of the status 0 is none.
pub(crate) fn judge(exchange: &Exchange<'_>) -> Found {
    let (path, query) = exchange.path.split_once('?').unwrap_or((exchange.path, ""));
    let Some((name, described)) = operation(exchange.method, path) else {
        let asked = format!("GitHub has no {} {path} (that we use)", exchange.method);
        return Found { asked: vec![asked], ..Found::default() };
    };
    let mut asked = parameters(&described["parameters"], query);
    asked.extend(body(&described["body"], exchange.asked));
    let answered = match exchange.status {
        0 => Vec::new(),
        _ => answer(name, &described["answers"], exchange),
    };
    Found { operation: Some(name), asked, answered }
}

fn parameters(described: &Value, query: &str) -> Vec<String> {
    let given: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let of_query = described.as_array().into_iter().flatten().filter(|it| it["in"] == "query");
    let of_query: BTreeMap<&str, &Value> =
        of_query.filter_map(|it| Some((it["name"].as_str()?, it))).collect();
    let mut found = Vec::new();
    for (parameter, value) in &given {
        let Some(described) = of_query.get(parameter.as_str()) else {
            found.push(format!("GitHub knows no parameter {parameter}"));
            continue;
        };
        let schema = &described["schema"];
        let value = typed(schema, value);
        let wrong = problems(&DESCRIBED, schema, &value);
        found.extend(wrong.into_iter().map(|it| format!("parameter {parameter}: {it}")));
    }
    let is_given = |name: &str| given.iter().any(|(given, _)| given == name);
    let missing = of_query.iter().filter(|(name, it)| it["required"] == true && !is_given(name));
    found.extend(missing.map(|(name, _)| format!("the parameter {name} is missing")));
    found
}

fn body(described: &Value, body: &[u8]) -> Vec<String> {
    match (described, body) {
        (Value::Null, []) => Vec::new(),
        (Value::Null, _) => vec!["a body, where GitHub reads none".to_owned()],
        (described, []) if described["required"] == true => vec!["no body".to_owned()],
        (_, []) => Vec::new(),
        (described, body) => match serde_json::from_slice(body) {
            Ok(body) => problems(&DESCRIBED, &described["schema"], &body),
            Err(error) => vec![format!("a body that is not JSON: {error}")],
        },
    }
}

fn answer(name: &str, described: &Value, exchange: &Exchange<'_>) -> Vec<String> {
    let status = exchange.status.to_string();
    let basic = || serde_json::from_str(FAILURE).unwrap_or_default();
    let schema = match described.get(&status) {
        Some(schema) => schema.clone(),
        None if exceptions::why_undescribed(name, exchange.status).is_some() => basic(),
        None => return vec![format!("GitHub never answers with {status} here")],
    };
    let body = serde_json::from_slice::<Value>(exchange.answered);
    match (schema, body) {
        _ if status == "304" && exchange.answered.is_empty() => Vec::new(),
        (Value::Null, _) if exchange.answered.is_empty() => Vec::new(),
        (Value::Null, _) => vec![format!("{status} with a body, where GitHub sends none")],
        (schema, Ok(body)) => problems(&DESCRIBED, &schema, &body),
        (_, Err(error)) => vec![format!("{status} with a body that is not JSON: {error}")],
    }
}

/// The operation that a path belongs to; of two that fit, the one with more literal parts.
fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let asked: Vec<&str> = path.trim_matches('/').split('/').collect();
    let fitting = DESCRIBED.names().filter_map(|name| {
        let (described, template) = name.split_once(' ')?;
        let literal = fits(template, &asked).filter(|_| described == method)?;
        Some((literal, name))
    });
    let (_, name) = fitting.max()?;
    Some((name, DESCRIBED.get(name)?))
}

/// How many parts are literally the same, when the path fits the template.
fn fits(template: &str, asked: &[&str]) -> Option<usize> {
    let parts: Vec<&str> = template.trim_matches('/').split('/').collect();
    // The path of a file is the only parameter with slashes in it.
    let is_open = parts.last() == Some(&"{path}");
    let is_as_long = parts.len() == asked.len() || (is_open && asked.len() > parts.len());
    let pairs = || parts.iter().zip(asked);
    let all_fit = pairs().all(|(part, asked)| part.starts_with('{') || part == asked);
    (is_as_long && all_fit).then(|| pairs().filter(|(part, _)| !part.starts_with('{')).count())
}

/// A parameter's text as the type that its schema has.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer" | "number" | "boolean") => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    }
}

/// Undoes `%20` and `+`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, after) = match (first, byte) {
            (b'%', Some(byte)) => (byte, &after[2..]),
            (b'+', _) => (b' ', after),
            (other, _) => (other, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
