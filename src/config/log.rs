//! The section `[log]`: how a process logs.

use super::kinds;
use super::section::Section;

/// How the process logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a line of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

const LOG_FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

impl LogFormat {
    /// Its word in the configuration.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of = |(word, format): &(&str, Self)| (*word == text).then_some(*format);
        LOG_FORMATS.iter().find_map(of).ok_or_else(|| "expected text or json".to_owned())
    }
}

pub(super) fn log(mut section: Section<'_>) -> LogConfig {
    let format = section.or("format", kinds::choice(&LOG_FORMATS), LogFormat::Text);
    section.finish();
    LogConfig { format }
}
