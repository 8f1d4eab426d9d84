//! Secrets: where they come from, and a type that does not show them.
//!
//! A secret is named in the configuration, never written into it.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::document::Variables;
use crate::redact::REDACTED;

/// The most a file with a secret may measure, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// A value that no log, error or printed configuration shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value out of sight.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In the environment variable of this name.
    Variable(String),
    /// In this file, less white space at its ends.
    File(PathBuf),
}

impl SecretSource {
    /// The secret, or a sentence on why it is not there.
    pub(super) fn resolve(&self, variables: &Variables) -> Result<Secret, String> {
        match self {
            Self::Variable(name) => match variables.get(name).map(|value| value.trim()) {
                Some(value) if !value.is_empty() => Ok(Secret::new(value)),
                _ => Err(format!("the environment variable {name} is not set, or empty")),
            },
            Self::File(path) => match read(path) {
                Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim())),
                Ok(_) => Err(format!("{} is empty", path.display())),
                Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
            },
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= MOST_BYTES) {
        Ok(text)
    } else {
        Err(std::io::Error::other(format!("more than {MOST_BYTES} bytes")))
    }
}
