use std::sync::Arc;

use scheduler_core::ids::JobUid;
use scheduler_core::job::{Counts, Job, JobKey};
use scheduler_core::txn::JobWrite;

use super::{
    Columns, Values, count, id, json, optional_json, optional_time, stored_count, stored_json, stored_time, text, time,
};
use crate::reader::Revision;

pub(crate) fn put_job(values: &mut impl Values, write: &JobWrite) {
    let job = &write.job;
    values
        .put(job.uid.0)
        .put(job.key.namespace.as_str())
        .put(job.key.job_id.as_str())
        .put(stored_json(&job.definition))
        .put(job.pause.as_ref().map(stored_json))
        .put(job.revision)
        .put(job.change_seq)
        .put(job.effective_from.as_micros())
        .put(job.create_time.as_micros())
        .put(job.update_time.as_micros())
        .put(stored_time(job.delete_time));
}

pub(crate) fn put_job_revision(values: &mut impl Values, write: &JobWrite) {
    let job = &write.job;
    values
        .put(job.uid.0)
        .put(job.revision)
        .put(write.change.as_str())
        .put(write.author.as_str())
        .put(write.note.as_str())
        .put(stored_json(&job.definition))
        .put(job.pause.as_ref().map(stored_json))
        .put(job.change_seq)
        .put(job.effective_from.as_micros())
        .put(job.update_time.as_micros());
}

pub(crate) fn put_counts(values: &mut impl Values, (uid, counts): &(JobUid, Counts)) {
    values.put(uid.0).put(stored_count(counts.fires)).put(i64::from(counts.failures));
}

pub(crate) fn revision(row: &impl Columns) -> sqlx::Result<Revision> {
    Ok(Revision { job: job(row)?, change: text(row, "change")?, author: row.get("author")?, note: row.get("note")? })
}

pub(crate) fn job(row: &impl Columns) -> sqlx::Result<Job> {
    Ok(Job {
        uid: id(row, "uid", JobUid)?,
        key: JobKey { namespace: row.get("namespace")?, job_id: row.get("job_id")? },
        definition: Arc::new(json(row, "definition")?),
        pause: optional_json(row, "pause")?,
        revision: row.get("revision")?,
        change_seq: row.get("change_seq")?,
        effective_from: time(row, "effective_from")?,
        create_time: time(row, "create_time")?,
        update_time: time(row, "update_time")?,
        delete_time: optional_time(row, "delete_time")?,
        counts: counts(row)?,
    })
}

pub(crate) fn counts(row: &impl Columns) -> sqlx::Result<Counts> {
    Ok(Counts { fires: count(row, "fires")?, failures: count(row, "failures")? })
}
