//! The memory of numbered requests.

use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Failure, RequestKey, RequestRow};
use sqlx::SqliteConnection;

use super::{failure, sql};
use crate::bounds::REQUEST_MEMORY;
use crate::rows::{self, Values as _};

pub(super) async fn remember(
    connection: &mut SqliteConnection,
    requests: &[RequestRow],
    now: Timestamp,
) -> Result<(), Failure> {
    let forgotten_until = now.saturating_sub(REQUEST_MEMORY);
    let written = sql::REMEMBER_REQUESTS
        .run(connection, requests, |values, request| {
            rows::put_request(values, request);
            values.put(forgotten_until.as_micros());
        })
        .await
        .map_err(failure::before_commit)?;
    if written < requests.len() as u64 {
        return Err(Failure::Refused("a request of this number is there with other content".to_owned()));
    }
    Ok(())
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    keys: &[RequestKey],
    now: Timestamp,
) -> sqlx::Result<Vec<RequestRow>> {
    let forgotten_until = now.saturating_sub(REQUEST_MEMORY);
    let mut found = Vec::new();
    for key in keys {
        let row = sqlx::query(sql::FIND_REQUEST)
            .bind(key.namespace.as_str())
            .bind(key.method.as_str())
            .bind(key.request_id.as_str())
            .bind(forgotten_until.as_micros())
            .fetch_optional(&mut *connection)
            .await?;
        found.extend(row.as_ref().map(rows::request).transpose()?);
    }
    Ok(found)
}
