//! Terms: the take-over that begins one, and the fence that every later transaction passes.

use std::time::Duration;

use scheduler_core::ids::{Epoch, FencingToken};
use scheduler_core::time::{Timestamp, micros};
use scheduler_core::txn::{Failure, Survey, TakeOver, TookOver};
use sqlx::{Row, SqliteConnection};

use super::{failure, sql};
use crate::bounds::FURTHEST_AHEAD;
use crate::rows;

/// Bits of a fencing token below the epoch.
const TOKENS_PER_EPOCH: i64 = 1 << 20;

/// Ends the term that is in the ledger and begins the next.
pub(super) async fn take_over(
    connection: &mut SqliteConnection,
    take_over: &TakeOver,
    now: Timestamp,
) -> Result<TookOver, Failure> {
    let last = sqlx::query(sql::SELECT_LEADERSHIP)
        .fetch_optional(&mut *connection)
        .await
        .and_then(|row| row.as_ref().map(|row| Ok((rows::leadership(row)?, rows::election(row)?))).transpose())
        .map_err(failure::before_commit)?;
    let (last, election) = last.unzip();
    if let Some(later) = take_over.comes_after(election.flatten()) {
        return Err(Failure::LaterElection(later));
    }
    let began = next_term(last.as_ref(), take_over, now);
    sqlx::query(sql::BEGIN_TERM)
        .bind(began.epoch.0)
        .bind(take_over.node.as_str())
        .bind(began.watermark.as_micros())
        .bind(began.token_ceiling.0)
        .bind(micros(began.longest_agent_ttl))
        .bind(take_over.schedule_version.as_str())
        .bind(take_over.election.as_ref().map(|election| election.coordinator.as_str()))
        .bind(take_over.election.as_ref().map(|election| election.revision))
        .execute(connection)
        .await
        .map_err(failure::before_commit)?;
    Ok(began)
}

fn next_term(last: Option<&TookOver>, take_over: &TakeOver, now: Timestamp) -> TookOver {
    let (after_last, after_tokens, watermark, longest_agent_ttl) = match last {
        None => (1, 1, now, take_over.agent_ttl),
        Some(last) => (
            last.epoch.0 + 1,
            last.token_ceiling.0 / TOKENS_PER_EPOCH + 1,
            last.watermark,
            last.longest_agent_ttl.max(take_over.agent_ttl),
        ),
    };
    let epoch = Epoch(after_last.max(after_tokens).max(now.as_millis()));
    TookOver { epoch, watermark, token_ceiling: FencingToken::nth(epoch, TOKENS_PER_EPOCH - 1), longest_agent_ttl }
}

pub(super) async fn survey(connection: &mut SqliteConnection, now: Timestamp) -> sqlx::Result<Survey> {
    let nobody =
        Survey { ledger_time: now, schedule_version: None, longest_agent_ttl: Duration::ZERO, watermark: None };
    let Some(row) = sqlx::query(sql::SURVEY).fetch_optional(connection).await? else { return Ok(nobody) };
    Ok(Survey {
        schedule_version: row.try_get("schedule_version")?,
        longest_agent_ttl: rows::longest_agent_ttl(&row)?,
        watermark: Some(Timestamp::from_micros(row.try_get("watermark")?)),
        ..nobody
    })
}

/// Refuses whoever does not have the ledger's epoch. To be read in the transaction that it guards.
pub(super) async fn fence(connection: &mut SqliteConnection, epoch: Epoch) -> Result<(), Failure> {
    let ours = sqlx::query(sql::FENCE).bind(epoch.0).fetch_optional(connection).await;
    let Some(row) = ours.map_err(failure::before_commit)? else {
        return Err(Failure::Deposed { current: Epoch::default() });
    };
    if row.try_get("is_current").map_err(failure::before_commit)? {
        return Ok(());
    }
    Err(Failure::Deposed { current: Epoch(row.try_get("epoch").map_err(failure::before_commit)?) })
}

/// Rule 6: the engine's clock, where it ran ahead of the ledger's, must not move the watermark over fires
/// that are not due.
pub(super) fn check_clock(now: Timestamp, decided_at: Timestamp, watermark: Option<Timestamp>) -> Result<(), Failure> {
    let latest = watermark.map_or(decided_at, |watermark| watermark.max(decided_at));
    if latest > now.saturating_add(FURTHEST_AHEAD) {
        return Err(Failure::Clock { ledger_time: now });
    }
    Ok(())
}
