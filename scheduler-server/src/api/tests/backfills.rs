//! BackfillJob.

use prost_types::Timestamp as ProtoTimestamp;

use super::*;

fn backfill(request_id: &str) -> v1::BackfillJobRequest {
    let at = |seconds: i64| Some(ProtoTimestamp { seconds: NOW.as_secs() + seconds, nanos: 0 });
    v1::BackfillJobRequest {
        job_id: "a".to_owned(),
        start_time: at(-60),
        end_time: at(0),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_backfill_asks_for_a_thousand_runs_one_at_a_time_and_is_begun_once() {
    let server = Server::start().await;
    server.create("a").await;
    let begun = server.jobs().backfill_job(backfill("r1")).await.unwrap().into_inner();
    assert_eq!((begun.fires, begun.entered), (2, 1));
    let asked = server.fake.asked();
    let Some(Command::BackfillJob { max_runs: 1_000, concurrency: 1, validate_only: false, .. }) =
        asked.last().map(|asked| asked.command.clone())
    else {
        panic!("{asked:?}");
    };
    assert_eq!(server.jobs().backfill_job(backfill("r1")).await.unwrap().into_inner(), begun);
    let other = v1::BackfillJobRequest { concurrency: Some(2), ..backfill("r1") };
    assert_eq!(reason(&server.jobs().backfill_job(other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_dry_run_tells_the_count_and_has_no_id() {
    let server = Server::start().await;
    server.create("a").await;
    let dry = v1::BackfillJobRequest { validate_only: true, ..backfill("") };
    let told = server.jobs().backfill_job(dry).await.unwrap().into_inner();
    assert_eq!(told, v1::BackfillJobResponse { fires: 2, ..Default::default() });
}

#[tokio::test]
async fn what_is_wrong_in_a_backfill_is_named() {
    let server = Server::start().await;
    server.create("a").await;
    let empty = v1::BackfillJobRequest {
        start_time: None,
        end_time: None,
        max_runs: Some(0),
        concurrency: Some(10_001),
        ..backfill("")
    };
    let status = server.jobs().backfill_job(empty).await.unwrap_err();
    assert_eq!(fields(&status), ["start_time", "end_time", "max_runs", "concurrency"]);
    let filter = v1::ListRunsRequest { backfill_id: "x".to_owned(), ..Default::default() };
    assert_eq!(fields(&server.runs().list_runs(filter).await.unwrap_err()), ["backfill_id"]);
}
