//! Those who have nothing to do with a flood, and how they are served meanwhile.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use punctual_tests::{Server, now};

/// Nobody waits longer than this, on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// How long answers took.
pub(super) struct Figures {
    sorted: Vec<Duration>,
}

/// Keeps a flood up for a moment, so that it is seen what it does.
pub(super) fn a_while() {
    thread::sleep(Duration::from_secs(2));
}

/// Calls the server from another address again and again while the flood goes on, and judges its answers.
pub(super) fn served_meanwhile<T>(server: &Server, flood: impl FnOnce() -> T) -> (T, Figures) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let mut sorted = Vec::new();
            loop {
                let begin = now();
                let answer = server.rest.try_call("GET", "/api/v1/scheduler/status", &[], None).expect("an answer");
                assert_eq!(answer.status, 200, "{}", answer.text);
                sorted.push((now() - begin).to_std().unwrap_or_default());
                if is_over.load(Ordering::Relaxed) {
                    sorted.sort_unstable();
                    return Figures { sorted };
                }
                thread::sleep(PAUSE);
            }
        });
        let flooded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(flood));
        is_over.store(true, Ordering::Relaxed);
        let figures = caller.join().expect("others were served");
        let flooded = flooded.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(figures.at(1.0) < PATIENCE, "others waited: {figures}");
        (flooded, figures)
    })
}

impl Figures {
    fn at(&self, share: f64) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted[((last as f64) * share) as usize]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, most, all) = (self.at(0.5), self.at(0.99), self.at(1.0));
        write!(f, "{} answers, p50 {half:.1?}, p99 {most:.1?}, longest {all:.1?}", self.sorted.len())
    }
}
