//! The world's clock: real, or set by a test.

use std::time::{Duration, SystemTime};

/// Where the world takes its time from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    Real,
    /// The machine's clock, so much ahead.
    Ahead(Duration),
    /// A time that only moves when told to.
    Set(SystemTime),
}

impl Clock {
    /// The world's present.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the stand-in's clock: it cannot use sluice's")]
    pub fn now(&self) -> SystemTime {
        match self {
            Self::Real => SystemTime::now(),
            Self::Ahead(by) => SystemTime::now() + *by,
            Self::Set(at) => *at,
        }
    }

    /// Moves a clock on that is set, or ahead; a real one moves by itself and is left alone.
    pub fn advance(&mut self, by: Duration) {
        match self {
            Self::Real => {}
            Self::Ahead(ahead) => *ahead += by,
            Self::Set(at) => *at += by,
        }
    }
}
