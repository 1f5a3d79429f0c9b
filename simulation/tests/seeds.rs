//! Many seeds, and every planted bug. `SIMULATION_SEED=n` tells the whole story of one seed, `SIMULATION_SEEDS` and
//! `SIMULATION_STEPS` say how many and how long.

use simulation::{Options, Plant, run_many, story};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn options(plant: Option<Plant>) -> Options {
    Options { steps: setting("SIMULATION_STEPS", 10_000), plant, trace: false }
}

#[test]
fn no_promise_is_broken_under_faults() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        print!("{}", story(seed.parse().expect("a number"), options(None), usize::MAX));
    }
    let batch = run_many(0, setting("SIMULATION_SEEDS", 1_000), options(None));
    println!("{} seeds, {} steps, {} broken", batch.seeds, batch.steps, batch.broken.len());
    if let Some((seed, _)) = batch.broken.first() {
        panic!("{}", story(*seed, options(None), 60));
    }
}

/// What the faults of a thousand seeds do not bring to light yet: the ledger and the agent's own checks stand in for
/// the fence that is taken away.
const NOT_FOUND_YET: [Plant; 2] = [Plant::LowerEpochAccepted, Plant::TokensRestart];

#[test]
fn every_planted_bug_but_those_named_is_found() {
    let mut missed = Vec::new();
    for plant in Plant::ALL.into_iter().filter(|plant| !NOT_FOUND_YET.contains(plant)) {
        let mut found_in = None;
        let mut first = 0;
        while found_in.is_none() && first < setting("SIMULATION_SEEDS", 1_000) {
            let batch = run_many(first, 20, options(Some(plant)));
            found_in = batch.broken.first().map(|(seed, broken)| (*seed, broken.to_string()));
            first += 20;
        }
        match found_in {
            Some((seed, broken)) => println!("{plant:?}: first in seed {seed}: {broken}"),
            None => missed.push(plant),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
