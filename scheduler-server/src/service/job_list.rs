//! ListJobs. The ledger does not evaluate schedules, so that whether a job is completed is told here.

use std::cmp::Reverse;

use ledger::{JobFilter, JobOrder, PageOf};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Job, JobKey, JobState};
use scheduler_core::time::Timestamp;

use super::scope::{Merged, Scope};
use super::{Call, Error, Service, lists, page};

/// Jobs that one call looks at, at most, for those that are, or are not, completed: then the page is short.
const MOST_LOOKED_AT: usize = 20_000;

impl Service {
    pub async fn list_jobs(&self, call: &Call, request: v1::ListJobsRequest) -> Result<v1::ListJobsResponse, Error> {
        let (scope, filter, by_update_time) = read(call, &request)?;
        let size = page::size(&request)?;
        let mut order = if by_update_time {
            JobOrder::ByUpdateTime { after: page::after::<(Timestamp, JobUid), _>(&request)? }
        } else {
            JobOrder::ByName { after: page::after::<(JobKey, JobUid), _>(&request)? }
        };
        let (mut jobs, mut looked_at) = (Vec::new(), 0);
        let more = loop {
            let found = self.jobs_of(&scope, &filter, &order, size).await?;
            looked_at += found.items.len();
            let shown = self.jobs_shown(&found.items).await?;
            let mut is_cut = false;
            for (job, shown) in found.items.iter().zip(shown) {
                if jobs.len() == size as usize {
                    is_cut = true;
                    break;
                }
                order = after(&order, job);
                if is_named(&filter.states, &shown) {
                    jobs.push(shown);
                }
            }
            if is_cut || !found.more || jobs.len() == size as usize || looked_at >= MOST_LOOKED_AT {
                break is_cut || found.more;
            }
        };
        let token = match &order {
            JobOrder::ByName { after } => after.as_ref().map(|after| page::token(&request, after)),
            JobOrder::ByUpdateTime { after } => after.as_ref().map(|after| page::token(&request, after)),
        };
        Ok(v1::ListJobsResponse { jobs, next_page_token: token.filter(|_| more).unwrap_or_default() })
    }

    async fn jobs_of(
        &self,
        scope: &Scope,
        filter: &JobFilter,
        order: &JobOrder,
        size: u32,
    ) -> Result<PageOf<Job>, Error> {
        let mut merged = Merged::default();
        for namespace in scope.each() {
            merged.add(self.ledger.jobs(&JobFilter { namespace, ..filter.clone() }, order, size).await?);
        }
        Ok(match order {
            JobOrder::ByName { .. } => merged.page(size, |job| (job.key.clone(), job.uid)),
            JobOrder::ByUpdateTime { .. } => merged.page(size, |job| Reverse((job.update_time, job.uid))),
        })
    }
}

/// The same order, going on after `job`.
fn after(order: &JobOrder, job: &Job) -> JobOrder {
    match order {
        JobOrder::ByName { .. } => JobOrder::ByName { after: Some((job.key.clone(), job.uid)) },
        JobOrder::ByUpdateTime { .. } => JobOrder::ByUpdateTime { after: Some((job.update_time, job.uid)) },
    }
}

fn is_named(states: &[JobState], job: &v1::Job) -> bool {
    states.is_empty() || job_spec::enums::job_state(job.state()).is_some_and(|state| states.contains(&state))
}

fn read(call: &Call, request: &v1::ListJobsRequest) -> Result<(Scope, JobFilter, bool), Error> {
    let mut violations = Violations::default();
    let by_update_time = match request.order_by.as_str() {
        "" | "job_id" | "jobId" => false,
        "update_time" | "updateTime" => true,
        _ => {
            violations.add("order_by", "must be job_id or update_time");
            false
        }
    };
    let scope = Scope::read(call, &request.namespace, &mut violations);
    let filter = JobFilter {
        namespace: None,
        query: request.query.clone(),
        labels: request.labels.clone(),
        show_deleted: request.show_deleted,
        states: lists::states::<v1::job::State, _>(
            "states",
            &request.states,
            job_spec::enums::job_state,
            &mut violations,
        ),
    };
    violations.or((scope, filter, by_update_time)).map_err(Error::Invalid)
}
