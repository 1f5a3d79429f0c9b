//! PurgeRuns: the leader deletes a batch at a time, so that nobody waits long for it; a call is several batches.

use job_spec::enums;
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::audit::Image;
use scheduler_core::engine::{Answer, Command};
use scheduler_core::txn::PurgeFilter;

use super::{Call, Error, Service, lists};

const MOST_RUNS: u32 = 10_000;

impl Service {
    pub async fn purge_runs(&self, call: &Call, request: v1::PurgeRunsRequest) -> Result<v1::PurgeRunsResponse, Error> {
        let (filter, most) = read(&request)?;
        if let Some(job_id) = &filter.job_id {
            self.stored_job(&super::job::key(&filter.namespace, job_id)?).await?;
        }
        if request.validate_only {
            let runs = self.ledger.count_purged(&filter, most + 1).await?;
            let more = runs > u64::from(most);
            return Ok(v1::PurgeRunsResponse { runs: i64::from(most).min(runs.cast_signed()), more });
        }
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        let asked = Image::fields([
            ("jobId", filter.job_id.clone().unwrap_or_default()),
            ("states", states.join(", ")),
            ("endedBefore", filter.ended_before.to_string()),
            ("maxRuns", most.to_string()),
        ]);
        self.record(call, &filter.namespace, "runs".to_owned(), Some(asked)).await?;
        let mut runs = 0;
        loop {
            let left = most.saturating_sub(u32::try_from(runs).unwrap_or(u32::MAX));
            let command = Command::PurgeRuns { filter: filter.clone(), most: left };
            let purged = match self.write(call, None, command).await {
                Ok(Answer::Purged(purged)) => purged,
                Ok(_) => return Err(Error::Misanswered("PurgeRuns")),
                // What went is told; who asks again hears what is wrong.
                Err(_) if runs > 0 => return Ok(v1::PurgeRunsResponse { runs, more: true }),
                Err(error) => return Err(error),
            };
            runs = runs.saturating_add_unsigned(purged.runs);
            if !purged.more || runs >= i64::from(most) {
                return Ok(v1::PurgeRunsResponse { runs, more: purged.more });
            }
        }
    }
}

fn read(request: &v1::PurgeRunsRequest) -> Result<(PurgeFilter, u32), Error> {
    let mut violations = Violations::default();
    let violated = &mut violations;
    let namespace = match request.namespace.as_str() {
        "" => job_spec::DEFAULT_NAMESPACE.to_owned(),
        named => named.to_owned(),
    };
    if let Err(description) = job_spec::id(&namespace) {
        violated.add("namespace", description);
    }
    let states = lists::states::<v1::run::State, _>("states", &request.states, enums::run_state, violated);
    for (i, _) in states.iter().enumerate().filter(|(_, state)| !state.is_ended()) {
        violated.add(format!("states[{i}]"), "is no end: only ended runs are purged");
    }
    let ended_before = lists::instant("ended_before", request.ended_before.as_ref(), violated);
    if request.ended_before.is_none() {
        violated.add("ended_before", "is required");
    }
    let most = match u32::try_from(request.max_runs) {
        Ok(0) => MOST_RUNS,
        Ok(most) => most.min(MOST_RUNS),
        Err(_) => {
            violated.add("max_runs", "must not be negative");
            MOST_RUNS
        }
    };
    let job_id = Some(request.job_id.clone()).filter(|job_id| !job_id.is_empty());
    let ended_before = ended_before.unwrap_or_default();
    violations.or((PurgeFilter { namespace, job_id, states, ended_before }, most)).map_err(Error::Invalid)
}
