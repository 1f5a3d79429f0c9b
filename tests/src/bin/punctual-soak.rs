//! `cargo xtask soak`: three servers, three agents, three members of etcd and Postgres under load, to which chance does
//! harm, for as long as one likes; then the checker's verdict.
//!
//! It prints its seed. The same seed picks the same harms in the same order; what they hit at that moment is another
//! matter.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use punctual_tests::{Harm, Parts, Random, Size, Trial, now};

/// How long everything works between two harms, at most, in milliseconds.
const WORK: u64 = 3_000;
/// How long most harms last, in milliseconds: less than any lease.
const SHORT: u64 = 2_000;
/// How long the others last: longer than leases and rights to run.
const LONG: u64 = 10_000;
/// After that the load is closed and judged, and the next begins: a verdict reads all there is.
const ROUND: TimeDelta = TimeDelta::minutes(10);

/// Does harm to a cluster under load, at random, and judges what has come of it
#[derive(Debug, Parser)]
#[command(name = "punctual-soak", version)]
struct Program {
    /// How long, in minutes
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// End after so many harms instead
    #[arg(long)]
    harms: Option<usize>,
    /// With --harms: so many times over, each with a verdict of its own
    #[arg(long, default_value_t = 1, requires = "harms")]
    rounds: usize,
    /// What chance follows from; printed, and another one each time if it is not given
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let program = Program::parse();
    let random = program.seed.map_or_else(Random::seeded, |seed| {
        println!("seed {seed}");
        Random::from(seed)
    });
    let parts = Parts { nodes: 3, agents: 3, members: 3 };
    let Some(trial) = Trial::start(parts, Size::CLUSTER, random) else { return ExitCode::FAILURE };
    let soak = Soak { trial, began: now(), done: 0 };
    if soak.run(&program) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Soak {
    trial: Trial,
    began: DateTime<Utc>,
    /// Harms so far.
    done: usize,
}

impl Soak {
    /// Whether all was right.
    fn run(mut self, program: &Program) -> bool {
        let end = self.began + TimeDelta::minutes(program.minutes.into());
        for number in 1.. {
            let (round, before) = (end.min(now() + ROUND), self.done);
            let goes_on = |soak: &Self| program.harms.map_or(now() < round, |harms| soak.done - before < harms);
            while goes_on(&self) {
                self.harm();
            }
            let verdict = self.trial.verdict();
            println!("After {} harms in {} s:\n{verdict}", self.done, (now() - self.began).num_seconds());
            if !verdict.is_right() {
                println!("  What there is to look at is kept in {}", self.trial.keep().display());
                return false;
            }
            if program.harms.map_or(now() >= end, |_| number >= program.rounds) {
                break;
            }
            self.trial.renew();
        }
        true
    }

    /// One harm, or two at a time.
    fn harm(&mut self) {
        let Trial { cluster, random, .. } = &mut self.trial;
        let mut harms = vec![Harm::pick(cluster, random)];
        let second = Harm::pick(cluster, random);
        if random.once_in(3) && second.goes_with(&harms[0]) {
            harms.push(second);
        }
        let lasts = if random.once_in(3) { random.below(LONG) } else { random.below(SHORT) };
        let told: Vec<String> = harms.iter().map(Harm::to_string).collect();
        println!("{:>6.1} s  {}, for {lasts} ms", seconds(now() - self.began), told.join("; "));
        for harm in &harms {
            harm.begin(cluster);
        }
        thread::sleep(Duration::from_millis(lasts));
        for harm in &harms {
            harm.end(cluster);
        }
        cluster.recover(&harms);
        self.done += harms.len();
        thread::sleep(Duration::from_millis(self.trial.random.below(WORK)));
    }
}

fn seconds(time: TimeDelta) -> f64 {
    time.as_seconds_f64()
}
