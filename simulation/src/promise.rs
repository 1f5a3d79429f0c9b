//! The promises of DESIGN.md section 3, and the word that one is broken.

use std::fmt;

use crate::clock::Instant;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Promise {
    /// No fire is lost.
    P1,
    /// No fire is entered twice.
    P2,
    /// No double dispatch; a deposed leader changes nothing.
    P3,
    /// At most `max_instances`.
    P4,
    /// What was acknowledged is durable.
    P5,
    /// Running tasks survive the control plane.
    P6,
    /// An agent stops its attempts before anyone may start them elsewhere.
    P7,
    /// Bad input changes nothing.
    P8,
    /// A change holds from its answer on.
    P9,
    /// When faults stop, everything drains.
    Liveness,
    /// The code under test panicked.
    Panic,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::P1 => "P1 (no fire is lost)",
            Self::P2 => "P2 (no fire is entered twice)",
            Self::P3 => "P3 (no double dispatch)",
            Self::P4 => "P4 (at most max_instances)",
            Self::P5 => "P5 (what was acknowledged is durable)",
            Self::P6 => "P6 (running tasks survive the control plane)",
            Self::P7 => "P7 (an attempt is over before another may start)",
            Self::P8 => "P8 (bad input changes nothing)",
            Self::P9 => "P9 (a change holds from its answer on)",
            Self::Liveness => "liveness (when faults stop, everything drains)",
            Self::Panic => "no panic",
        };
        f.write_str(text)
    }
}

/// A promise was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    pub promise: Promise,
    pub at: Instant,
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken at {:.6} s: {}", self.promise, self.at.0 as f64 / 1e6, self.how)
    }
}
