//! Logs: to standard error, for people or for machines.
//!
//! Owns the form of a line, also of a panic's, and that no line has a secret in it. `RUST_LOG`
//! chooses what is said.

use std::borrow::Cow;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use serde::de::IgnoredAny;
use serde_json::Value;
use sluice::config::LogFormat;
use sluice::redact::Redactor;
use tracing_subscriber::EnvFilter;

/// What this process knows of secrets. Until it is told, only what looks like one.
static KNOWN: OnceLock<Redactor> = OnceLock::new();

/// Logs in the words of `RUST_LOG`, or from this level on. Once per process; later calls change
/// nothing. Every line passes the redactor, whoever logs it: a library as well.
pub fn log(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = move || Redacting { to: std::io::stderr(), format };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    let installed = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "logs are set up already");
    }
}

/// From now on these secrets are known to whatever this process logs and ends with. Panics are
/// logged instead of printed: a panic's text may be anybody's, such as a library's that names the
/// address it could not use. Once per process; later calls change nothing.
pub fn redact(redactor: Redactor) {
    if KNOWN.set(redactor).is_err() {
        tracing::debug!("the secrets of this process are known already");
    }
    std::panic::set_hook(Box::new(tell));
}

/// What this process says, without secrets.
pub fn redacted(text: &str) -> Cow<'_, str> {
    match KNOWN.get() {
        Some(known) => known.redact(text),
        None => Redactor::default().redact(text),
    }
}

/// What a process says last, when it could not do what it was for.
pub fn last_words(error: &anyhow::Error) -> String {
    format!("error: {}", redacted(&format!("{error:#}")))
}

fn tell(panic: &PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("it does not say why");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(at, why = %redacted(said), "a panic");
}

/// Writes lines without secrets. A line is one write, as the subscriber makes it.
struct Redacting<W> {
    to: W,
    format: LogFormat,
}

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut out = redacted(&text);
        if let (LogFormat::Json, Cow::Owned(changed)) = (self.format, &out)
            && serde_json::from_str::<IgnoredAny>(changed).is_err()
        {
            out = Cow::Owned(part_by_part(&text));
        }
        self.to.write_all(out.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// A line of JSON whose strings have no secret in them, each by itself: for one that would be no
/// JSON any more, as a secret with a quote at its end may take the end of a string with it.
fn part_by_part(line: &str) -> String {
    fn redact_in(value: &mut Value) {
        match value {
            Value::String(text) => *text = redacted(text).into_owned(),
            Value::Array(values) => values.iter_mut().for_each(redact_in),
            Value::Object(fields) => fields.values_mut().for_each(redact_in),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    match serde_json::from_str(line) {
        Ok(mut value) => {
            redact_in(&mut value);
            format!("{value}\n")
        }
        Err(_) => format!("{}\n", Value::from(redacted(line))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn heard(lines: &Lines, format: LogFormat) -> impl Fn() -> Redacting<Lines> + use<> {
        let lines = lines.clone();
        move || Redacting { to: lines.clone(), format }
    }

    #[test]
    fn no_line_has_a_secret_in_it_whoever_logs_it() {
        redact(Redactor::new(["hush-hush"]));
        let said = [LogFormat::Text, LogFormat::Json].map(|format| {
            let lines = Lines::default();
            let subscriber = tracing_subscriber::fmt().with_writer(heard(&lines, format));
            let log = || {
                tracing::info!("SQLMesh warns: cannot reach postgres://me:s3cr3t@db/prod");
                tracing::info!(why = "password='x", end = "y'", "two halves of a quote");
                tracing::info!(why = "password={x", "closed where the line's object is");
                tracing::warn!(error = ?"a \"hush-hush\"\nor two", token = "abc", "it failed");
            };
            match format {
                LogFormat::Text => {
                    tracing::subscriber::with_default(subscriber.with_ansi(true).finish(), log);
                }
                LogFormat::Json => {
                    let subscriber = subscriber.json().flatten_event(true).finish();
                    tracing::subscriber::with_default(subscriber, log);
                }
            }
            String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
        });
        for said in &said {
            assert!(said.contains("postgres://[redacted]@db/prod"), "{said}");
            assert!(said.contains("it failed") && !said.contains("hush"), "{said}");
            assert!(!said.contains("s3cr3t") && !said.contains("abc"), "{said}");
        }
        for line in said[1].lines() {
            let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(parsed["target"].is_string(), "{line}");
        }
    }

    #[test]
    fn the_last_words_of_a_process_have_no_secret_in_them() {
        let cause = anyhow::anyhow!("cannot reach postgres://me:s3cr3t@db/prod");
        let said = last_words(&cause.context("it does not begin"));
        let expected = "error: it does not begin: cannot reach postgres://[redacted]@db/prod";
        assert_eq!(said, expected);
    }

    #[test]
    fn a_panic_is_logged_with_its_place_and_without_secrets() {
        let lines = Lines::default();
        let writer = heard(&lines, LogFormat::Text);
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        let before = std::panic::take_hook();
        redact(Redactor::new(["hush-hush"]));
        tracing::subscriber::with_default(subscriber, || {
            let ended = std::panic::catch_unwind(|| panic!("cannot use amqp://me:hush-hush@host"));
            assert!(ended.is_err());
        });
        std::panic::set_hook(before);
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(said.contains("ERROR") && said.contains("service/src/logs.rs:"), "{said}");
        assert!(said.contains("cannot use") && !said.contains("hush"), "{said}");
    }
}
