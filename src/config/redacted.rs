//! The configuration as it counts, as TOML that could be loaded again.
//!
//! Shows where secrets are, never what they are.

use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::{
    Account, ChecksAs, Config, GitHubConfig, LeaseConfig, LeaseStore, QueueConfig, QueueStore,
    Secret, SecretSource,
};
use crate::project::{Approvals, OldHead, OwnersApproval, Project, Python};
use crate::redact::REDACTED;

impl Config {
    /// Every key with the value that counts, defaults and overrides included, for
    /// `--print-config`. Loading it in the same environment gives the same configuration, unless a
    /// password stands in an address: that is not shown.
    pub fn redacted(&self) -> String {
        let worker = &self.worker;
        let document = table([
            ("github", github(&self.github).into()),
            ("queue", queue(&self.queue).into()),
            ("lease", lease(&self.lease).into()),
            ("retry", table([("delays", durations(&self.retry.delays))]).into()),
            (
                "producer",
                table([
                    ("listen", self.producer.listen.to_string().into()),
                    ("max_body", format!("{}B", self.producer.max_body).into()),
                    ("linger", duration(self.producer.linger)),
                ])
                .into(),
            ),
            (
                "worker",
                table([
                    ("metrics_listen", worker.metrics_listen.to_string().into()),
                    ("gate_slots", i64::from(worker.gate_slots).into()),
                    ("deploy_slots", i64::from(worker.deploy_slots).into()),
                    ("data_dir", path(&worker.data_dir)),
                    ("gate_timeout", duration(worker.gate_timeout)),
                    ("deploy_timeout", duration(worker.deploy_timeout)),
                    ("sweep_every", duration(worker.sweep_every)),
                    ("left_open_after", duration(worker.left_open_after)),
                    ("gate_grace", duration(worker.gate_grace)),
                    ("deploy_grace", duration(worker.deploy_grace)),
                ])
                .into(),
            ),
            ("log", table([("format", self.log.format.word().into())]).into()),
            ("project", Value::Array(self.projects.iter().map(|p| project(p).into()).collect())),
        ]);
        // Displaying a table of strings, numbers, lists and tables cannot fail.
        document.to_string()
    }
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn github(github: &GitHubConfig) -> Table {
    let mut shown = table([
        ("api_url", github.api_url.as_str().into()),
        ("git_url", github.git_url.as_str().into()),
    ]);
    for (key, most) in [
        ("writes_per_minute", github.writes_per_minute),
        ("writes_per_hour", github.writes_per_hour),
    ] {
        shown.insert(key.to_owned(), i64::from(most.unwrap_or(0)).into());
    }
    let word = ChecksAs::WORDS.into_iter().find(|(_, checks)| *checks == github.checks);
    shown.extend(word.map(|(word, _)| ("checks".to_owned(), word.into())));
    if let Some(url) = &github.status_url {
        shown.insert("status_url".to_owned(), url.as_str().into());
    }
    let mut names = Vec::new();
    let mut files = Vec::new();
    for source in &github.webhook_secret_sources {
        match source {
            SecretSource::Variable(name) => names.push(Value::from(name.as_str())),
            SecretSource::File(file) => files.push(path(file)),
        }
    }
    for (key, values) in [("webhook_secret_env", names), ("webhook_secret_file", files)] {
        if !values.is_empty() {
            shown.insert(key.to_owned(), Value::Array(values));
        }
    }
    let secret = match &github.account_source {
        Account::Token(_) => "token",
        Account::App { id, .. } => {
            shown.insert("app_id".to_owned(), i64::try_from(*id).unwrap_or(i64::MAX).into());
            "private_key"
        }
    };
    match github.account_source.secret() {
        SecretSource::Variable(name) => shown.insert(format!("{secret}_env"), name.as_str().into()),
        SecretSource::File(file) => shown.insert(format!("{secret}_file"), path(file)),
    };
    shown
}

fn lease(lease: &LeaseConfig) -> Table {
    let written = match &lease.url {
        LeaseStore::Memory => "memory:".to_owned(),
        LeaseStore::Redis(url) => without_password(url),
    };
    let (key, url) = store(&lease.url_source, written);
    let mut shown = table([
        (key, url),
        ("key_prefix", lease.key_prefix.as_str().into()),
        ("ttl", duration(lease.timings.ttl())),
        ("renew_every", duration(lease.timings.renew_every())),
        ("fence_after", duration(lease.timings.fence_after())),
        ("lock_delay", duration(lease.timings.lock_delay())),
    ]);
    shown.extend(lease.ca_file.as_deref().map(|file| ("ca_file".to_owned(), path(file))));
    shown
}

fn queue(queue: &QueueConfig) -> Table {
    let written = match &queue.url {
        QueueStore::Memory => "memory:".to_owned(),
        QueueStore::Amqp(url) => without_password(url),
    };
    table([store(&queue.url_source, written), ("prefix", queue.prefix.as_str().into())])
}

/// Where a store's address is; what was written into the file itself is shown.
fn store(source: &Option<SecretSource>, written: String) -> (&'static str, Value) {
    match source {
        None => ("url", written.into()),
        Some(SecretSource::Variable(name)) => ("url_env", name.as_str().into()),
        Some(SecretSource::File(file)) => ("url_file", path(file)),
    }
}

/// An address as it may be shown: neither account and password nor parameters, which may hold
/// either.
fn without_password(url: &Secret) -> String {
    let url = url.expose().split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}://{REDACTED}@{place}"),
        None => format!("{scheme}://{rest}"),
    }
}

fn project(project: &Project) -> Table {
    let mut shown = table([
        ("name", project.name.as_str().into()),
        ("repository", project.repository.as_str().into()),
        ("path", project.path.as_str().into()),
        ("pass_env", project.pass_env.clone().into()),
        ("max_sessions", i64::try_from(project.max_sessions).unwrap_or(i64::MAX).into()),
    ]);
    let (key, file) = match &project.python {
        Python::Interpreter(file) => ("python", file),
        Python::Requirements(file) => ("requirements", file),
    };
    shown.insert(key.to_owned(), path(file));
    if let Some(gateway) = &project.gateway {
        shown.insert("gateway".to_owned(), gateway.as_str().into());
    }
    let approvals = match project.approvals {
        Approvals::AtLeast(count) => i64::from(count).into(),
        Approvals::All => "all".into(),
    };
    shown.insert("approvals".to_owned(), approvals);
    let old_head = match project.approval_on_old_head {
        OldHead::Refuse => "refuse",
        OldHead::Accept => "accept",
    };
    shown.insert("approval_on_old_head".to_owned(), old_head.into());
    let code_owners = project.code_owners == OwnersApproval::Required;
    shown.insert("code_owners".to_owned(), code_owners.into());
    shown
}

fn duration(duration: Duration) -> Value {
    humantime::format_duration(duration).to_string().into()
}

fn durations(all: &[Duration]) -> Value {
    Value::Array(all.iter().map(|one| duration(*one)).collect())
}

fn path(path: &Path) -> Value {
    path.display().to_string().into()
}
