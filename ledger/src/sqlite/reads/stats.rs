//! Counts and measures of runs: SQLite groups, so that no run is read one by one.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use scheduler_core::ids::RunId;
use scheduler_core::run::RunState;
use scheduler_core::time::micros;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::runs::{AHEAD, Walk, jobs_of_id};
use super::{rows, sql};
use crate::stats::{Bucket, Quantiles, Span, StateCount, Stats};

/// A value in microseconds, above 1,000 rounded up to three digits: few groups, whatever is measured.
static ROUNDED: LazyLock<String> = LazyLock::new(|| {
    let steps = (1..=13).map(|power| 10_i64.pow(power));
    let cases = steps.map(|step| format!(" WHEN v < {} THEN (v + {}) / {step} * {step}", step * 1_000, step - 1));
    format!("CASE WHEN v < 1000 THEN v{} ELSE v END", cases.collect::<String>())
});

#[derive(Default)]
struct Tally {
    counts: BTreeMap<i64, Vec<StateCount>>,
    duration: Measured,
    lateness: Measured,
}

#[derive(Default)]
struct Measured {
    values: BTreeMap<u64, u64>,
    max: u64,
}

impl Measured {
    fn quantiles(self) -> Option<Quantiles> {
        Quantiles::of(&self.values.into_iter().collect::<Vec<_>>(), Duration::from_micros(self.max))
    }
}

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
    let part_length = span.bucket.map_or(0, micros);
    let start_of =
        |part: i64| span.start.saturating_add(Duration::from_micros(part.unsigned_abs() * part_length.unsigned_abs()));
    let mut counts = Vec::new();
    for part in tally.counts.values().flatten() {
        add(&mut counts, *part);
    }
    let buckets = tally.counts.into_iter().map(|(part, counts)| Bucket { start: start_of(part), counts });
    Ok(Stats {
        counts,
        duration: tally.duration.quantiles(),
        lateness: tally.lateness.quantiles(),
        buckets: if span.bucket.is_some() { buckets.collect() } else { Vec::new() },
    })
}

async fn part(connection: &mut SqliteConnection, walk: Walk<'_>, span: &Span, tally: &mut Tally) -> sqlx::Result<()> {
    for row in counts_query(walk, span).build().fetch_all(&mut *connection).await? {
        let (runs, fires): (i64, i64) = (row.try_get("runs")?, row.try_get("fires")?);
        let count =
            StateCount { state: rows::run_state(&row)?, runs: runs.unsigned_abs(), fires: fires.unsigned_abs() };
        add(tally.counts.entry(row.try_get("part")?).or_default(), count);
    }
    for (measured, what) in [(&mut tally.duration, sql::DURATION), (&mut tally.lateness, sql::LATENESS)] {
        for row in measure_query(walk, span, what).build().fetch_all(&mut *connection).await? {
            let (value, times, max): (i64, i64, i64) =
                (row.try_get("value")?, row.try_get("times")?, row.try_get("largest")?);
            *measured.values.entry(value.unsigned_abs()).or_default() += times.unsigned_abs();
            measured.max = measured.max.max(max.unsigned_abs());
        }
    }
    Ok(())
}

/// In the order of the states.
fn add(counts: &mut Vec<StateCount>, count: StateCount) {
    let place = |state: RunState| RunState::ALL.iter().position(|other| *other == state);
    match counts.binary_search_by_key(&place(count.state), |count| place(count.state)) {
        Ok(found) => {
            counts[found].runs += count.runs;
            counts[found].fires += count.fires;
        }
        Err(gap) => counts.insert(gap, count),
    }
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
    walk.push(query);
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
