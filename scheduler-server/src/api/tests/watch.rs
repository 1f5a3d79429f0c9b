//! WatchRuns before a real engine and a real ledger.

use std::time::Duration;

use tonic::Streaming;
use v1::run::State;

use super::real::Real;
use super::retries::expect;
use super::*;

/// Longer than any answer takes, shorter than a bookmark.
const SOON: Duration = Duration::from_secs(10);

struct Watch {
    messages: Streaming<v1::WatchRunsResponse>,
    token: String,
}

impl Watch {
    async fn begin(real: &Real, request: v1::WatchRunsRequest) -> Result<Self, Status> {
        let messages = real.runs().watch_runs(request).await?.into_inner();
        Ok(Self { messages, token: String::new() })
    }

    async fn next(&mut self) -> Result<Option<(String, State)>, Status> {
        let message = tokio::time::timeout(SOON, self.messages.message()).await.expect("something is told soon");
        let message = message?.expect("it goes on");
        self.token = message.resume_token;
        Ok(message.run.map(|run| (run.run_id.clone(), run.state())))
    }

    /// The runs up to the bookmark that ends what is read from the ledger.
    async fn up_to_bookmark(&mut self) -> Vec<(String, State)> {
        let mut runs = Vec::new();
        while let Some(run) = self.next().await.unwrap() {
            runs.push(run);
        }
        runs.sort();
        runs
    }
}

fn from(token: &str) -> v1::WatchRunsRequest {
    v1::WatchRunsRequest { resume_token: token.to_owned(), ..Default::default() }
}

async fn create(real: &Real, job_id: &str) {
    let job = v1::Job { max_instances: Some(9), ..job(job_id) };
    real.jobs().create_job(v1::CreateJobRequest { job: Some(job), ..Default::default() }).await.unwrap();
}

async fn run_of(real: &Real, job_id: &str) -> String {
    real.jobs().trigger_job(trigger(job_id, "")).await.unwrap().into_inner().run_id
}

async fn cancel(real: &Real, run_id: &str) {
    let request = v1::CancelRunRequest { run_id: run_id.to_owned(), ..Default::default() };
    real.runs().cancel_run(request).await.unwrap();
}

#[tokio::test]
async fn it_begins_with_the_runs_not_ended_and_goes_on_with_what_changes() {
    let real = Real::start().await;
    create(&real, "a").await;
    let (waiting, ended) = (run_of(&real, "a").await, run_of(&real, "a").await);
    cancel(&real, &ended).await;
    let mut watch = Watch::begin(&real, from("")).await.unwrap();
    assert_eq!(watch.up_to_bookmark().await, [(waiting.clone(), State::Pending)]);
    let later = run_of(&real, "a").await;
    assert_eq!(watch.next().await.unwrap(), Some((later, State::Pending)));
    cancel(&real, &waiting).await;
    assert_eq!(watch.next().await.unwrap(), Some((waiting, State::Cancelled)));
    real.end().await;
}

#[tokio::test]
async fn it_goes_on_from_any_of_its_tokens_and_from_no_other() {
    let real = Real::start().await;
    create(&real, "a").await;
    let mut watch = Watch::begin(&real, from("")).await.unwrap();
    assert_eq!(watch.up_to_bookmark().await, []);
    let token = watch.token.clone();
    let first = run_of(&real, "a").await;
    cancel(&real, &first).await;
    drop(watch);
    let mut again = Watch::begin(&real, from(&token)).await.unwrap();
    let mut last = again.next().await.unwrap();
    if last == Some((first.clone(), State::Pending)) {
        last = again.next().await.unwrap();
    }
    assert_eq!(last, Some((first, State::Cancelled)));

    let other = v1::WatchRunsRequest { job_id: "a".to_owned(), ..from(&token) };
    for wrong in [other, from("x")] {
        let status = Watch::begin(&real, wrong).await.err().unwrap();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec!["resume_token".to_owned()]));
    }
    real.end().await;
}

#[tokio::test]
async fn a_cut_in_the_first_reading_begins_it_again() {
    let real = Real::start().await;
    create(&real, "a").await;
    let mut runs = [run_of(&real, "a").await, run_of(&real, "a").await];
    runs.sort();
    let mut watch = Watch::begin(&real, from("")).await.unwrap();
    watch.next().await.unwrap();
    let mut again = Watch::begin(&real, from(&watch.token)).await.unwrap();
    assert_eq!(again.up_to_bookmark().await, runs.map(|run| (run, State::Pending)));
    real.end().await;
}

#[tokio::test]
async fn a_token_survives_the_end_of_its_term() {
    let real = Real::start().await;
    create(&real, "a").await;
    let (changed, unchanged) = (run_of(&real, "a").await, run_of(&real, "a").await);
    let mut watch = Watch::begin(&real, from("")).await.unwrap();
    assert_eq!(watch.up_to_bookmark().await.len(), 2);
    let token = watch.token;
    cancel(&real, &changed).await;
    let real = real.restart().await;
    let missed = run_of(&real, "a").await;
    let mut again = Watch::begin(&real, from(&token)).await.unwrap();
    let mut told = vec![(changed, State::Cancelled), (unchanged, State::Pending), (missed, State::Pending)];
    told.sort();
    assert_eq!(again.up_to_bookmark().await, told);
    let later = run_of(&real, "a").await;
    assert_eq!(again.next().await.unwrap(), Some((later, State::Pending)));
    real.end().await;
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let real = Real::start().await;
    for job in ["a", "b"] {
        create(&real, job).await;
    }
    run_of(&real, "a").await;
    let of_b = v1::WatchRunsRequest { job_id: "b".to_owned(), ..from("") };
    let mut watch = Watch::begin(&real, of_b).await.unwrap();
    assert_eq!(watch.up_to_bookmark().await, []);
    run_of(&real, "a").await;
    let wanted = run_of(&real, "b").await;
    assert_eq!(watch.next().await.unwrap(), Some((wanted, State::Pending)));
    let wrong = v1::WatchRunsRequest { namespace: "-x".to_owned(), triggers: vec![0], ..from("") };
    let status = Watch::begin(&real, wrong).await.err().unwrap();
    assert_eq!(fields(&status), ["namespace", "triggers[0]"]);
    real.end().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let real = Real::start().await;
    let mut watch = Watch::begin(&real, from("")).await.unwrap();
    assert_eq!(watch.up_to_bookmark().await, []);
    real.drain.cancel();
    expect(watch.next().await.unwrap_err(), Code::Unavailable, "SHUTTING_DOWN");
    real.end().await;
}

#[tokio::test]
async fn the_output_of_a_run_is_told_until_the_run_has_ended() {
    let real = Real::start().await;
    create(&real, "a").await;
    let run = run_of(&real, "a").await;
    let tail = |run_id: &str, token: &str| v1::TailRunLogsRequest {
        run_id: run_id.to_owned(),
        resume_token: token.to_owned(),
        ..Default::default()
    };
    let mut lines = real.runs().tail_run_logs(tail(&run, "")).await.unwrap().into_inner();
    cancel(&real, &run).await;
    let end = tokio::time::timeout(SOON, lines.message()).await.expect("the end comes soon").unwrap();
    assert_eq!(end, None);
    let status = real.runs().tail_run_logs(tail(&run, "x")).await.err().unwrap();
    assert_eq!(fields(&status), ["resume_token"]);
    let status = real.runs().tail_run_logs(tail("00000000-0000-7000-8000-000000000000", "")).await.err().unwrap();
    expect(status, Code::NotFound, "RUN_NOT_FOUND");
    real.end().await;
}
