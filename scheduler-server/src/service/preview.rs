//! PreviewSchedule: what a schedule means, before or after a job has it.

use job_spec::time::proto_instant;
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::job::JobKey;
use scheduler_core::schedule::{ChangeKind, Compiled, DstChange};
use scheduler_core::time::Timestamp;

use super::{Error, Service, lists};

const DEFAULT_COUNT: usize = 5;
const MOST: i32 = 1_000;

impl Service {
    pub async fn preview_schedule(
        &self,
        request: v1::PreviewScheduleRequest,
    ) -> Result<v1::PreviewScheduleResponse, Error> {
        let mut violations = Violations::default();
        let key = (!request.job_id.is_empty())
            .then(|| job_spec::job_key(&request.namespace, &request.job_id, "", &mut violations));
        let count = count(request.count, &mut violations);
        let after = lists::instant("after", request.after.as_ref(), &mut violations).unwrap_or_else(|| self.now());
        violations.or(()).map_err(Error::Invalid)?;
        let compiled = match (&request.schedule, key) {
            (Some(schedule), key) => self.given_schedule(schedule, key, after).await?,
            (None, Some(key)) => {
                let job = self.stored_job(&key).await?;
                job_spec::compile(&job).ok_or_else(|| Error::field("job_id", "its schedule cannot be evaluated"))?
            }
            (None, None) => return Err(Error::field("schedule", "is required, unless there is a job_id")),
        };
        Ok(shown(&compiled, after, count))
    }

    /// A schedule beside a job counts from the job's creation; the job need not exist.
    async fn given_schedule(
        &self,
        schedule: &v1::Schedule,
        key: Option<JobKey>,
        after: Timestamp,
    ) -> Result<Compiled, Error> {
        let stored = match &key {
            Some(key) => self.ledger.job(key).await?,
            None => None,
        };
        let rules = self.rules(stored.map_or(after, |job| job.create_time));
        let hash_key = key.map(|key| key.to_string());
        let (_, compiled) = job_spec::schedule(schedule, hash_key.as_deref(), &rules).map_err(Error::Invalid)?;
        Ok(compiled)
    }
}

fn count(value: Option<i32>, violations: &mut Violations) -> usize {
    match value {
        None => DEFAULT_COUNT,
        Some(count) if (1..=MOST).contains(&count) => usize::try_from(count).unwrap_or(DEFAULT_COUNT),
        Some(count) => {
            violations.add("count", format!("{count} is not between 1 and {MOST}"));
            DEFAULT_COUNT
        }
    }
}

fn shown(compiled: &Compiled, after: Timestamp, count: usize) -> v1::PreviewScheduleResponse {
    let fires = std::iter::successors(compiled.next(after), |last| compiled.next(*last));
    let fires: Vec<Timestamp> = fires.take(count).collect();
    let changes = fires.last().map(|last| compiled.dst_changes(after, *last)).unwrap_or_default();
    v1::PreviewScheduleResponse {
        fire_times: fires.into_iter().map(proto_instant).collect(),
        description: compiled.describe(),
        dst_changes: changes.into_iter().map(change).collect(),
    }
}

fn change(change: DstChange) -> v1::preview_schedule_response::DstChange {
    use v1::preview_schedule_response::dst_change::Kind;
    let kind = match change.kind {
        ChangeKind::Gap => Kind::Gap,
        ChangeKind::Overlap => Kind::Overlap,
    };
    v1::preview_schedule_response::DstChange {
        time: Some(proto_instant(change.time)),
        kind: kind.into(),
        effect: change.effect,
    }
}
