//! How often each kind of thing happened: a simulation that never met a fault proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

use crate::kinds::kinds;
use crate::transition::Transition;
use crate::trouble::troubles;

kinds! {
    /// What is judged only where the seeds bring it about.
    Check {
        BoundedFiresCovered = "fires up to max_fires covered",
        PausedSpanMadeUp = "paused span made up",
        RowPurgedByRetention = "row purged by retention",
        RowPurgedOnRequest = "row purged on request",
        TaskOutlivesFault = "task outlives a fault of the control plane",
        LeaderDiesWithoutLedger = "tasks outlive a leader that dies while the ledger is down",
        KnownJobsTakenOver = "term begun with jobs that were known",
    }
}

#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<(&'static str, &'static str), u64>,
    transitions: BTreeMap<Transition, u64>,
}

impl Tally {
    pub fn count(&mut self, group: &'static str, kind: &'static str) {
        *self.counts.entry((group, kind)).or_default() += 1;
    }

    pub fn goes(&mut self, transition: Transition) {
        *self.transitions.entry(transition).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (transition, count) in &other.transitions {
            *self.transitions.entry(*transition).or_default() += count;
        }
        for (key, count) in &other.counts {
            *self.counts.entry(*key).or_default() += count;
        }
    }

    pub fn of(&self, group: &str, kind: &str) -> u64 {
        self.counts.iter().filter(|((g, k), _)| *g == group && *k == kind).map(|(_, count)| *count).sum()
    }

    /// What can go wrong, and did not once; what was never judged; what a state may do, and never did.
    pub fn never_met(&self) -> Vec<String> {
        let troubles = troubles().filter(|name| self.of("fault", name) == 0).map(str::to_owned);
        let checks = Check::ALL.iter().map(|check| check.name());
        let checks = checks.filter(|name| self.of("check", name) == 0).map(str::to_owned);
        let legal = Transition::legal().into_iter().filter(|legal| !self.transitions.contains_key(legal));
        troubles.chain(checks).chain(legal.map(|legal| legal.to_string())).collect()
    }

    /// What no state may do, and was done.
    pub fn illegal(&self) -> Vec<String> {
        let legal = Transition::legal();
        self.transitions.keys().filter(|met| !legal.contains(met)).map(ToString::to_string).collect()
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
        writeln!(f, "transition")?;
        for (transition, count) in &self.transitions {
            writeln!(f, "  {count:>12}  {transition}")?;
        }
        Ok(())
    }
}
