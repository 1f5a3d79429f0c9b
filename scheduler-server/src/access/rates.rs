//! Rates: a bucket of tokens a key, filled as time goes by.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use scheduler_core::time::Boot;

/// Keys with a bucket of their own; beyond them all share one.
const MOST: usize = 10_000;

/// How often something may be done: `burst` times at once, then `per_second`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

impl Rate {
    /// No limit.
    pub const ANY: Self = Self { per_second: f64::INFINITY, burst: f64::INFINITY };
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Boot,
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Boot) {
        let gained = now.since(self.at).as_secs_f64() * rate.per_second;
        self.left = (self.left + gained).min(rate.burst);
        self.at = now;
    }
}

/// Buckets of one rate.
pub(super) struct Rates<K> {
    rate: Rate,
    buckets: Mutex<(HashMap<K, Bucket>, Bucket)>,
}

impl<K: Eq + Hash> Rates<K> {
    pub(super) fn new(rate: Rate) -> Self {
        let full = Bucket { left: rate.burst, at: Boot::default() };
        Self { rate, buckets: Mutex::new((HashMap::new(), full)) }
    }

    /// Takes one, or says when there will be one.
    pub(super) fn take(&self, key: K, now: Boot) -> Result<(), Duration> {
        self.with(key, now, |bucket, rate| {
            if bucket.left >= 1.0 {
                bucket.left -= 1.0;
                return Ok(());
            }
            Err(Duration::from_secs_f64((1.0 - bucket.left) / rate.per_second))
        })
    }

    /// When there will be one, if there is none now; takes nothing.
    pub(super) fn wait(&self, key: K, now: Boot) -> Option<Duration> {
        self.with(key, now, |bucket, rate| {
            (bucket.left < 1.0).then(|| Duration::from_secs_f64((1.0 - bucket.left) / rate.per_second))
        })
    }

    fn with<T>(&self, key: K, now: Boot, of: impl FnOnce(&mut Bucket, Rate) -> T) -> T {
        let rate = self.rate;
        // A bucket is whole whenever its holder panics.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, shared) = &mut *buckets;
        if own.len() >= MOST && !own.contains_key(&key) {
            // One that is full again is as good as none.
            own.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.left < rate.burst
            });
        }
        let bucket = if own.len() >= MOST && !own.contains_key(&key) {
            shared
        } else {
            own.entry(key).or_insert(Bucket { left: rate.burst, at: now })
        };
        bucket.fill(rate, now);
        of(bucket, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Boot {
        Boot(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_is_taken_at_once_and_then_as_time_goes_by() {
        let rates = Rates::new(Rate { per_second: 2.0, burst: 3.0 });
        for _ in 0..3 {
            assert_eq!(rates.take("a", at(0)), Ok(()));
        }
        assert_eq!(rates.take("a", at(0)), Err(Duration::from_millis(500)));
        assert_eq!(rates.wait("a", at(250)), Some(Duration::from_millis(250)));
        assert_eq!(rates.take("b", at(0)), Ok(()), "each key has its own");
        assert_eq!(rates.take("a", at(500)), Ok(()));
        assert!(rates.take("a", at(500)).is_err());
        for _ in 0..3 {
            assert_eq!(rates.take("a", at(60_000)), Ok(()));
        }
        assert!(rates.take("a", at(60_000)).is_err(), "no more than a burst is saved up");
    }

    #[test]
    fn any_number_of_keys_takes_a_bounded_memory_and_lets_nobody_through_for_it() {
        let rates = Rates::new(Rate { per_second: 1.0, burst: 2.0 });
        let passed = (0..MOST * 2).filter(|key| rates.take(*key, at(0)).is_ok()).count();
        assert_eq!(passed, MOST + 2);
        assert_eq!(rates.take(MOST * 3, at(5_000)), Ok(()), "those who are idle make room");
        assert!(rates.buckets.lock().unwrap().0.len() <= MOST);
    }

    #[test]
    fn without_a_limit_everything_passes() {
        let rates = Rates::new(Rate::ANY);
        assert!((0..1_000).all(|_| rates.take((), at(0)).is_ok()));
    }
}
