//! The leader's transactions, from data to statements.

use std::collections::BTreeSet;

use scheduler_core::ids::RunId;
use scheduler_core::run::{Attempt, Run};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{CalendarWrite, CordonWrite, Failure, LateOutcome, Transaction};
use sqlx::SqliteConnection;

use super::{failure, leadership, requests, sql};
use crate::rows::{self, Values as _};

/// Writes all of `transaction` that is not there already. The caller commits, or rolls back on an error.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    transaction: &Transaction,
    now: Timestamp,
) -> Result<(), Failure> {
    leadership::fence(connection, transaction.epoch).await?;
    leadership::check_clock(now, transaction.decided_at, transaction.watermark)?;
    requests::remember(connection, &transaction.requests, now).await?;
    let refused = failure::before_commit;
    sql::WRITE_AUDIT_EVENTS.run(connection, &transaction.audit, rows::put_audit_event).await.map_err(refused)?;
    sql::WRITE_JOBS.run(connection, &transaction.jobs, rows::put_job).await.map_err(refused)?;
    sql::WRITE_JOB_REVISIONS.run(connection, &transaction.jobs, rows::put_job_revision).await.map_err(refused)?;
    sql::WRITE_COUNTS.run(connection, &transaction.counts, rows::put_counts).await.map_err(refused)?;
    write_calendars(connection, &transaction.calendars).await.map_err(refused)?;
    write_cordons(connection, &transaction.cordons).await.map_err(refused)?;
    sql::BEGIN_BACKFILLS.run(connection, &transaction.backfills, rows::put_backfill).await.map_err(refused)?;
    sql::MOVE_BACKFILLS
        .run(connection, &transaction.backfill_progress, rows::put_backfill_progress)
        .await
        .map_err(refused)?;
    enter_runs(connection, &transaction.entered).await?;
    update_runs(connection, &transaction.updated).await?;
    write_attempts(connection, &transaction.attempts).await.map_err(refused)?;
    name_agents(connection, transaction).await.map_err(refused)?;
    note_late_outcomes(connection, &transaction.late_outcomes).await.map_err(refused)?;
    sql::WRITE_LOGS.run(connection, &transaction.logs, rows::put_log).await.map_err(refused)?;
    advance(connection, transaction).await.map_err(refused)
}

async fn write_calendars(connection: &mut SqliteConnection, writes: &[CalendarWrite]) -> sqlx::Result<()> {
    let put: Vec<_> = writes
        .iter()
        .filter_map(|write| match write {
            CalendarWrite::Put(calendar) => Some(calendar),
            CalendarWrite::Delete(_) => None,
        })
        .collect();
    let deleted: Vec<_> = writes
        .iter()
        .filter_map(|write| match write {
            CalendarWrite::Delete(key) => Some(key),
            CalendarWrite::Put(_) => None,
        })
        .collect();
    sql::WRITE_CALENDARS.run(connection, &put, |values, calendar| rows::put_calendar(values, calendar)).await?;
    sql::DELETE_CALENDARS.run(connection, &deleted, |values, key| rows::put_calendar_key(values, key)).await?;
    Ok(())
}

async fn write_cordons(connection: &mut SqliteConnection, writes: &[CordonWrite]) -> sqlx::Result<()> {
    let put: Vec<_> =
        writes.iter().filter_map(|write| write.cordon.as_ref().map(|cordon| (&write.agent, cordon))).collect();
    let deleted: Vec<_> = writes.iter().filter(|write| write.cordon.is_none()).collect();
    sql::WRITE_CORDONS.run(connection, &put, |values, written| rows::put_cordon(values, *written)).await?;
    sql::DELETE_CORDONS
        .run(connection, &deleted, |values, write| {
            values.put(write.agent.as_str());
        })
        .await?;
    Ok(())
}

async fn enter_runs(connection: &mut SqliteConnection, runs: &[Run]) -> Result<(), Failure> {
    match sql::ENTER_RUNS.run(connection, runs, rows::put_entered_run).await {
        Ok(_) => Ok(()),
        Err(error) if failure::is_unique_violation(&error) => {
            let found = conflict(connection, runs).await.map_err(failure::before_commit)?;
            Err(found.unwrap_or_else(|| failure::before_commit(error)))
        }
        Err(error) => Err(failure::before_commit(error)),
    }
}

/// Which of `runs` has the instant of another row, or of another of them.
async fn conflict(connection: &mut SqliteConnection, runs: &[Run]) -> sqlx::Result<Option<Failure>> {
    let mut seen = BTreeSet::new();
    for run in runs {
        let taken = sqlx::query(sql::FIND_FIRE)
            .bind(run.job_uid.0)
            .bind(run.scheduled_time.as_micros())
            .bind(run.occurrence)
            .bind(run.id.0)
            .fetch_optional(&mut *connection)
            .await?
            .is_some();
        if taken || !seen.insert((run.job_uid, run.scheduled_time, run.occurrence)) {
            return Ok(Some(Failure::Conflict { job_uid: run.job_uid, scheduled_time: run.scheduled_time }));
        }
    }
    Ok(None)
}

async fn update_runs(connection: &mut SqliteConnection, runs: &[Run]) -> Result<(), Failure> {
    let written =
        sql::UPDATE_RUNS.run(connection, runs, rows::put_updated_run).await.map_err(failure::before_commit)?;
    if written < runs.len() as u64 {
        return Err(Failure::Refused("a run to be updated is not there, or is named twice".to_owned()));
    }
    Ok(())
}

async fn write_attempts(connection: &mut SqliteConnection, attempts: &[(RunId, Attempt)]) -> sqlx::Result<u64> {
    sql::WRITE_ATTEMPTS
        .run(connection, attempts, |values, (run, attempt)| rows::put_attempt(values, *run, attempt))
        .await
}

/// Notes with each run whose attempt may be new on which agent it is.
async fn name_agents(connection: &mut SqliteConnection, transaction: &Transaction) -> sqlx::Result<()> {
    let first = transaction.updated.iter().filter(|run| run.attempt == 1);
    let first = first.filter_map(|run| run.first_attempt.as_ref().map(|attempt| (run.id, attempt)));
    let later = transaction.attempts.iter().map(|(run, attempt)| (*run, attempt));
    let named: Vec<_> = first.chain(later).collect();
    sql::NAME_AGENTS
        .run(connection, &named, |values, (run, attempt)| {
            values.put(run.0).put(i64::from(attempt.number)).put(attempt.agent_id.as_str());
        })
        .await?;
    Ok(())
}

async fn note_late_outcomes(connection: &mut SqliteConnection, notes: &[LateOutcome]) -> sqlx::Result<()> {
    let (first, later): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note.attempt.number == 1);
    sql::NOTE_LATE_FIRST
        .run(connection, &first, |values, note| {
            values.put(note.attempt.run.0).put(note.outcome.as_str()).put(note.time.as_micros());
        })
        .await?;
    sql::NOTE_LATE.run(connection, &later, |values, note| rows::put_late_outcome(values, note)).await?;
    Ok(())
}

async fn advance(connection: &mut SqliteConnection, transaction: &Transaction) -> sqlx::Result<()> {
    if transaction.watermark.is_some() || transaction.token_ceiling.is_some() {
        sqlx::query(sql::ADVANCE)
            .bind(transaction.watermark.map(Timestamp::as_micros))
            .bind(transaction.token_ceiling.map(|ceiling| ceiling.0))
            .execute(connection)
            .await?;
    }
    Ok(())
}
