//! Chance that can be repeated.

use std::hash::{BuildHasher, RandomState};

const SEED: &str = "PUNCTUAL_TEST_SEED";

/// Numbers that follow from a seed.
#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// From `PUNCTUAL_TEST_SEED`, else another one each time; the seed is printed.
    #[track_caller]
    pub fn seeded() -> Self {
        let seed = match std::env::var(SEED) {
            Ok(seed) => seed.parse().unwrap_or_else(|_| panic!("{SEED}={seed} is not a number")),
            Err(_) => RandomState::new().hash_one(()),
        };
        println!("{SEED}={seed}");
        Self::from(seed)
    }

    /// One of these.
    pub fn one_of<'t, T>(&mut self, those: &'t [T]) -> &'t T {
        &those[self.below(those.len() as u64) as usize]
    }

    /// Less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // A step of splitmix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Another source, for a thread of its own.
    pub fn fork(&mut self) -> Self {
        Self { state: self.below(u64::MAX) }
    }
}

impl From<u64> for Random {
    fn from(seed: u64) -> Self {
        Self { state: seed }
    }
}
