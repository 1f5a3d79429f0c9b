//! Many seeds, all that they must meet, and every planted bug.
//!
//! `SIMULATION_SEED=n` tells the whole story of one seed; with `SIMULATION_SHRINK=1` it is made short first.
//! `SIMULATION_SEEDS` says how many, `SIMULATION_STEPS` how long, `SIMULATION_WITHOUT` what must not go wrong.

use std::collections::BTreeMap;

use simulation::{Broken, Options, Plant, Promise, TESTED, Without, run, run_many, shrink, story};

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn options() -> Options {
    let without = std::env::var("SIMULATION_WITHOUT").unwrap_or_default();
    let without = Without::parse(&without).expect("names of what goes wrong");
    Options { without, ..Options::new(setting("SIMULATION_STEPS").unwrap_or(10_000)) }
}

/// The story of a seed that fails, made short if that is asked for.
fn failure(seed: u64, lines: usize) -> String {
    let smallest = if setting("SIMULATION_SHRINK").is_some() { shrink(seed, options()) } else { None };
    story(seed, smallest.map_or(options(), |(smallest, _)| smallest), lines)
}

#[test]
fn no_promise_is_broken_and_everything_is_met_under_faults() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        println!("{}", failure(seed, usize::MAX));
        assert_eq!(run(seed, options()).broken, None);
        return;
    }
    let seeds = setting("SIMULATION_SEEDS").unwrap_or(TESTED);
    let batch = run_many(0, seeds, options());
    println!("{}", batch.tally);
    println!("{} seeds, {} steps, {} broken", batch.seeds, batch.steps, batch.broken.len());
    for (seed, broken) in &batch.broken {
        println!("seed {seed}: {broken}");
    }
    if let Some((seed, _)) = batch.broken.first() {
        panic!("{}", failure(*seed, 60));
    }
    assert_eq!(batch.tally.illegal(), [] as [&str; 0], "states did what none may do");
    if seeds >= TESTED && options() == Options::new(10_000) {
        assert_eq!(batch.tally.never_met(), [] as [&str; 0], "this never happened, and so proves nothing");
    }
}

/// Seeds that a planted bug is looked for in at least, and at most.
const LOOK_IN: (u64, u64) = (20, 2_000);

/// Some bugs are planted for the one promise that they break.
fn is_it(plant: Plant, found_as: Promise) -> bool {
    match plant {
        Plant::TasksDieWithStream => found_as == Promise::P6,
        Plant::BadInputPutRight => found_as == Promise::P8,
        Plant::ChangeAnsweredBeforeRevocation => found_as == Promise::P9,
        Plant::IdleLockOutlivesLease | Plant::DispatchBeforeLock | Plant::LockOfAnotherReleased => {
            found_as == Promise::P4
        }
        _ => true,
    }
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for plant in Plant::ALL {
        let (mut seeds, mut broken) = (0, Vec::new());
        let find = |broken: &[(u64, Broken)]| broken.iter().find(|(_, how)| is_it(*plant, how.promise)).cloned();
        while seeds < LOOK_IN.0 || (find(&broken).is_none() && seeds < LOOK_IN.1) {
            let batch = run_many(seeds, LOOK_IN.0, Options { plant: Some(*plant), ..Options::new(10_000) });
            seeds += batch.seeds;
            broken.extend(batch.broken);
        }
        let Some((seed, how)) = find(&broken) else {
            missed.push(plant.name());
            continue;
        };
        let mut found_as = BTreeMap::<_, u32>::new();
        broken.iter().for_each(|(_, how)| *found_as.entry(how.promise).or_default() += 1);
        println!("{}: in {} of {seeds} seeds, as {found_as:?}, as in {seed}: {how}", plant.name(), broken.len());
    }
    assert!(missed.is_empty(), "not found in {} seeds: {missed:?}", LOOK_IN.1);
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    let options = Options { trace: true, ..Options::new(3_000) };
    assert_eq!(run(5, options).trace, run(5, options).trace);
}

#[test]
fn a_failing_seed_is_made_short() {
    let planted = Options { plant: Some(Plant::FenceRemoved), ..Options::new(10_000) };
    let batch = run_many(0, LOOK_IN.0, planted);
    let (seed, broken) = batch.broken.first().expect("a seed in which the plant is found");
    let (smallest, still) = shrink(*seed, planted).expect("a smaller failure");
    println!("{broken}\nwithin {} steps, without {}", smallest.steps, smallest.without);
    assert_eq!(still.promise, broken.promise);
    assert!(smallest.steps < planted.steps && smallest.without != Without::default());
    assert_eq!(run(*seed, smallest).broken, Some(still), "the short story is the one that is told");
}
