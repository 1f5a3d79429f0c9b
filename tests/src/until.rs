//! Waiting for something to become true, the only way in which these tests wait.

use std::thread;
use std::time::{Duration, Instant};

/// Between the first two probes; it grows.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(50);

/// Asks `probe` again and again until it answers something; fails the test when that takes longer than `seconds`.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "this is the one home of the tests' clock")]
pub fn until<T>(what: &str, seconds: u64, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    let mut interval = SHORTEST;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(seconds), "waited {seconds} s in vain for {what}");
        thread::sleep(interval);
        interval = (interval * 3 / 2).min(LONGEST);
    }
}
