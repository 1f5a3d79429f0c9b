//! `punctual job backfill`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::value_parser;
use prost_types::Timestamp;
use punctual_proto::v1::{BackfillJobRequest, BackfillJobResponse, ListRunsRequest, run};

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::{value, view};

const MOST_RUNS: i64 = 10_000;
const PAGE: i32 = 1_000;
const POLL: Duration = Duration::from_millis(500);
/// The end of a run enters the next in one step, so that this many looks without any mean that no more come.
const IDLE_LOOKS: u32 = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    id: String,
    /// Start of the span, itself included: 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    start: Timestamp,
    /// End of the span, itself left out; not later than now
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    end: Timestamp,
    /// Refuse a span with more fires than this [default: 1000]
    #[arg(long, value_name = "N", value_parser = value_parser!(i32).range(1..=MOST_RUNS))]
    max_runs: Option<i32>,
    /// Number of its runs that may be under way at a time [default: 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(i32).range(1..=MOST_RUNS))]
    concurrency: Option<i32>,
    /// Count the fires and enter nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Tell how far it is until all its runs have ended; exit with 1 if one did not succeed
    #[arg(long)]
    wait: bool,
    /// Makes the call safe to repeat for 24 h: with the same id it begins no second backfill
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = BackfillJobRequest {
        namespace: settings.namespace.clone(),
        job_id: args.id.clone(),
        start_time: Some(args.start),
        end_time: Some(args.end),
        max_runs: args.max_runs,
        concurrency: args.concurrency,
        validate_only: args.dry_run,
        request_id: args.request_id,
    };
    let begun = server.answer(server.jobs().backfill_job(request).await)?;
    if !args.wait {
        return view::show(settings.output, &begun, |begun, _| text(&args.id, begun));
    }
    let ended = wait(&server, settings, &args.id, &begun).await?;
    let done = BackfillJobResponse { entered: ended.entered(), ..begun };
    view::show(settings.output, &done, |done, _| format!("{}: {}\n", done.backfill_id, ended.text(done.fires)))?;
    ended.verdict(done.fires)
}

fn text(job_id: &str, answer: &BackfillJobResponse) -> String {
    let BackfillJobResponse { backfill_id, fires, entered, .. } = answer;
    if backfill_id.is_empty() {
        return format!("The span has {fires} fires; nothing was entered.\n");
    }
    format!(
        "{backfill_id}\n{fires} fires, {entered} entered so far. Follow it: punctual job history {job_id} --backfill {backfill_id}\n"
    )
}

/// How many runs of a backfill there are, by state.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts(BTreeMap<run::State, i32>);

impl Counts {
    fn entered(&self) -> i32 {
        self.0.values().sum()
    }

    fn unended(&self) -> i32 {
        [run::State::Pending, run::State::Running].iter().filter_map(|state| self.0.get(state)).sum()
    }

    fn text(&self, fires: i32) -> String {
        let states: Vec<_> = self.0.iter().map(|(state, count)| format!("{count} {}", state.as_str_name())).collect();
        let left = fires - self.entered();
        let states = if states.is_empty() { "none entered".to_owned() } else { states.join(", ") };
        if left > 0 {
            format!("{fires} fires: {states}, {left} not entered")
        } else {
            format!("{fires} fires: {states}")
        }
    }

    fn verdict(&self, fires: i32) -> Result<(), Failure> {
        let succeeded = self.0.get(&run::State::Succeeded).copied().unwrap_or_default();
        if succeeded == fires { Ok(()) } else { Err(Failure::Backfill { failed: fires - succeeded, all: fires }) }
    }
}

/// Until all runs have ended, or no more are entered: the job was disabled or deleted.
async fn wait(
    server: &Server,
    settings: &Settings,
    job_id: &str,
    begun: &BackfillJobResponse,
) -> Result<Counts, Failure> {
    let (mut told, mut idle) = (Counts::default(), 0);
    loop {
        let counts = count(server, settings, job_id, &begun.backfill_id).await?;
        if settings.output == Output::Table && counts != told {
            anstream::eprintln!("{}", counts.text(begun.fires));
        }
        idle = if counts.unended() == 0 { idle + 1 } else { 0 };
        if idle > 0 && (counts.entered() == begun.fires || idle == IDLE_LOOKS) {
            return Ok(counts);
        }
        told = counts;
        tokio::time::sleep(POLL).await;
    }
}

async fn count(server: &Server, settings: &Settings, job_id: &str, backfill_id: &str) -> Result<Counts, Failure> {
    let mut request = ListRunsRequest {
        namespace: settings.namespace.clone(),
        job_id: job_id.to_owned(),
        triggers: vec![run::Trigger::Backfill.into()],
        backfill_id: backfill_id.to_owned(),
        page_size: PAGE,
        ..ListRunsRequest::default()
    };
    let mut counts = Counts::default();
    loop {
        let page = server.answer(server.runs().list_runs(request.clone()).await)?;
        for run in &page.runs {
            *counts.0.entry(run.state()).or_default() += 1;
        }
        if page.next_page_token.is_empty() {
            return Ok(counts);
        }
        request.page_token = page.next_page_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(states: &[(run::State, i32)]) -> Counts {
        Counts(states.iter().copied().collect())
    }

    #[test]
    fn progress_says_what_became_of_the_runs_and_what_is_left() {
        let under_way = counts(&[(run::State::Succeeded, 2), (run::State::Failed, 1), (run::State::Running, 1)]);
        assert_eq!((under_way.entered(), under_way.unended()), (4, 1));
        assert_eq!(under_way.text(9), "9 fires: 1 RUNNING, 2 SUCCEEDED, 1 FAILED, 5 not entered");
        assert!(under_way.verdict(4).is_err());
        assert!(counts(&[(run::State::Succeeded, 4)]).verdict(4).is_ok());
        assert!(Counts::default().verdict(0).is_ok());
    }
}
