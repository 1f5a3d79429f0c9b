//! What became of the fires of a span of time, as the ledger tells it through the API.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use prost_types::Timestamp;
use punctual_proto::v1;
use v1::run::State;

use crate::clock::Watch;
use crate::figures::Spread;
use crate::server::Server;

/// The largest page that the server gives.
const PAGE: i32 = 1_000;
const POLL: Duration = Duration::from_millis(50);
const ENDED_WITHIN: Duration = Duration::from_secs(120);

/// A half-open span of scheduled times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: SystemTime,
    pub(crate) length: Duration,
}

/// The rows of a span, counted.
pub(crate) struct Fires {
    pub(crate) succeeded: u64,
    /// Fires that share their run with a later one.
    pub(crate) coalesced: u64,
    /// Rows of fires that became no run.
    pub(crate) skipped: u64,
    pub(crate) missed: u64,
    pub(crate) failed: u64,
    /// From the scheduled instant to the entry in the ledger.
    pub(crate) entry: Spread,
    /// From the scheduled instant to the start on the agent.
    pub(crate) start: Spread,
}

impl Span {
    fn request(self) -> v1::ListRunsRequest {
        v1::ListRunsRequest {
            scheduled_after: Some(self.start.into()),
            scheduled_before: Some((self.start + self.length).into()),
            page_size: PAGE,
            ..v1::ListRunsRequest::default()
        }
    }
}

/// Reads the rows of a span, once all of its runs have ended.
pub(crate) async fn of(server: &Server, span: Span) -> Result<Fires> {
    wait_until_ended(server, span.request()).await?;
    let mut runs = Vec::new();
    let mut request = span.request();
    loop {
        let page = server.runs().list_runs(request.clone()).await.context("runs cannot be listed")?.into_inner();
        runs.extend(page.runs);
        if page.next_page_token.is_empty() {
            return count(&runs);
        }
        request.page_token = page.next_page_token;
    }
}

/// Returns when no run that `request` names is under way.
pub(crate) async fn wait_until_ended(server: &Server, request: v1::ListRunsRequest) -> Result<()> {
    let states = vec![State::Pending.into(), State::Running.into()];
    let unended = v1::ListRunsRequest { states, page_size: 1, ..request };
    let watch = Watch::start();
    while watch.elapsed() < ENDED_WITHIN {
        let page = server.runs().list_runs(unended.clone()).await.context("runs cannot be listed")?;
        if page.into_inner().runs.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("runs are still under way {} s after the load has ended", ENDED_WITHIN.as_secs())
}

fn count(runs: &[v1::Run]) -> Result<Fires> {
    let in_state = |state| runs.iter().filter(move |run| run.state() == state);
    let counted = |state| in_state(state).count() as u64;
    let (mut entry, mut start) = (Vec::new(), Vec::new());
    for run in in_state(State::Succeeded) {
        let due = micros(run.scheduled_time.as_ref())?;
        entry.push(micros(run.create_time.as_ref())? - due);
        start.push(micros(run.start_time.as_ref())? - due);
    }
    let succeeded = counted(State::Succeeded);
    let [skipped, missed] = [State::Skipped, State::Missed].map(counted);
    Ok(Fires {
        succeeded,
        coalesced: in_state(State::Succeeded).map(|run| u64::from(run.coalesced_count.max(1).unsigned_abs()) - 1).sum(),
        skipped,
        missed,
        failed: runs.len() as u64 - succeeded - skipped - missed,
        entry: Spread::new(entry),
        start: Spread::new(start),
    })
}

fn micros(time: Option<&Timestamp>) -> Result<i64> {
    let time = time.context("a run that succeeded lacks one of its times")?;
    Ok(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}
