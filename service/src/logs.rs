//! Logs: to standard error, for people or for machines.
//!
//! Owns the form of a line, also of a panic's. `RUST_LOG` chooses what is said.

use std::panic::PanicHookInfo;

use sluice::config::LogFormat;
use sluice::redact::Redactor;
use tracing_subscriber::EnvFilter;

/// Logs in the words of `RUST_LOG`, or from this level on. Once per process; later calls change
/// nothing.
pub fn log(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "logs are set up already");
    }
}

/// Logs panics from now on, instead of printing them: a panic's text may be anybody's, such as a
/// library's that names the address it could not use.
pub fn redact_panics(redactor: Redactor) {
    std::panic::set_hook(Box::new(move |panic| tell(&redactor, panic)));
}

fn tell(redactor: &Redactor, panic: &PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("it does not say why");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(at, why = %redactor.redact(said), "a panic");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::io::Write;
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

    #[test]
    fn a_panic_is_logged_with_its_place_and_without_secrets() {
        let lines = Lines::default();
        let writer = {
            let lines = lines.clone();
            move || lines.clone()
        };
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        let before = std::panic::take_hook();
        redact_panics(Redactor::new(["hush-hush"]));
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
