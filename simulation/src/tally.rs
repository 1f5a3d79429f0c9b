//! How often each kind of thing happened: a simulation that never met a fault proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<(&'static str, &'static str), u64>,
}

impl Tally {
    pub fn count(&mut self, group: &'static str, kind: &'static str) {
        *self.counts.entry((group, kind)).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.counts {
            *self.counts.entry(*key).or_default() += count;
        }
    }

    pub fn of(&self, group: &str, kind: &str) -> u64 {
        self.counts.iter().filter(|((g, k), _)| *g == group && *k == kind).map(|(_, count)| *count).sum()
    }

    /// Those of `expected` that were never met.
    pub fn missing<'a>(&self, expected: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        expected.iter().copied().filter(|(group, kind)| self.of(group, kind) == 0).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        for ((next, kind), count) in &self.counts {
            if *next != group {
                group = next;
                writeln!(f, "{group}")?;
            }
            writeln!(f, "  {count:>12}  {kind}")?;
        }
        Ok(())
    }
}
