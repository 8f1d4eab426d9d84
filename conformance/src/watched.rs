//! A stand-in that is listened to, in the hands of the test that is to fail.

use std::ops::Deref;
use std::sync::Arc;

use sluice_sim::{SimError, Standin, StandinConfig};

use crate::verdict::{Clients, Ear};

/// A stand-in whose owner, when it is dropped, panics if anything went over the wire that GitHub
/// would not send or take. Keep it where the test ends: a panic elsewhere fails nothing.
#[derive(Debug)]
pub struct Watched {
    standin: Standin,
    ear: Arc<Ear>,
}

impl Watched {
    /// Starts a stand-in for programs of ours, and listens.
    ///
    /// # Errors
    /// As [`Standin::start`].
    pub async fn start(config: StandinConfig) -> Result<Self, SimError> {
        Self::start_for(Clients::Ours, config).await
    }

    /// Starts a stand-in for those clients, and listens.
    ///
    /// # Errors
    /// As [`Standin::start`].
    pub async fn start_for(clients: Clients, config: StandinConfig) -> Result<Self, SimError> {
        let ear = Arc::new(Ear::new(clients));
        let config = StandinConfig { wiretap: Some(ear.clone()), ..config };
        Ok(Self { standin: Standin::start(config).await?, ear })
    }
}

impl Deref for Watched {
    type Target = Standin;

    fn deref(&self) -> &Standin {
        &self.standin
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.ear.conclude();
    }
}

impl Ear {
    /// Writes down what was covered.
    ///
    /// # Panics
    /// Something was wrong, unless a panic is on its way already.
    pub fn conclude(&self) {
        let (mut violations, coverage) = self.take();
        if let Err(error) = coverage.write_down() {
            violations.push(format!("what was covered cannot be written down: {error:#}"));
        }
        if std::thread::panicking() {
            return;
        }
        let (count, list) = (violations.len(), violations.join("\n  "));
        assert!(violations.is_empty(), "{count} times not as GitHub describes it:\n  {list}");
    }
}
