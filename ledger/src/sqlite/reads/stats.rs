//! Counts and measures of runs: SQLite groups, so that no run is read one by one.

use scheduler_core::ids::RunId;
use scheduler_core::time::micros;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::runs::{jobs_of_id, push_walk};
use super::sql;
use crate::stats::{Span, Stats};
use crate::tally::{ROUNDED, Tally};
use crate::walk::{AHEAD, Walk};

pub(super) async fn measure(connection: &mut SqliteConnection, span: &Span) -> sqlx::Result<Stats> {
    let mut tally = Tally::default();
    match &span.job_id {
        Some(job_id) => {
            for uid in jobs_of_id(connection, span.namespace.as_deref(), job_id).await? {
                part(connection, Walk::FiresOfJob(uid), span, &mut tally).await?;
            }
        }
        None => {
            let walk = span.namespace.as_deref().map_or(Walk::All, Walk::OfNamespace);
            part(connection, walk, span, &mut tally).await?;
            part(connection, Walk::Ahead, span, &mut tally).await?;
        }
    }
    Ok(tally.stats(span))
}

async fn part(connection: &mut SqliteConnection, walk: Walk<'_>, span: &Span, tally: &mut Tally) -> sqlx::Result<()> {
    for row in counts_query(walk, span).build().fetch_all(&mut *connection).await? {
        tally.count(&row)?;
    }
    for (measured, what) in [(&mut tally.duration, sql::DURATION), (&mut tally.lateness, sql::LATENESS)] {
        for row in measure_query(walk, span, what).build().fetch_all(&mut *connection).await? {
            measured.measure(&row)?;
        }
    }
    Ok(())
}

pub(super) fn counts_query<'a>(walk: Walk<'a>, span: &'a Span) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT ");
    match span.bucket {
        Some(bucket) => {
            query.push("(r.scheduled_time - ").push_bind(span.start.as_micros());
            query.push(") / ").push_bind(micros(bucket));
        }
        None => {
            query.push("0");
        }
    }
    query.push(" AS part, r.state, count(*) AS runs, sum(r.coalesced_count) AS fires FROM runs r");
    push_span(&mut query, walk, span);
    query.push(" GROUP BY part, r.state");
    query
}

pub(super) fn measure_query<'a>(walk: Walk<'a>, span: &'a Span, what: &'static str) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(ROUNDED.as_str()).push(" AS value, count(*) AS times, max(v) AS largest FROM (SELECT ");
    query.push(what).push(" AS v FROM runs r");
    push_span(&mut query, walk, span);
    query.push(") WHERE v >= 0 GROUP BY value");
    query
}

fn push_span<'a>(query: &mut QueryBuilder<Sqlite>, walk: Walk<'a>, span: &'a Span) {
    push_walk(query, walk);
    if let Some(namespace) = &span.namespace {
        query.push(" AND +r.namespace = ").push_bind(namespace.as_str());
    }
    let entered_from = RunId::at(span.start.saturating_sub(AHEAD), 0);
    match walk {
        Walk::OfNamespace(_) | Walk::All => {
            query.push(" AND r.id >= ").push_bind(entered_from.0);
        }
        Walk::Ahead => {
            query.push(" AND r.id < ").push_bind(entered_from.0);
        }
        _ => {}
    }
    query.push(" AND r.scheduled_time >= ").push_bind(span.start.as_micros());
    query.push(" AND r.scheduled_time < ").push_bind(span.end.as_micros());
}
