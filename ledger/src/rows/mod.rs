//! Rows of the ledger and values of the core: the only place that knows which column is which field.

mod attempt;
mod audit;
mod backfill;
mod calendar;
mod cells;
mod cordon;
mod job;
mod loaded;
mod run;
mod token;

use std::str::FromStr;
use std::time::Duration;

use scheduler_core::agent::LogChunk;
use scheduler_core::ids::{AttemptId, Epoch, FencingToken};
use scheduler_core::run::TaskError;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Election, LateOutcome, RequestKey, RequestRow, TookOver};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::reader::LoggedChunk;

pub(crate) use attempt::{attempt, put_attempt};
pub(crate) use audit::{audit_event, put_audit_event};
pub(crate) use backfill::{backfill, put_backfill, put_backfill_progress};
pub(crate) use calendar::{calendar, put_calendar, put_calendar_key};
pub(crate) use cells::{Cell, Columns, Read, Values};
pub(crate) use cordon::{cordon, put_cordon};
pub(crate) use job::{counts, job, put_counts, put_job, put_job_revision, revision};
pub(crate) use loaded::{changes, read_backfills, read_calendars, read_covered, read_job, read_unended, since};
pub(crate) use run::{put_entered_run, put_updated_run, run, run_state};
pub(crate) use token::{put_token, secret_hash, token};

pub(crate) fn leadership(row: &impl Columns) -> sqlx::Result<TookOver> {
    Ok(TookOver {
        epoch: Epoch(row.get("epoch")?),
        watermark: time(row, "watermark")?,
        token_ceiling: FencingToken(row.get("token_ceiling")?),
        longest_agent_ttl: longest_agent_ttl(row)?,
    })
}

pub(crate) fn longest_agent_ttl(row: &impl Columns) -> sqlx::Result<Duration> {
    Ok(Duration::from_micros(count(row, "longest_agent_ttl")?))
}

/// What the last leader was elected by.
pub(crate) fn election(row: &impl Columns) -> sqlx::Result<Option<Election>> {
    let coordinator: Option<String> = row.get("coordinator")?;
    let revision: Option<i64> = row.get("election_revision")?;
    Ok(coordinator.zip(revision).map(|(coordinator, revision)| Election { coordinator, revision }))
}

pub(crate) fn put_request(values: &mut impl Values, request: &RequestRow) {
    values
        .put(request.key.namespace.as_str())
        .put(request.key.method.as_str())
        .put(request.key.request_id.as_str())
        .put(request.digest.as_str())
        .put(request.resource.as_str())
        .put(request.time.as_micros());
}

pub(crate) fn request(row: &impl Columns) -> sqlx::Result<RequestRow> {
    Ok(RequestRow {
        key: RequestKey {
            namespace: row.get("namespace")?,
            method: row.get("method")?,
            request_id: row.get("request_id")?,
        },
        digest: row.get("digest")?,
        resource: row.get("resource")?,
        time: time(row, "time")?,
    })
}

pub(crate) fn put_late_outcome(values: &mut impl Values, late: &LateOutcome) {
    let AttemptId { run, number } = late.attempt;
    values.put(run.0).put(i64::from(number)).put(late.outcome.as_str()).put(late.time.as_micros());
}

pub(crate) fn put_log(values: &mut impl Values, chunk: &LogChunk) {
    values
        .put(chunk.attempt.run.0)
        .put(i64::from(chunk.attempt.number))
        .put(stored_count(chunk.sequence))
        .put(chunk.source.as_str())
        .put(chunk.time.as_micros())
        .put(chunk.data.as_slice())
        .put(stored_count(chunk.cut_bytes));
}

pub(crate) fn logged_chunk(row: &impl Columns) -> sqlx::Result<LoggedChunk> {
    Ok(LoggedChunk {
        attempt: count(row, "attempt")?,
        sequence: count(row, "sequence")?,
        source: text(row, "source")?,
        time: time(row, "time")?,
        data: row.get("data")?,
        cut_bytes: count(row, "cut_bytes")?,
    })
}

/// The databases' integers are signed; no count comes near their end.
pub(crate) fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn count<T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>>(
    row: &impl Columns,
    column: &str,
) -> sqlx::Result<T> {
    T::try_from(row.get(column)?).map_err(|error| undecodable(column, error))
}

fn stored_time(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}

fn put_error(values: &mut impl Values, error: Option<&TaskError>) {
    values.put(error.map(|error| error.code.as_str())).put(error.map(|error| error.message.as_str()));
}

fn task_error(row: &impl Columns, code: &str, message: &str) -> sqlx::Result<Option<TaskError>> {
    Ok(match (row.get(code)?, row.get(message)?) {
        (Some(code), Some(message)) => Some(TaskError { code, message }),
        _ => None,
    })
}

fn id<T>(row: &impl Columns, column: &str, wrap: fn(Uuid) -> T) -> sqlx::Result<T> {
    row.get(column).map(wrap)
}

fn time(row: &impl Columns, column: &str) -> sqlx::Result<Timestamp> {
    row.get(column).map(Timestamp::from_micros)
}

fn optional_time(row: &impl Columns, column: &str) -> sqlx::Result<Option<Timestamp>> {
    optional(row, column, Timestamp::from_micros)
}

fn optional<'r, T: Read<'r>, U>(row: &'r impl Columns, column: &str, wrap: impl Fn(T) -> U) -> sqlx::Result<Option<U>>
where
    Option<T>: Read<'r>,
{
    Ok(row.get::<Option<T>>(column)?.map(wrap))
}

/// An enum by its name.
fn text<T>(row: &impl Columns, column: &str) -> sqlx::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get::<&str>(column)?.parse().map_err(|error| undecodable(column, error))
}

fn optional_text<T>(row: &impl Columns, column: &str) -> sqlx::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get::<Option<&str>>(column)?.map(str::parse).transpose().map_err(|error| undecodable(column, error))
}

fn json<T: DeserializeOwned>(row: &impl Columns, column: &str) -> sqlx::Result<T> {
    serde_json::from_str(row.get(column)?).map_err(|error| undecodable(column, error))
}

fn optional_json<T: DeserializeOwned>(row: &impl Columns, column: &str) -> sqlx::Result<Option<T>> {
    row.get::<Option<&str>>(column)?.map(serde_json::from_str).transpose().map_err(|error| undecodable(column, error))
}

fn undecodable(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: format!("{column:?}"), source: Box::new(source) }
}

/// JSON of a value of the core, all of whose parts have a form in JSON.
pub(crate) fn stored_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("because its maps have text keys")
}
