//! A failing seed made short: the fewest steps, and the least that must go wrong, with which the same promise is broken.

use crate::promise::Broken;
use crate::run::{Options, run};
use crate::trouble::troubles;

/// `None`: the seed breaks nothing.
pub fn shrink(seed: u64, options: Options) -> Option<(Options, Broken)> {
    let mut smallest = Smallest::find(seed, options)?;
    loop {
        let before = smallest.options;
        smallest.fewer_steps();
        smallest.fewer_troubles();
        if smallest.options == before {
            return Some((smallest.options, smallest.broken));
        }
    }
}

struct Smallest {
    seed: u64,
    options: Options,
    broken: Broken,
}

impl Smallest {
    fn find(seed: u64, options: Options) -> Option<Self> {
        let options = Options { trace: false, ..options };
        let outcome = run(seed, options);
        let steps = options.steps.min(outcome.steps);
        outcome.broken.map(|broken| Self { seed, options: Options { steps, ..options }, broken })
    }

    /// Takes these options if the same promise is broken with them.
    fn take(&mut self, options: Options) -> bool {
        let broken = run(self.seed, options).broken.filter(|broken| broken.promise == self.broken.promise);
        let Some(broken) = broken else { return false };
        self.options = options;
        self.broken = broken;
        true
    }

    /// By halves. What breaks with fewer steps need not break with more, so that this finds few, not the fewest.
    fn fewer_steps(&mut self) {
        let mut too_few = 0;
        while self.options.steps > too_few + 1 + self.options.steps / 100 {
            let steps = u64::midpoint(too_few, self.options.steps);
            if !self.take(Options { steps, ..self.options }) {
                too_few = steps;
            }
        }
    }

    fn fewer_troubles(&mut self) {
        for name in troubles() {
            if !self.options.without.has(name)
                && let Some(without) = self.options.without.and(name)
            {
                self.take(Options { without, ..self.options });
            }
        }
    }
}
