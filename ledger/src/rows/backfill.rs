use scheduler_core::backfill::{Backfill, Progress};
use scheduler_core::ids::{BackfillId, JobUid};
use scheduler_core::job::JobKey;
use scheduler_core::time::Timestamp;

use super::{Columns, Values, count, id, json, optional_text, optional_time, stored_json, stored_time, time};

pub(crate) fn put_backfill(values: &mut impl Values, backfill: &Backfill) {
    values
        .put(backfill.id.0)
        .put(backfill.job_uid.0)
        .put(backfill.job_key.namespace.as_str())
        .put(backfill.job_key.job_id.as_str())
        .put(backfill.job_revision)
        .put(backfill.author.as_str())
        .put(backfill.start_time.as_micros())
        .put(backfill.end_time.as_micros())
        .put(i64::from(backfill.concurrency))
        .put(stored_json(&&backfill.instants[..]))
        .put(backfill.create_time.as_micros());
    put_progress(values, &backfill.progress);
}

pub(crate) fn put_backfill_progress(values: &mut impl Values, (id, progress): &(BackfillId, Progress)) {
    values.put(id.0);
    put_progress(values, progress);
}

fn put_progress(values: &mut impl Values, progress: &Progress) {
    values
        .put(i64::from(progress.entered))
        .put(stored_time(progress.closed_time))
        .put(progress.dropped.map(|reason| reason.as_str()));
}

pub(crate) fn backfill(row: &impl Columns) -> sqlx::Result<Backfill> {
    Ok(Backfill {
        id: id(row, "id", BackfillId)?,
        job_uid: id(row, "job_uid", JobUid)?,
        job_key: JobKey { namespace: row.get("namespace")?, job_id: row.get("job_id")? },
        job_revision: row.get("job_revision")?,
        author: row.get("author")?,
        start_time: time(row, "start_time")?,
        end_time: time(row, "end_time")?,
        concurrency: count(row, "concurrency")?,
        instants: json::<Vec<Timestamp>>(row, "instants")?.into(),
        create_time: time(row, "create_time")?,
        progress: Progress {
            entered: count(row, "position")?,
            closed_time: optional_time(row, "closed_time")?,
            dropped: optional_text(row, "dropped")?,
        },
    })
}
