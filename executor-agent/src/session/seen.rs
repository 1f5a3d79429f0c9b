//! Which attempts have been seen: none is started twice, however often its Assign comes.
//!
//! Memory is bounded without forgetting: an entry that must go leaves its fencing token behind as a floor. Tokens
//! grow with every attempt handed out, so an Assign at or below the floor may have been seen and is refused; refusing
//! one that was not is safe, since the leader then hands the run out anew.

use std::collections::{HashSet, VecDeque};

use super::ids::AttemptKey;

const REMEMBERED: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: HashSet<AttemptKey>,
    order: VecDeque<(AttemptKey, i64)>,
    floor: Option<i64>,
    highest: i64,
}

impl Seen {
    pub(super) fn contains(&self, key: AttemptKey, token: i64) -> bool {
        self.keys.contains(&key) || self.floor.is_some_and(|floor| token <= floor)
    }

    pub(super) fn insert(&mut self, key: AttemptKey, token: i64) {
        self.highest = self.highest.max(token);
        if !self.keys.insert(key) {
            return;
        }
        self.order.push_back((key, token));
        if self.order.len() > REMEMBERED
            && let Some((oldest, token)) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
            self.floor = self.floor.max(Some(token));
        }
    }

    /// Remembers an attempt that was given back before its Assign came, whose token is unknown.
    pub(super) fn insert_unassigned(&mut self, key: AttemptKey) {
        self.insert(key, self.highest);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_forgotten_is_still_not_started_again() {
        let mut seen = Seen::default();
        let key = |n: usize| AttemptKey { run: Uuid::from_u128(n as u128), attempt: 1 };
        for n in 0..REMEMBERED + 10 {
            seen.insert(key(n), n as i64 + 1);
        }
        assert_eq!(seen.keys.len(), REMEMBERED);
        for n in 0..REMEMBERED + 10 {
            assert!(seen.contains(key(n), n as i64 + 1), "attempt {n} could be started twice");
        }
        assert!(!seen.contains(key(REMEMBERED + 10), REMEMBERED as i64 + 11));
    }
}
