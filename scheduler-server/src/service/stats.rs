//! GetRunStats: what charts show of many runs.

use std::time::Duration;

use job_spec::enums;
use job_spec::time::{proto_duration, proto_instant};
use ledger::{Quantiles, Span, StateCount};
use punctual_proto::v1;
use scheduler_core::Violations;

use super::scope::Scope;
use super::{Call, Error, Service, lists};

const DEFAULT_SPAN: Duration = Duration::from_secs(24 * 3_600);
const MOST_BUCKETS: u128 = 1_000;

impl Service {
    pub async fn get_run_stats(
        &self,
        call: &Call,
        request: v1::GetRunStatsRequest,
    ) -> Result<v1::GetRunStatsResponse, Error> {
        let span = self.measured(call, &request)?;
        let stats = self.ledger.run_stats(&span).await?;
        if let (true, Some(namespace), Some(job_id)) = (stats.counts.is_empty(), &span.namespace, &span.job_id) {
            self.stored_job(&super::job::key(namespace, job_id)?).await?;
        }
        let buckets = stats.buckets.iter().map(|bucket| v1::get_run_stats_response::Bucket {
            start_time: Some(proto_instant(bucket.start)),
            counts: bucket.counts.iter().map(count).collect(),
        });
        Ok(v1::GetRunStatsResponse {
            counts: stats.counts.iter().map(count).collect(),
            duration: Some(quantiles(stats.duration)),
            lateness: Some(quantiles(stats.lateness)),
            buckets: buckets.collect(),
        })
    }

    fn measured(&self, call: &Call, request: &v1::GetRunStatsRequest) -> Result<Span, Error> {
        let mut violations = Violations::default();
        let violated = &mut violations;
        let namespace = Scope::read(call, &request.namespace, violated).single().unwrap_or_else(|| {
            violated.add("namespace", "name one: measures of several cannot be put together");
            None
        });
        let end = lists::instant("scheduled_before", request.scheduled_before.as_ref(), violated);
        let end = end.unwrap_or_else(|| self.now());
        let start = lists::instant("scheduled_after", request.scheduled_after.as_ref(), violated);
        let start = start.unwrap_or_else(|| end.saturating_sub(DEFAULT_SPAN));
        if start > end {
            violated.add("scheduled_after", "is later than the end of the span");
        }
        let bucket = request.bucket.as_ref().and_then(|bucket| match job_spec::time::duration(bucket) {
            Ok(bucket) if bucket.as_micros() == 0 => {
                violated.add("bucket", "is not above zero");
                None
            }
            Ok(bucket) if end.since(start).as_micros().div_ceil(bucket.as_micros()) > MOST_BUCKETS => {
                violated.add("bucket", format!("makes more than {MOST_BUCKETS} parts of the span"));
                None
            }
            Ok(bucket) => Some(bucket),
            Err(description) => {
                violated.add("bucket", description);
                None
            }
        });
        let job_id = Some(request.job_id.clone()).filter(|job_id| !job_id.is_empty());
        violations.or(Span { namespace, job_id, start, end, bucket }).map_err(Error::Invalid)
    }
}

fn count(count: &StateCount) -> v1::get_run_stats_response::StateCount {
    v1::get_run_stats_response::StateCount {
        state: enums::proto_run_state(count.state).into(),
        runs: i64::try_from(count.runs).unwrap_or(i64::MAX),
        fires: i64::try_from(count.fires).unwrap_or(i64::MAX),
    }
}

fn quantiles(quantiles: Option<Quantiles>) -> v1::get_run_stats_response::Quantiles {
    let shown = |of: fn(&Quantiles) -> Duration| quantiles.as_ref().map(of).map(proto_duration);
    v1::get_run_stats_response::Quantiles {
        p50: shown(|quantiles| quantiles.p50),
        p95: shown(|quantiles| quantiles.p95),
        p99: shown(|quantiles| quantiles.p99),
        max: shown(|quantiles| quantiles.max),
    }
}
