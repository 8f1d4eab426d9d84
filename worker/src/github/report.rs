//! Making a report visible: one mutation document, repeated only for what is not there.
//!
//! Owns which writes are left, and the reading back that tells. Refuses to decide what is written.

use std::time::SystemTime;

use serde_json::{Map, Value, json};
use sluice::github::{
    Attempt, CheckStatus, CheckWrite, CommentWrite, GitHubError, Report, ReportError, Reported,
};
use sluice::names::NodeId;

use super::budget::Priority;
use super::checks::words_of;
use super::client::Errand;
use super::cut;
use super::graphql::{Problem, Reply};
use super::limits::Failure;
use super::patience::Tries;
use super::{HttpGitHub, facts::Found};

/// One write of a report, and what became of it.
struct Write<'a> {
    effect: Effect<'a>,
    /// The node to rewrite; `None` makes a new one.
    id: Option<NodeId>,
    done: bool,
}

enum Effect<'a> {
    Check(&'a CheckWrite),
    Comment(String),
    Eyes,
}

impl HttpGitHub {
    /// Writes; whatever becomes of it, what is written is told.
    pub(super) async fn write_report(&self, report: &Report) -> Result<Reported, ReportError> {
        let mut written = Reported::default();
        if !self.way.is_statuses() {
            let mut writes = writes_of(report);
            let whole = self.write_all(report, &mut writes).await;
            written = reported(writes);
            match whole {
                Ok(()) => return Ok(written),
                // It was learned just now that this is not the way: the rest goes the other.
                Err(_) if self.way.is_statuses() => {}
                Err(source) => return Err(ReportError { written, source }),
            }
        }
        let beside = self.write_beside_checks(report, &mut written).await;
        let statuses = self.write_statuses(report, &mut written.checks).await;
        match beside.and(statuses) {
            Ok(()) => Ok(written),
            Err(source) => Err(ReportError { written, source }),
        }
    }

    /// Writes the reaction and the comment.
    async fn write_beside_checks(
        &self,
        report: &Report,
        written: &mut Reported,
    ) -> Result<(), GitHubError> {
        let comment = report.comment.clone().filter(|_| written.comment.is_none());
        let report = Report { checks: Vec::new(), comment, ..report.clone() };
        let mut writes = writes_of(&report);
        let whole = self.write_all(&report, &mut writes).await;
        written.comment = written.comment.take().or(reported(writes).comment);
        whole
    }

    /// Writes, and after a failure reads what exists before it writes the rest.
    async fn write_all(
        &self,
        report: &Report,
        writes: &mut [Write<'_>],
    ) -> Result<(), GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        let creates = writes.iter().any(|write| write.id.is_none());
        let mut unclear = creates && report.attempt == Attempt::Again;
        while writes.iter().any(|write| !write.done) {
            // Nothing is written again before GitHub has said what is there.
            let done = match unclear {
                true => self.look(report, writes).await.map(|()| unclear = false),
                false => self.write(report, writes).await.inspect_err(|_| unclear = true),
            };
            if let Err(failure) = done {
                tries.after(failure).await?;
            }
        }
        Ok(())
    }

    async fn look(&self, report: &Report, writes: &mut [Write<'_>]) -> Result<(), Failure> {
        let found = self.written(&report.ask, &report.head).await?;
        self.adopt(writes, found);
        Ok(())
    }

    /// Sends what is left as one document. `Ok` means that nothing is left.
    async fn write(&self, report: &Report, writes: &mut [Write<'_>]) -> Result<(), Failure> {
        let (document, variables) = document(report, writes, self.client.clock.now());
        let reply = self
            .client
            .graphql_in_part(
                &Errand::of(&report.ask, "report", urgency(writes)),
                &document,
                &variables,
            )
            .await?;
        let settled = settle(&reply, writes);
        self.learn(&reply, writes);
        match reply.limit {
            Some(after) => Err(Failure::Final(GitHubError::Limited { after })),
            None => settled,
        }
    }

    /// Takes note of what GitHub said to the check runs among the writes.
    fn learn(&self, reply: &Reply, writes: &[Write<'_>]) {
        for (place, write) in writes.iter().enumerate() {
            let alias = format!("w{place}");
            match write.effect {
                Effect::Check(_) if write.done => self.way.runs_are_written(),
                Effect::Check(_) => {
                    let problems = reply.problems.iter();
                    let its = problems.filter(|it| it.path().next() == Some(alias.as_str()));
                    its.for_each(|problem| self.way.hears(problem));
                }
                Effect::Comment(_) | Effect::Eyes => {}
            }
        }
    }

    /// Takes what exists as written, if it is as it shall be, or else as what to rewrite.
    fn adopt(&self, writes: &mut [Write<'_>], found: Found) {
        let comment = found.comment.clone();
        let runs = self.found_checks(found);
        for write in writes.iter_mut().filter(|write| !write.done) {
            match &write.effect {
                Effect::Check(check) => {
                    let ours = runs.iter().find(|run| {
                        let made = || {
                            run.name == check.name && run.external_id == check.external_id.as_str()
                        };
                        write.id.as_ref().map_or_else(made, |id| run.id == *id)
                    });
                    let Some(run) = ours else { continue };
                    write.id = Some(run.id.clone());
                    write.done = run.external_id == check.external_id.as_str()
                        && run.status == check.status
                        && run.title == cut::title(&check.title)
                        && run.summary == cut::summary(&check.summary);
                }
                Effect::Comment(body) => {
                    let Some(comment) = &comment else { continue };
                    write.id = Some(comment.id.clone());
                    write.done = comment.body == *body;
                }
                // GitHub keeps one reaction of a kind per account: repeating it is harmless.
                Effect::Eyes => {}
            }
        }
    }
}

/// How urgent what is left is: as the most urgent of it.
fn urgency(writes: &[Write<'_>]) -> Priority {
    let of = |write: &Write<'_>| match &write.effect {
        Effect::Check(check) => match check.status {
            CheckStatus::Completed(_) => Priority::Verdict,
            // What is new, a job waits for.
            _ if write.id.is_none() => Priority::Verdict,
            CheckStatus::Queued | CheckStatus::InProgress => Priority::Progress,
        },
        // So it does for the comment: an apply begins when its plan was shown.
        Effect::Comment(_) | Effect::Eyes => Priority::Verdict,
    };
    writes.iter().filter(|write| !write.done).map(of).max().unwrap_or(Priority::Progress)
}

fn writes_of(report: &Report) -> Vec<Write<'_>> {
    let new = |effect, id: &Option<NodeId>| Write { effect, id: id.clone(), done: false };
    let comment = |CommentWrite { id, body }: &CommentWrite| {
        new(Effect::Comment(cut::comment(body, &report.ask.marker)), id)
    };
    let eyes = report.eyes.iter().map(|id| new(Effect::Eyes, &Some(id.clone())));
    let checks = report.checks.iter().map(|check| new(Effect::Check(check), &check.id));
    // A person waits for the reaction: it comes first.
    eyes.chain(checks).chain(report.comment.iter().map(comment)).collect()
}

/// What is as the report has it.
fn reported(writes: Vec<Write<'_>>) -> Reported {
    let mut reported = Reported::default();
    for Write { effect, id, .. } in writes.into_iter().filter(|write| write.done) {
        match (effect, id) {
            (Effect::Check(check), Some(id)) => reported.checks.push((check.name.clone(), id)),
            (Effect::Comment(_), id) => reported.comment = id,
            (Effect::Check(_), None) | (Effect::Eyes, _) => {}
        }
    }
    reported
}

/// The writes that are left as one document; a write's alias is its place in the list.
fn document(report: &Report, writes: &[Write<'_>], now: SystemTime) -> (String, Value) {
    let (mut declared, mut fields, mut variables) = (String::new(), String::new(), Map::new());
    for (place, write) in writes.iter().enumerate().filter(|(_, write)| !write.done) {
        let (mutation, kind, answer) = match (&write.effect, &write.id) {
            (Effect::Check(_), None) => ("createCheckRun", "CreateCheckRun", "checkRun { id }"),
            (Effect::Check(_), Some(_)) => ("updateCheckRun", "UpdateCheckRun", "checkRun { id }"),
            (Effect::Comment(_), None) => {
                ("addComment", "AddComment", "commentEdge { node { id } }")
            }
            (Effect::Comment(_), Some(_)) => {
                ("updateIssueComment", "UpdateIssueComment", "issueComment { id }")
            }
            (Effect::Eyes, _) => ("addReaction", "AddReaction", "reaction { content }"),
        };
        declared.push_str(&format!("$w{place}: {kind}Input! "));
        fields.push_str(&format!("  w{place}: {mutation}(input: $w{place}) {{ {answer} }}\n"));
        variables.insert(format!("w{place}"), input(report, write, now));
    }
    let document = format!("mutation Report({}) {{\n{fields}}}\n", declared.trim_end());
    (document, Value::Object(variables))
}

fn input(report: &Report, write: &Write<'_>, now: SystemTime) -> Value {
    let id = write.id.as_ref().map(NodeId::as_str);
    match &write.effect {
        Effect::Check(check) => {
            let (status, conclusion) = words_of(check.status);
            let mut input = json!({
                "repositoryId": report.repository_id.as_str(),
                "name": check.name,
                "externalId": check.external_id.as_str(),
                "status": status,
                "output": {
                    "title": cut::title(&check.title),
                    "summary": cut::summary(&check.summary),
                },
            });
            match id {
                Some(id) => input["checkRunId"] = json!(id),
                None => input["headSha"] = json!(report.head.as_str()),
            }
            if check.status == CheckStatus::Queued {
                // Asked for anew: how long it stands open counts from now.
                input["startedAt"] = json!(humantime::format_rfc3339_seconds(now).to_string());
            }
            if let Some(conclusion) = conclusion {
                input["conclusion"] = json!(conclusion);
            }
            if let Some(url) = &check.details_url {
                input["detailsUrl"] = json!(url);
            }
            input
        }
        Effect::Comment(body) => match id {
            Some(id) => json!({ "id": id, "body": body }),
            None => json!({ "subjectId": report.pr_id.as_str(), "body": body }),
        },
        Effect::Eyes => json!({ "subjectId": id, "content": "EYES" }),
    }
}

/// Takes note of each write that succeeded. The worst of what did not is the failure.
fn settle(reply: &Reply, writes: &mut [Write<'_>]) -> Result<(), Failure> {
    let (mut unclear, mut refused) = (None, None);
    for (place, write) in writes.iter_mut().enumerate().filter(|(_, write)| !write.done) {
        let alias = format!("w{place}");
        let problem = reply.problems.iter().find(|p| p.path().next() == Some(alias.as_str()));
        let answer = reply.data.get(&alias).filter(|answer| !answer.is_null());
        match (problem, answer) {
            (None, Some(answer)) => match (&write.effect, node_id(answer)) {
                (Effect::Eyes, _) => write.done = true,
                (_, Some(id)) => (write.id, write.done) = (Some(id), true),
                (_, None) => unclear = Some(Failure::ambiguous("a write without an id")),
            },
            (Some(problem), _) if problem.is("NOT_FOUND") && write.id.is_some() => {
                // The command was deleted: nobody is left to see the reaction. A check run or
                // comment of ours that is gone is made anew, if there is none by then.
                write.done = matches!(write.effect, Effect::Eyes);
                write.id = None;
                if !write.done {
                    unclear = Some(Failure::ambiguous(problem.message.clone()));
                }
            }
            (Some(problem), _) => sort(problem, &mut unclear, &mut refused),
            (None, None) => match reply.problems.first() {
                Some(problem) => sort(problem, &mut unclear, &mut refused),
                None => unclear = Some(Failure::ambiguous("a write without an answer")),
            },
        }
    }
    refused.or(unclear).map_or(Ok(()), Err)
}

fn sort(problem: &Problem, unclear: &mut Option<Failure>, refused: &mut Option<Failure>) {
    match problem.failure() {
        failure @ Failure::Ambiguous { .. } => *unclear = Some(failure),
        failure @ Failure::Final(_) => *refused = Some(failure),
    }
}

fn node_id(answer: &Value) -> Option<NodeId> {
    let places = ["/checkRun/id", "/commentEdge/node/id", "/issueComment/id"];
    let id = places.iter().find_map(|place| answer.pointer(place))?.as_str()?;
    NodeId::new(id).ok()
}
