//! The one home of the clock in this crate.

#![expect(clippy::disallowed_methods, reason = "measuring is this program's purpose; its clock is read here only")]

use std::time::{Duration, Instant, SystemTime};

/// A span of time that is being measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The machine's wall clock, which the server and its agent share.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
