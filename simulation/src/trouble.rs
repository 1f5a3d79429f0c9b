//! Everything that can go wrong in a run by the name that the tally, the trace and the command line have for it; and
//! which of it is switched off.

use std::fmt;

use crate::faults::Fault;
use crate::kinds::kinds;

kinds! {
    /// What goes wrong at any time, with a rate of its own, beside the faults that strike.
    Nuisance {
        SlowMessage = "slow message",
        SlowStatement = "slow statement",
        AnswerLost = "committed, answer lost",
        CallRefused = "ledger call refused, not applied",
        ProofLost = "proof lost",
        /// On the way there, or on the way back.
        KeepAliveLost = "keep-alive lost",
        LeaseLate = "lease kept for longer",
        /// On the way there, or on the way back.
        LockCallLost = "lock call lost",
        /// Its client did not hear that it was done, and has it done once more.
        LockCallRepeated = "lock call done once more, late",
        /// A machine dies, and does not close the connections of its process.
        HalfOpen = "half-open connection",
        StuckTask = "task that cannot be killed",
    }
}

/// The names of all of it.
pub fn troubles() -> impl Iterator<Item = &'static str> {
    Fault::ALL.iter().map(|fault| fault.name()).chain(Nuisance::ALL.iter().map(|nuisance| nuisance.name()))
}

/// What is switched off: a bit for each of [`troubles`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Without(u64);

impl Without {
    /// From names with commas between them.
    pub fn parse(names: &str) -> Result<Self, String> {
        let mut without = Self::default();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            without = without.and(name).ok_or_else(|| format!("nothing is called {name:?}"))?;
        }
        Ok(without)
    }

    /// This one too.
    pub fn and(self, name: &str) -> Option<Self> {
        let place = troubles().position(|trouble| trouble == name)?;
        Some(Self(self.0 | 1 << place))
    }

    pub fn has(self, name: &str) -> bool {
        troubles().position(|trouble| trouble == name).is_some_and(|place| self.0 >> place & 1 == 1)
    }
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = troubles().filter(|name| self.has(name)).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_off_is_read_back_as_it_is_written() {
        let without = Without::parse("leader killed, slow message").expect("two names");
        assert!(without.has("slow message") && !without.has("leader frozen"));
        assert_eq!(Without::parse(&without.to_string()), Ok(without));
        assert!(Without::parse("slow mesage").is_err());
        assert!(troubles().count() <= 64, "a bit for each");
    }
}
