//! The lock slots that are held: each unended attempt has one of its job.

use crate::ids::{AgentId, AgentInstance, AttemptId, FencingToken, JobUid};
use crate::job::JobKey;

use super::term::Term;

/// Which of them somebody asks for, by job and slot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LockFilter {
    pub namespace: Option<String>,
    pub job_id: Option<String>,
    pub agent: Option<AgentId>,
    pub after: Option<(JobKey, u32)>,
    pub most: usize,
}

/// A slot of a job, and the attempt in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lock {
    pub job: JobKey,
    pub job_uid: JobUid,
    pub slot: u32,
    pub agent_id: AgentId,
    pub agent_instance: AgentInstance,
    pub fencing_token: FencingToken,
    pub attempt: AttemptId,
}

impl LockFilter {
    fn names(&self, lock: &Lock) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == lock.job.namespace)
            && self.job_id.as_ref().is_none_or(|job_id| *job_id == lock.job.job_id)
            && self.agent.as_ref().is_none_or(|agent| *agent == lock.agent_id)
            && self.after.as_ref().is_none_or(|(job, slot)| (&lock.job, lock.slot) > (job, *slot))
    }
}

impl Term {
    pub(super) fn locks_held(&self, filter: &LockFilter) -> Vec<Lock> {
        let held = self.runs.values().filter_map(|live| {
            let attempt = live.unended_attempt()?;
            Some(Lock {
                job: live.run.job_key.clone(),
                job_uid: live.run.job_uid,
                slot: attempt.slot,
                agent_id: attempt.agent_id.clone(),
                agent_instance: attempt.agent_instance,
                fencing_token: attempt.fencing_token,
                attempt: AttemptId { run: live.run.id, number: attempt.number },
            })
        });
        let mut locks: Vec<Lock> = held.filter(|lock| filter.names(lock)).collect();
        locks.sort_by(|a, b| (&a.job, a.slot).cmp(&(&b.job, b.slot)));
        locks.truncate(filter.most);
        locks
    }
}
