//! One seed from its beginning to its end, and many of them on all cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Instant;
use crate::plant::Plant;
use crate::promise::{Broken, Promise};
use crate::tally::Tally;
use crate::trouble::Without;
use crate::world::World;

/// How many seeds the tests simulate, from 0 on.
pub const TESTED: u64 = 2_000;

/// What became of one seed.
#[derive(Debug)]
pub struct Outcome {
    pub seed: u64,
    pub steps: u64,
    /// How much of the simulation's own time passed.
    pub simulated: Instant,
    pub broken: Option<Broken>,
    pub tally: Tally,
    pub trace: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Steps with faults, before everything must drain.
    pub steps: u64,
    pub plant: Option<Plant>,
    pub without: Without,
    pub trace: bool,
}

impl Options {
    pub fn new(steps: u64) -> Self {
        Self { steps, plant: None, without: Without::default(), trace: false }
    }
}

/// Simulates one seed.
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut world = World::of_seed(seed, &options);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        while world.steps < options.steps && world.step() {}
        world.drain();
    }));
    if let Err(panic) = panicked {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        world.broken(Promise::Panic, text.unwrap_or_else(|| "a panic without words".to_owned()));
    }
    Outcome {
        seed,
        steps: world.steps,
        simulated: world.now,
        broken: world.broken,
        tally: world.tally,
        trace: world.trace.lines,
    }
}

/// What became of many seeds.
#[derive(Debug, Default)]
pub struct Batch {
    pub seeds: u64,
    pub steps: u64,
    pub simulated_secs: f64,
    pub tally: Tally,
    /// By seed.
    pub broken: Vec<(u64, Broken)>,
}

/// Simulates `seeds` from `first` on, on all cores. Which runs where changes nothing.
pub fn run_many(first: u64, seeds: u64, options: Options) -> Batch {
    let next = AtomicU64::new(first);
    let whole = Mutex::new(Batch::default());
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let outcome = run(seed, Options { trace: false, ..options });
                    let mut whole = whole.lock().expect("because no worker panics while it holds it");
                    whole.add(outcome);
                }
            });
        }
    });
    let mut whole = whole.into_inner().expect("because all workers have ended");
    whole.broken.sort_by_key(|(seed, _)| *seed);
    whole
}

impl Batch {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.simulated_secs += outcome.simulated.0 as f64 / 1e6;
        self.tally.add(&outcome.tally);
        self.broken.extend(outcome.broken.map(|broken| (outcome.seed, broken)));
    }
}

/// The last part of a seed's story, and how to see it again.
pub fn story(seed: u64, options: Options, lines: usize) -> String {
    let outcome = run(seed, Options { trace: true, ..options });
    let from = outcome.trace.len().saturating_sub(lines);
    let broken = outcome.broken.map_or_else(|| "nothing is broken".to_owned(), |broken| broken.to_string());
    let (steps, without) = (options.steps, options.without);
    let switched_off =
        if without == Without::default() { String::new() } else { format!(" SIMULATION_WITHOUT=\"{without}\"") };
    let again = format!("SIMULATION_SEED={seed} SIMULATION_STEPS={steps}{switched_off}");
    format!("{}\nseed {seed}: {broken}\nits whole story: {again}\n", outcome.trace[from..].join("\n"))
}
