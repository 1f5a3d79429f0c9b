//! The calls of the leader's functions (`migrations/postgres`): each a statement that commits itself.

use std::collections::BTreeSet;

use scheduler_core::ids::{Epoch, FencingToken};
use scheduler_core::run::Run;
use scheduler_core::time::{Timestamp, micros};
use scheduler_core::txn::{CalendarWrite, Election, Failure, TakeOver, TookOver, Transaction};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::records::{self, records};
use super::{DEPOSES_AFTER_MS, sql};
use crate::bounds::{FURTHEST_AHEAD, REQUEST_MEMORY};
use crate::rows;

/// Ends the term that is in the ledger and begins the next, or answers who was elected later.
pub(super) async fn take_over(
    connection: &mut PgConnection,
    take_over: &TakeOver,
) -> sqlx::Result<Result<TookOver, Failure>> {
    let (coordinator, revision) = parts(take_over.election.as_ref());
    let (judged_coordinator, judged_revision) = parts(take_over.instead_of.as_ref());
    let row = sqlx::query(sql::TAKE_OVER)
        .bind(take_over.node.as_str())
        .bind(micros(take_over.agent_ttl))
        .bind(take_over.schedule_version.as_str())
        .bind(DEPOSES_AFTER_MS)
        .bind(coordinator)
        .bind(revision)
        .bind(judged_coordinator)
        .bind(judged_revision)
        .fetch_one(connection)
        .await?;
    let later: Option<String> = row.try_get("later_coordinator")?;
    match later {
        Some(coordinator) => {
            let revision = row.try_get("later_revision")?;
            Ok(Err(Failure::LaterElection(Election { coordinator, revision })))
        }
        None => rows::leadership(&row).map(Ok),
    }
}

fn parts(election: Option<&Election>) -> (Option<&str>, Option<i64>) {
    election.map(|election| (election.coordinator.as_str(), election.revision)).unzip()
}

/// Writes all of `transaction` that is not there already, or answers why nothing was written.
pub(super) async fn commit(
    connection: &mut PgConnection,
    transaction: &Transaction,
) -> sqlx::Result<Result<(), Failure>> {
    let put = transaction.calendars.iter().filter_map(|write| match write {
        CalendarWrite::Put(calendar) => Some(calendar),
        CalendarWrite::Delete(_) => None,
    });
    let deleted = transaction.calendars.iter().filter_map(|write| match write {
        CalendarWrite::Delete(key) => Some(key),
        CalendarWrite::Put(_) => None,
    });
    let cordoned =
        transaction.cordons.iter().filter_map(|write| write.cordon.as_ref().map(|cordon| (&write.agent, cordon)));
    let lifted = transaction.cordons.iter().filter(|write| write.cordon.is_none());
    let row = sqlx::query(sql::COMMIT_TRANSACTION)
        .bind(transaction.mark)
        .bind(&transaction.confirmed)
        .bind(transaction.epoch.0)
        .bind(transaction.decided_at.as_micros())
        .bind(transaction.watermark.map(Timestamp::as_micros))
        .bind(transaction.token_ceiling.map(|FencingToken(ceiling)| ceiling))
        .bind(micros(FURTHEST_AHEAD))
        .bind(micros(REQUEST_MEMORY))
        .bind(records::<records::RememberedRequest>(&transaction.requests))
        .bind(records::<records::WrittenAuditEvent>(&transaction.audit))
        .bind(records::<records::WrittenJob>(&transaction.jobs))
        .bind(records::<records::WrittenJobRevision>(&transaction.jobs))
        .bind(records::<records::CountedJob>(&transaction.counts))
        .bind(records::<records::WrittenCalendar>(put))
        .bind(records::<records::DeletedCalendar>(deleted))
        .bind(records::<records::WrittenCordon>(cordoned))
        .bind(lifted.map(|write| write.agent.as_str().to_owned()).collect::<Vec<_>>())
        .bind(records::<records::BegunBackfill>(&transaction.backfills))
        .bind(records::<records::MovedBackfill>(&transaction.backfill_progress))
        .bind(records::<records::EnteredRun>(&transaction.entered))
        .bind(records::<records::UpdatedRun>(&transaction.updated))
        .bind(records::<records::WrittenAttempt>(&transaction.attempts))
        .bind(records::<records::LateWord>(&transaction.late_outcomes))
        .bind(records::<records::WrittenLog>(&transaction.logs))
        .fetch_one(connection)
        .await?;
    let ledger_time: Option<i64> = row.try_get("ledger_time")?;
    let lost: Option<i64> = row.try_get("lost")?;
    Ok(match (deposed(&row)?, lost, ledger_time) {
        (Some(failure), _, _) => Err(failure),
        (None, Some(mark), _) => Err(Failure::WentBack { mark }),
        (None, None, Some(clock)) => Err(Failure::Clock { ledger_time: Timestamp::from_micros(clock) }),
        (None, None, None) => Ok(()),
    })
}

/// What the fence has answered.
pub(super) fn deposed(row: &PgRow) -> sqlx::Result<Option<Failure>> {
    let by: Option<i64> = row.try_get("deposed_by")?;
    Ok(by.map(|epoch| Failure::Deposed { current: Epoch(epoch) }))
}

/// Which of `runs` has the instant of another row, or of another of them.
pub(super) async fn conflict(connection: &mut PgConnection, runs: &[Run]) -> sqlx::Result<Option<Failure>> {
    let taken: Vec<i64> = sqlx::query_scalar(sql::FIND_FIRES)
        .bind(runs.iter().map(|run| run.job_uid.0).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.scheduled_time.as_micros()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.occurrence).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.id.0).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let mut seen = BTreeSet::new();
    let found = (1..).zip(runs).find(|(number, run)| {
        taken.contains(number) || !seen.insert((run.job_uid, run.scheduled_time, run.occurrence))
    });
    Ok(found.map(|(_, run)| Failure::Conflict { job_uid: run.job_uid, scheduled_time: run.scheduled_time }))
}
