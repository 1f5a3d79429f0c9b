//! Counts and measures of runs: Postgres groups, so that no run is read one by one.

use scheduler_core::ids::RunId;
use scheduler_core::time::micros;
use sqlx::postgres::Postgres;
use sqlx::{PgConnection, QueryBuilder};

use super::runs::{jobs_of_id, push_walk};
use super::sql;
use crate::stats::{Span, Stats};
use crate::tally::{ROUNDED, Tally};
use crate::walk::{AHEAD, Walk};

pub(super) async fn measure(connection: &mut PgConnection, span: &Span) -> sqlx::Result<Stats> {
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

async fn part(connection: &mut PgConnection, walk: Walk<'_>, span: &Span, tally: &mut Tally) -> sqlx::Result<()> {
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

pub(super) fn counts_query(walk: Walk<'_>, span: &Span) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("SELECT ");
    match span.bucket {
        Some(bucket) => {
            query.push("(r.scheduled_time - ").push_bind(span.start.as_micros());
            query.push(") / ").push_bind(micros(bucket));
        }
        None => {
            query.push("0::bigint");
        }
    }
    query.push(" AS part, r.state, count(*) AS runs, sum(r.coalesced_count)::bigint AS fires FROM runs r WHERE ");
    push_span(&mut query, walk, span);
    query.push(" GROUP BY part, r.state");
    query
}

pub(super) fn measure_query(walk: Walk<'_>, span: &Span, what: &'static str) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(ROUNDED.as_str()).push(" AS value, count(*) AS times, max(v) AS largest FROM (SELECT ");
    query.push(what).push(" AS v FROM runs r WHERE ");
    push_span(&mut query, walk, span);
    query.push(") AS measured WHERE v >= 0 GROUP BY value");
    query
}

fn push_span(query: &mut QueryBuilder<Postgres>, walk: Walk<'_>, span: &Span) {
    let entered_from = Some(RunId::at(span.start.saturating_sub(AHEAD), 0));
    match walk {
        Walk::OfNamespace(_) | Walk::All => push_walk(query, walk, entered_from, None),
        Walk::Ahead => push_walk(query, walk, None, entered_from),
        _ => push_walk(query, walk, None, None),
    };
    if let (Some(namespace), false) = (&span.namespace, matches!(walk, Walk::OfNamespace(_))) {
        query.push(sql::AND_NAMESPACE).push_bind(namespace.as_str());
    }
    query.push(" AND r.scheduled_time >= ").push_bind(span.start.as_micros());
    query.push(" AND r.scheduled_time < ").push_bind(span.end.as_micros());
}
