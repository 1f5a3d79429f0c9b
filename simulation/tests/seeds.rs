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
    println!("{}", batch.tally);
    println!("{} seeds, {} steps, {} broken", batch.seeds, batch.steps, batch.broken.len());
    if let Some((seed, _)) = batch.broken.first() {
        panic!("{}", story(*seed, options(None), 60));
    }
}

/// Seeds that a planted bug is looked for in at least, and at most.
const LOOK_IN: (u64, u64) = (20, 400);

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for plant in Plant::ALL {
        let (mut seeds, mut broken) = (0, Vec::new());
        while seeds < LOOK_IN.0 || (broken.is_empty() && seeds < LOOK_IN.1) {
            let batch = run_many(seeds, LOOK_IN.0, options(Some(*plant)));
            seeds += batch.seeds;
            broken.extend(batch.broken);
        }
        match broken.first() {
            Some((seed, how)) => {
                println!("{}: in {} of {seeds} seeds, first in {seed}: {how}", plant.name(), broken.len());
            }
            None => missed.push(plant.name()),
        }
    }
    assert!(missed.is_empty(), "not found in {} seeds: {missed:?}", LOOK_IN.1);
}
