//! BackfillJob: runs for instants of the past.

use job_spec::enums;
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::backfill::{Backfill, MOST_RUNS};
use scheduler_core::engine::{Answer, Command};
use scheduler_core::ids::BackfillId;
use scheduler_core::time::Timestamp;

use super::write::Numbered;
use super::{Call, Error, Service, clean, lists};

const METHOD: &str = "BackfillJob";
const DEFAULT_MAX_RUNS: u32 = 1_000;
const DEFAULT_CONCURRENCY: u32 = 1;

impl Service {
    pub async fn backfill_job(
        &self,
        call: &Call,
        request: v1::BackfillJobRequest,
    ) -> Result<v1::BackfillJobResponse, Error> {
        let mut violations = Violations::default();
        let violated = &mut violations;
        let job = job_spec::job_key(&request.namespace, &request.job_id, "", violated);
        let request_id = clean::request_id(&request.request_id, violated);
        let start_time = instant("start_time", request.start_time.as_ref(), violated);
        let end_time = instant("end_time", request.end_time.as_ref(), violated);
        let max_runs = count("max_runs", request.max_runs, DEFAULT_MAX_RUNS, violated);
        let concurrency = count("concurrency", request.concurrency, DEFAULT_CONCURRENCY, violated);
        violations.or(()).map_err(Error::Invalid)?;
        let validate_only = request.validate_only;
        let numbered = (!validate_only).then(|| {
            let request = v1::BackfillJobRequest { request_id: String::new(), ..request };
            Numbered::new(METHOD, &job.namespace, request_id, &request)
        });
        let request_id = numbered.as_ref().map(Numbered::request_id);
        let command = Command::BackfillJob { job, start_time, end_time, max_runs, concurrency, validate_only };
        match self.write(call, numbered, command).await? {
            Answer::Backfill(backfill) if validate_only => Ok(v1::BackfillJobResponse {
                fires: shown_count(backfill.fires()),
                ..v1::BackfillJobResponse::default()
            }),
            Answer::Backfill(backfill) => Ok(shown(&backfill)),
            Answer::Repeated(id) => {
                let id: BackfillId = id.parse().map_err(|_| Error::Misanswered(METHOD))?;
                let stored = self.ledger.backfill(id).await.map_err(|_| Error::OutcomeUnknown { request_id })?;
                stored.map(|backfill| shown(&backfill)).ok_or(Error::Misanswered(METHOD))
            }
            Answer::Job(_)
            | Answer::Run(_)
            | Answer::Calendar(_)
            | Answer::Purged(_)
            | Answer::Status(_)
            | Answer::Agents(_)
            | Answer::Locks(_)
            | Answer::Upcoming(_)
            | Answer::SteppedDown { .. } => Err(Error::Misanswered(METHOD)),
        }
    }
}

fn shown(backfill: &Backfill) -> v1::BackfillJobResponse {
    v1::BackfillJobResponse {
        backfill_id: backfill.id.to_string(),
        fires: shown_count(backfill.fires()),
        entered: shown_count(backfill.progress.entered),
        dropped: backfill.progress.dropped.map(enums::proto_reason).unwrap_or_default().into(),
    }
}

fn shown_count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn instant(field: &str, value: Option<&prost_types::Timestamp>, violations: &mut Violations) -> Timestamp {
    if value.is_none() {
        violations.add(field, "is required");
    }
    lists::instant(field, value, violations).unwrap_or_default()
}

fn count(field: &str, value: Option<i32>, default: u32, violations: &mut Violations) -> u32 {
    let Some(value) = value else { return default };
    match u32::try_from(value) {
        Ok(count) if (1..=MOST_RUNS).contains(&count) => count,
        _ => {
            violations.add(field, format!("{value} is not between 1 and {MOST_RUNS}"));
            default
        }
    }
}
