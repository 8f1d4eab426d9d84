//! GraphQL, held against GitHub's schema: documents, their variables, and the answers.

mod answer;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::Value;

const TEXT: &str = include_str!("../descriptions/schema.graphql");

/// GitHub's schema, as far as it is used.
pub(crate) static SCHEMA: LazyLock<Result<Valid<Schema>, String>> = LazyLock::new(|| {
    Schema::parse_and_validate(TEXT, "schema.graphql").map_err(|problems| problems.to_string())
});

/// A document that fits the schema.
type Document = Arc<Valid<ExecutableDocument>>;

/// Whether a document fits GitHub's schema.
///
/// # Errors
/// What does not fit, with the lines.
pub fn check_document(text: &str) -> Result<(), String> {
    parsed(text).map(drop)
}

fn parsed(text: &str) -> Result<Document, String> {
    let schema = SCHEMA.as_ref().map_err(Clone::clone)?;
    let document = ExecutableDocument::parse_and_validate(schema, text, "document");
    document.map(Arc::new).map_err(|problems| problems.errors.to_string())
}

/// What was found of one exchange.
#[derive(Default)]
pub(crate) struct Found {
    /// The operation's name, and the mutations in it.
    pub(crate) names: Vec<String>,
    /// What is wrong with the request.
    pub(crate) asked: Vec<String>,
    /// What is wrong with the answer.
    pub(crate) answered: Vec<String>,
}

/// Judges exchanges; a document is parsed once.
#[derive(Default)]
pub(crate) struct Judge {
    documents: BTreeMap<String, Result<Document, String>>,
}

impl Judge {
    /// Judges a request, and its answer if it has the status 200.
    pub(crate) fn judge(&mut self, asked: &Value, answered: Option<&Value>) -> Found {
        let mut found = Found::default();
        if let Err(problem) = self.look(asked, answered, &mut found) {
            found.asked.push(problem);
        }
        found
    }

    fn look(
        &mut self,
        asked: &Value,
        answered: Option<&Value>,
        found: &mut Found,
    ) -> Result<(), String> {
        let text = asked["query"].as_str().ok_or("a request without a document")?;
        let document = self.document(text)?;
        let operation = document.operations.get(asked["operationName"].as_str());
        let operation = operation.map_err(|problem| problem.message().to_string())?;
        let name = operation.name.as_ref().map_or("(without a name)", |name| name.as_str());
        found.names.push(name.to_owned());
        if operation.is_mutation() {
            let writes = operation.root_fields(&document).map(|field| field.name.as_str());
            found.names.extend(writes.map(|write| format!("{name}: {write}")));
        }
        let variables: JsonMap = match &asked["variables"] {
            Value::Null => JsonMap::new(),
            given => serde_json::from_value(given.clone()).map_err(|it| it.to_string())?,
        };
        let schema = SCHEMA.as_ref().map_err(Clone::clone)?;
        let variables = coerce_variable_values(schema, operation, &variables)
            .map_err(|problem| problem.message().to_string())?;
        if let Some(answered) = answered {
            found.answered = answer::problems((schema, &document), operation, &variables, answered);
        }
        Ok(())
    }

    fn document(&mut self, text: &str) -> Result<Document, String> {
        if let Some(known) = self.documents.get(text) {
            return known.clone();
        }
        let document = parsed(text);
        self.documents.insert(text.to_owned(), document.clone());
        document
    }
}

#[cfg(test)]
mod tests;
