//! `punctual cron next`.

use clap::value_parser;
use prost_types::Timestamp;
use punctual_proto::v1::schedule::dst;
use scheduler_core::schedule::{Dst, Schedule};

use super::{Terms, batch, compile, quoted};
use crate::failure::Failure;
use crate::preview::{self, Preview};
use crate::settings::{Output, Settings};
use crate::{value, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The expression, in quotes: "0 2 * * MON-FRI"
    #[arg(value_name = "EXPR", required_unless_present = "batch", num_args = 1..)]
    expression: Vec<String>,
    #[command(flatten)]
    terms: Terms,
    /// Fires after this instant, itself left out: 2026-01-01T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    after: Option<Timestamp>,
    /// Number of fires
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=i64::from(batch::MOST)))]
    count: u32,
    /// For a time that the clocks skip: next-valid or skip [default: next-valid]
    #[arg(long, value_name = "POLICY", value_parser = value::gap)]
    gap: Option<dst::Gap>,
    /// For a time that the clocks repeat: first, last or both [default: first]
    #[arg(long, value_name = "POLICY", value_parser = value::overlap)]
    overlap: Option<dst::Overlap>,
    /// Answer the lines of standard input, whatever --output says
    ///
    /// A line has an expression, a zone, an instant and a count, and may have gap, overlap and namespace/job_id, all
    /// of them between tabs. Each is answered with a line of the fires after the instant, between commas.
    #[arg(long, conflicts_with_all = ["expression", "time_zone", "job", "after", "count", "gap", "overlap"])]
    batch: bool,
}

pub(crate) fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    if args.batch {
        return batch::run();
    }
    let expression = quoted("next", args.expression)?;
    let hash_key = args.terms.hash_key(settings)?;
    let after = preview::after(args.after)?;
    let schedule = Schedule {
        cron: vec![expression],
        time_zone: args.terms.time_zone,
        dst: Dst {
            gap: args.gap.and_then(job_spec::enums::gap).unwrap_or_default(),
            overlap: args.overlap.and_then(job_spec::enums::overlap).unwrap_or_default(),
        },
        ..Schedule::default()
    };
    let zone = preview::zone(&schedule.time_zone, &schedule.cron);
    let compiled = compile(schedule, hash_key.as_deref(), after)?;
    let preview = Preview::new(&compiled, after, args.count as usize, zone);
    match settings.output {
        Output::Json => {
            let fires: Vec<String> = preview.answer.fire_times.iter().map(ToString::to_string).collect();
            view::text(&format!("{}\n", serde_json::json!({ "fireTimes": fires })))
        }
        Output::Table => {
            view::show(Output::Table, &preview.answer, |_, _| view::fires(&preview))?;
            // Not among the fires, which programs may read a line each.
            anstream::eprint!("{}", view::change_ahead(&preview));
            Ok(())
        }
    }
}
