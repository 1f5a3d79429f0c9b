//! What happened, for people: written only when a seed is replayed, since most runs need no story.

use crate::clock::Instant;

#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) is_on: bool,
    pub(crate) lines: Vec<String>,
}

impl Trace {
    pub(crate) fn line(&mut self, now: Instant, what: &str) {
        self.lines.push(format!("{:>12.6}  {what}", now.0 as f64 / 1e6));
    }
}

/// Adds a line to the world's trace, if it is on.
macro_rules! tell {
    ($world:expr, $($text:tt)*) => {
        if $world.trace.is_on {
            let line = format!($($text)*);
            $world.trace.line($world.now, &line);
        }
    };
}

pub(crate) use tell;
