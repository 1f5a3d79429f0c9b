//! Simulates seeds from the command line.

use clap::Parser;
use simulation::{Options, TESTED, Without, run_many, shrink, story};

/// Simulates clusters of Punctual, one for each seed.
#[derive(Parser)]
struct Arguments {
    /// Simulate this seed only, and tell its story.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed: 0 unless said otherwise; with `--forever` the first that the tests leave out.
    #[arg(long)]
    first: Option<u64>,
    /// Steps with faults in each.
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// What must not go wrong: names from the tally, with commas between them.
    #[arg(long, default_value = "")]
    without: String,
    /// Make the seed short first: fewer steps, and less that goes wrong.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Go on until a promise is broken, with seeds that the tests leave out.
    #[arg(long)]
    forever: bool,
    /// Lines of the story of a seed that fails.
    #[arg(long, default_value_t = 60)]
    trace: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let without = Without::parse(&arguments.without).map_err(anyhow::Error::msg)?;
    let options = Options { without, ..Options::new(arguments.steps) };
    if let Some(seed) = arguments.seed {
        let smallest = if arguments.shrink { shrink(seed, options) } else { None };
        let options = smallest.map_or(options, |(smallest, _)| smallest);
        print!("{}", story(seed, options, usize::MAX));
        return Ok(());
    }
    let mut first = arguments.first.unwrap_or(if arguments.forever { TESTED } else { 0 });
    loop {
        let batch = run_many(first, arguments.seeds, options);
        println!("{}", batch.tally);
        println!(
            "{} seeds from {first}, {} steps, {:.0} simulated seconds, {} broken",
            batch.seeds,
            batch.steps,
            batch.simulated_secs,
            batch.broken.len()
        );
        for (seed, broken) in &batch.broken {
            println!("seed {seed}: {broken}");
        }
        if let Some((seed, _)) = batch.broken.first() {
            print!("{}", story(*seed, options, arguments.trace));
            anyhow::bail!("{} of {} seeds broke a promise", batch.broken.len(), batch.seeds);
        }
        if !arguments.forever {
            return Ok(());
        }
        first += arguments.seeds;
    }
}
