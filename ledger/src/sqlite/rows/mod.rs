//! Rows of the ledger and values of the core: the only place that knows which column is which field.

mod attempt;
mod audit;
mod backfill;
mod calendar;
mod cordon;
mod job;
mod run;
mod token;

use std::str::FromStr;
use std::time::Duration;

use scheduler_core::agent::LogChunk;
use scheduler_core::ids::{Epoch, FencingToken};
use scheduler_core::run::TaskError;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Election, RequestKey, RequestRow, TookOver};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::batch::Values;
use crate::reader::LoggedChunk;

pub(super) use attempt::{attempt, put_attempt};
pub(super) use audit::{audit_event, put_audit_event};
pub(super) use backfill::{backfill, put_backfill, put_backfill_progress};
pub(super) use calendar::{calendar, put_calendar};
pub(super) use cordon::cordon;
pub(super) use job::{job, put_job, put_job_revision, revision};
pub(super) use run::{put_entered_run, put_updated_run, run, run_state};
pub(super) use token::{bind_token, secret_hash, token};

pub(super) fn leadership(row: &SqliteRow) -> sqlx::Result<TookOver> {
    Ok(TookOver {
        epoch: Epoch(row.try_get("epoch")?),
        watermark: time(row, "watermark")?,
        token_ceiling: FencingToken(row.try_get("token_ceiling")?),
        longest_agent_ttl: Duration::from_micros(row.try_get("longest_agent_ttl")?),
    })
}

/// What the last leader was elected by.
pub(super) fn election(row: &SqliteRow) -> sqlx::Result<Option<Election>> {
    let coordinator: Option<String> = row.try_get("coordinator")?;
    let revision: Option<i64> = row.try_get("election_revision")?;
    Ok(coordinator.zip(revision).map(|(coordinator, revision)| Election { coordinator, revision }))
}

pub(super) fn put_request(values: &mut Values, request: &RequestRow, forgotten_until: Timestamp) {
    values
        .put(request.key.namespace.as_str())
        .put(request.key.method.as_str())
        .put(request.key.request_id.as_str())
        .put(request.digest.as_str())
        .put(request.resource.as_str())
        .put(request.time.as_micros())
        .put(forgotten_until.as_micros());
}

pub(super) fn request(row: &SqliteRow) -> sqlx::Result<RequestRow> {
    Ok(RequestRow {
        key: RequestKey {
            namespace: row.try_get("namespace")?,
            method: row.try_get("method")?,
            request_id: row.try_get("request_id")?,
        },
        digest: row.try_get("digest")?,
        resource: row.try_get("resource")?,
        time: time(row, "time")?,
    })
}

pub(super) fn put_log(values: &mut Values, chunk: &LogChunk) {
    values
        .put(chunk.attempt.run.0)
        .put(chunk.attempt.number)
        .put(stored_count(chunk.sequence))
        .put(chunk.source.as_str())
        .put(chunk.time.as_micros())
        .put(chunk.data.as_slice())
        .put(stored_count(chunk.cut_bytes));
}

pub(super) fn logged_chunk(row: &SqliteRow) -> sqlx::Result<LoggedChunk> {
    Ok(LoggedChunk {
        attempt: row.try_get("attempt")?,
        sequence: row.try_get("sequence")?,
        source: text(row, "source")?,
        time: time(row, "time")?,
        data: row.try_get("data")?,
        cut_bytes: row.try_get("cut_bytes")?,
    })
}

/// SQLite's integers are signed; no count comes near their end.
pub(super) fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn stored_time(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}

fn put_error(values: &mut Values, error: Option<&TaskError>) {
    values.put(error.map(|error| error.code.as_str())).put(error.map(|error| error.message.as_str()));
}

fn task_error(row: &SqliteRow, code: &str, message: &str) -> sqlx::Result<Option<TaskError>> {
    Ok(match (row.try_get(code)?, row.try_get(message)?) {
        (Some(code), Some(message)) => Some(TaskError { code, message }),
        _ => None,
    })
}

fn id<T>(row: &SqliteRow, column: &str, wrap: fn(Uuid) -> T) -> sqlx::Result<T> {
    row.try_get(column).map(wrap)
}

fn time(row: &SqliteRow, column: &str) -> sqlx::Result<Timestamp> {
    row.try_get(column).map(Timestamp::from_micros)
}

fn optional_time(row: &SqliteRow, column: &str) -> sqlx::Result<Option<Timestamp>> {
    optional(row, column, Timestamp::from_micros)
}

fn optional<'r, T, U>(row: &'r SqliteRow, column: &str, wrap: impl Fn(T) -> U) -> sqlx::Result<Option<U>>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    Ok(row.try_get::<Option<T>, _>(column)?.map(wrap))
}

/// An enum by its name.
fn text<T>(row: &SqliteRow, column: &str) -> sqlx::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<&str, _>(column)?.parse().map_err(|error| undecodable(column, error))
}

fn optional_text<T>(row: &SqliteRow, column: &str) -> sqlx::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<Option<&str>, _>(column)?.map(str::parse).transpose().map_err(|error| undecodable(column, error))
}

fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> sqlx::Result<T> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| undecodable(column, error))
}

fn optional_json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> sqlx::Result<Option<T>> {
    row.try_get::<Option<&str>, _>(column)?
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| undecodable(column, error))
}

fn undecodable(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: format!("{column:?}"), source: Box::new(source) }
}

/// JSON of a value of the core, all of whose parts have a form in JSON.
pub(super) fn stored_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("because its maps have text keys")
}
