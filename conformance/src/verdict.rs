//! The ear at the wire: judges what it hears at once, and keeps what was wrong.
//!
//! Owns what counts as a violation, and how many are told. How REST, GraphQL and webhooks are
//! judged is in their modules.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sluice_sim::world::RequestKind;
use sluice_sim::{Exchange, Webhook, Wiretap};

use crate::coverage::{Coverage, Subject};
use crate::{exceptions, graphql, rest, webhooks};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Programs of ours: whatever they ask has to be right.
    Ours,
    /// A test with requests of its own making: what is refused may be wrong.
    Anybody,
}

/// How many violations are told.
const TOLD: usize = 30;

/// Hears and judges. The default is for programs of ours.
#[derive(Debug)]
pub struct Ear {
    clients: Clients,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    graphql: graphql::Judge,
    coverage: Coverage,
    violations: Vec<String>,
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heard").field("violations", &self.violations).finish_non_exhaustive()
    }
}

impl Default for Ear {
    fn default() -> Self {
        Self::new(Clients::Ours)
    }
}

impl Ear {
    /// One that has heard nothing yet.
    #[must_use]
    pub fn new(clients: Clients) -> Self {
        Self { clients, heard: Mutex::default() }
    }

    /// What was wrong so far, and what was heard; both are forgotten.
    pub fn take(&self) -> (Vec<String>, Coverage) {
        let mut heard = self.heard();
        (std::mem::take(&mut heard.violations), std::mem::take(&mut heard.coverage))
    }

    /// Judges a request whose answer is none of GitHub's, as a scripted server's is not.
    pub fn request(&self, method: &str, path: &str, asked: &[u8]) {
        let kind = match path {
            "/graphql" => RequestKind::GraphQl,
            _ => RequestKind::Rest,
        };
        let exchange = Exchange { kind, method, path, asked, status: 0, answered: &[] };
        self.heard().hear(self.clients, &exchange);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wiretap for Ear {
    fn exchange(&self, exchange: &Exchange<'_>) {
        self.heard().hear(self.clients, exchange);
    }

    fn webhook(&self, webhook: &Webhook<'_>) {
        let mut heard = self.heard();
        let (name, wrong) = webhooks::judge(webhook);
        let what = format!("webhook {name}");
        heard.coverage.add(Subject::Webhook, &name, "sent");
        heard.keep(&what, wrong);
    }
}

impl Heard {
    fn hear(&mut self, clients: Clients, exchange: &Exchange<'_>) {
        let is_refused = (400..500).contains(&exchange.status);
        let may_be_wrong = clients == Clients::Anybody && is_refused;
        match exchange.kind {
            RequestKind::Rest => self.hear_rest(exchange, may_be_wrong),
            RequestKind::GraphQl => self.hear_graphql(exchange, clients),
            RequestKind::Git => {}
        }
    }

    fn hear_rest(&mut self, exchange: &Exchange<'_>, may_be_wrong: bool) {
        let rest::Found { operation, asked, answered } = rest::judge(exchange);
        let name = operation.unwrap_or("no operation");
        if let Some(operation) = operation {
            self.coverage.add(Subject::Rest, operation, &result(exchange.status));
        }
        if !may_be_wrong {
            self.keep(&format!("request {name}"), asked);
        }
        self.keep(&format!("answer to {name}"), answered);
    }

    fn hear_graphql(&mut self, exchange: &Exchange<'_>, clients: Clients) {
        let asked = serde_json::from_slice::<Value>(exchange.asked).unwrap_or_default();
        let answered = (exchange.status == 200).then(|| serde_json::from_slice(exchange.answered));
        let answered = answered.transpose().unwrap_or_default();
        let found = self.graphql.judge(&asked, answered.as_ref());
        // A document of a test may have the name of one of ours.
        for name in found.names.iter().filter(|_| clients == Clients::Ours) {
            self.coverage.add(Subject::GraphQl, name, &result(exchange.status));
        }
        let name = found.names.first().map_or("a document", String::as_str);
        // GraphQL refuses with status 200, errors, and no data.
        let is_refused = answered.as_ref().is_none_or(|it| it["data"].is_null());
        if !(clients == Clients::Anybody && is_refused) {
            self.keep(&format!("request {name}"), found.asked);
        }
        self.keep(&format!("answer to {name}"), found.answered);
        let is_known = matches!(exchange.status, 0 | 200)
            || exceptions::why_undescribed("POST /graphql", exchange.status).is_some();
        if !is_known {
            let wrong = format!("GitHub never answers with {}", exchange.status);
            self.keep("answer of GraphQL", vec![wrong]);
        }
    }

    fn keep(&mut self, what: &str, wrong: Vec<String>) {
        for wrong in wrong {
            let violation = format!("{what}: {wrong}");
            if self.violations.len() < TOLD && !self.violations.contains(&violation) {
                self.violations.push(violation);
            }
        }
    }
}

/// What came of a request, in the table.
fn result(status: u16) -> String {
    match status {
        0 => "asked of a script".to_owned(),
        status => status.to_string(),
    }
}
