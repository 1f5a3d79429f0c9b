//! Runs: what happened, and what the tasks wrote.

use std::cmp::Reverse;

use job_spec::enums;
use job_spec::time::proto_instant;
use ledger::{LoggedChunk, Page, RunFilter, StoredRun};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::agent::LogSource;
use scheduler_core::engine::{Command, Refusal};
use scheduler_core::ids::{AgentId, BackfillId, RunId};

use super::scope::{Merged, Scope};
use super::write::Numbered;
use super::{Call, Error, Service, clean, lists, page, view};

impl Service {
    pub async fn get_run(&self, request: v1::GetRunRequest) -> Result<v1::Run, Error> {
        let run = self.stored_run(&request.namespace, &request.run_id).await?;
        Ok(view::run(&run))
    }

    pub async fn list_runs(&self, call: &Call, request: v1::ListRunsRequest) -> Result<v1::ListRunsResponse, Error> {
        let (scope, filter) = run_filter(call, &request)?;
        let size = page::size(&request)?;
        let after = page::after::<RunId, _>(&request)?;
        let mut merged = Merged::default();
        for namespace in scope.each() {
            let filter = RunFilter { namespace, ..filter.clone() };
            merged.add(self.ledger.runs(&filter, &Page { size, after }).await?);
        }
        let found = merged.page(size, |stored| Reverse(stored.run.id));
        let single = scope.single().flatten();
        if let (true, Some(namespace), Some(job_id)) = (found.items.is_empty(), &single, &filter.job_id) {
            // Nothing of a job is not nothing of no job.
            self.stored_job(&super::job::key(namespace, job_id)?).await?;
        }
        let next = found.items.last().filter(|_| found.more).map(|stored| stored.run.id);
        Ok(v1::ListRunsResponse {
            runs: found.items.iter().map(view::listed_run).collect(),
            next_page_token: next.map(|last| page::token(&request, &last)).unwrap_or_default(),
        })
    }

    pub async fn cancel_run(&self, call: &Call, request: v1::CancelRunRequest) -> Result<v1::Run, Error> {
        const METHOD: &str = "CancelRun";
        let note = clean::note(&request.note)?;
        let StoredRun { run, .. } = self.stored_run(&request.namespace, &request.run_id).await?;
        if run.state.is_ended() {
            return Err(Error::RunEnded(run.id));
        }
        let namespace = run.job_key.namespace;
        let command = Command::CancelRun { namespace: namespace.clone(), run: run.id, note };
        self.write_run(call, None, command, namespace, METHOD).await
    }

    pub async fn retry_run(&self, call: &Call, request: v1::RetryRunRequest) -> Result<v1::Run, Error> {
        const METHOD: &str = "RetryRun";
        let mut violations = Violations::default();
        let request_id = clean::request_id(&request.request_id, &mut violations);
        violations.or(()).map_err(Error::Invalid)?;
        let StoredRun { run, .. } = self.stored_run(&request.namespace, &request.run_id).await?;
        if !run.state.is_ended() {
            return Err(Error::RunNotEnded(run.id));
        }
        // Another job may have the deleted one's name by now.
        if self.stored_job(&run.job_key).await?.uid != run.job_uid {
            return Err(Error::Refused(Refusal::JobDeleted(run.job_key)));
        }
        let namespace = run.job_key.namespace.clone();
        let request = v1::RetryRunRequest { request_id: String::new(), ..request };
        let numbered = Numbered::new(METHOD, &namespace, request_id, &request);
        let command = Command::RetryRun { job: run.job_key, of: run.id, payload: run.payload, labels: run.labels };
        self.write_run(call, Some(numbered), command, namespace, METHOD).await
    }

    pub async fn get_run_logs(&self, request: v1::GetRunLogsRequest) -> Result<v1::GetRunLogsResponse, Error> {
        let wanted = Wanted::read(&request)?;
        let size = page::size(&request)?;
        let after = page::after::<(u32, u64), _>(&request)?;
        let run = self.stored_run(&request.namespace, &request.run_id).await?;
        let (chunks, next) = self.chunks(run.run.id, &wanted, size, after).await?;
        Ok(v1::GetRunLogsResponse {
            chunks: chunks.into_iter().map(chunk).collect(),
            next_page_token: next.map(|last| page::token(&request, &last)).unwrap_or_default(),
        })
    }

    /// A page of what is wanted, and where the next one starts after, if there may be one.
    async fn chunks(
        &self,
        run: RunId,
        wanted: &Wanted,
        size: u32,
        after: Option<(u32, u64)>,
    ) -> Result<(Vec<LoggedChunk>, Option<(u32, u64)>), Error> {
        let mut chunks = Vec::new();
        let mut after = after.or(wanted.start());
        loop {
            let found = self.ledger.logs(run, after, size).await?;
            for chunk in found.items {
                if chunks.len() == size as usize {
                    return Ok((chunks, after));
                }
                if wanted.is_past(&chunk) {
                    return Ok((chunks, None));
                }
                after = Some((chunk.attempt, chunk.sequence));
                if wanted.has(&chunk) {
                    chunks.push(chunk);
                }
            }
            if !found.more {
                return Ok((chunks, None));
            }
            if chunks.len() == size as usize {
                return Ok((chunks, after));
            }
        }
    }

    pub(super) async fn stored_run(&self, namespace: &str, run_id: &str) -> Result<StoredRun, Error> {
        let mut violations = Violations::default();
        let namespace = namespace_of(namespace, &mut violations);
        let run = run_id.parse::<RunId>();
        if run.is_err() {
            let description = if run_id.is_empty() { "is required" } else { "is no UUID, as the ids of runs are" };
            violations.add("run_id", description);
        }
        let (Ok(run), true) = (run, violations.0.is_empty()) else { return Err(Error::Invalid(violations)) };
        let stored = self.ledger.run(run).await?;
        stored.filter(|stored| stored.run.job_key.namespace == namespace).ok_or(Error::RunNotFound { namespace, run })
    }
}

fn namespace_of(text: &str, violations: &mut Violations) -> String {
    let namespace = if text.is_empty() { job_spec::DEFAULT_NAMESPACE } else { text };
    if let Err(description) = job_spec::id(namespace) {
        violations.add("namespace", description);
    }
    namespace.to_owned()
}

fn run_filter(call: &Call, request: &v1::ListRunsRequest) -> Result<(Scope, RunFilter), Error> {
    let mut violations = Violations::default();
    let violated = &mut violations;
    let scope = Scope::read(call, &request.namespace, violated);
    let filter = RunFilter {
        namespace: None,
        job_id: Some(request.job_id.clone()).filter(|job_id| !job_id.is_empty()),
        states: lists::states::<v1::run::State, _>("states", &request.states, enums::run_state, violated),
        triggers: lists::states::<v1::run::Trigger, _>("triggers", &request.triggers, enums::trigger, violated),
        agent_id: Some(request.agent_id.as_str()).filter(|agent_id| !agent_id.is_empty()).map(AgentId::from),
        backfill_id: backfill_id(&request.backfill_id, violated),
        query: request.query.clone(),
        labels: request.labels.clone(),
        scheduled_after: lists::instant("scheduled_after", request.scheduled_after.as_ref(), violated),
        scheduled_before: lists::instant("scheduled_before", request.scheduled_before.as_ref(), violated),
        changed_since: None,
    };
    violations.or((scope, filter)).map_err(Error::Invalid)
}

fn backfill_id(text: &str, violations: &mut Violations) -> Option<BackfillId> {
    if text.is_empty() {
        return None;
    }
    let id = text.parse().ok();
    if id.is_none() {
        violations.add("backfill_id", "is no UUID, as the ids of backfills are");
    }
    id
}

/// Which chunks of a run's log.
struct Wanted {
    attempt: Option<u32>,
    source: Option<LogSource>,
}

impl Wanted {
    fn read(request: &v1::GetRunLogsRequest) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let attempt = u32::try_from(request.attempt).ok();
        if attempt.is_none() {
            violations.add("attempt", "must not be negative");
        }
        let source = v1::run_log_chunk::Stream::try_from(request.stream);
        if source.is_err() {
            violations.add("stream", format!("{} is none of its values", request.stream));
        }
        let wanted =
            Self { attempt: attempt.filter(|attempt| *attempt > 0), source: source.ok().and_then(enums::log_source) };
        violations.or(wanted).map_err(Error::Invalid)
    }

    /// What comes right before the first wanted chunk, in the ledger's order.
    fn start(&self) -> Option<(u32, u64)> {
        self.attempt.map(|attempt| (attempt, 0))
    }

    fn is_past(&self, chunk: &LoggedChunk) -> bool {
        self.attempt.is_some_and(|attempt| chunk.attempt > attempt)
    }

    fn has(&self, chunk: &LoggedChunk) -> bool {
        self.source.is_none_or(|source| chunk.source == source)
    }
}

pub(super) fn chunk(chunk: LoggedChunk) -> v1::RunLogChunk {
    v1::RunLogChunk {
        attempt: i32::try_from(chunk.attempt).unwrap_or(i32::MAX),
        sequence: i64::try_from(chunk.sequence).unwrap_or(i64::MAX),
        stream: enums::proto_log_source(chunk.source).into(),
        time: Some(proto_instant(chunk.time)),
        data: chunk.data.into(),
        truncated_bytes: i64::try_from(chunk.cut_bytes).unwrap_or(i64::MAX),
    }
}
