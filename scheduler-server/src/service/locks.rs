//! The lock slots that are held, as the leader knows them.

use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::engine::{Answer, Command, Lock, LockFilter};
use scheduler_core::ids::AgentId;
use scheduler_core::job::JobKey;

use super::page::Position;
use super::scope::Scope;
use super::{Call, Error, Service, page};

impl Service {
    pub async fn list_locks(&self, call: &Call, request: v1::ListLocksRequest) -> Result<v1::ListLocksResponse, Error> {
        let mut violations = Violations::default();
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let scope = Scope::read(call, &request.namespace, &mut violations);
        let filter = LockFilter {
            namespace: None,
            job_id: given(&request.job_id),
            agent: given(&request.agent_id).map(AgentId),
            after: page::after(&request)?,
            most: page::size(&request)? as usize + 1,
        };
        let filter = violations.or(filter).map_err(Error::Invalid)?;
        let size = filter.most - 1;
        let mut locks = Vec::new();
        for namespace in scope.each() {
            let filter = LockFilter { namespace, ..filter.clone() };
            match self.ask_leader(call, Command::Locks(filter)).await? {
                Some(Answer::Locks(found)) => locks.extend(found),
                None => return Err(Error::NoLeader),
                Some(_) => return Err(Error::Misanswered("ListLocks")),
            }
        }
        locks.sort_by_cached_key(|lock| (lock.job.clone(), lock.slot));
        let more = locks.len() > size;
        locks.truncate(size);
        let last = locks.last().filter(|_| more).map(|lock| (lock.job.clone(), lock.slot));
        Ok(v1::ListLocksResponse {
            next_page_token: last.map(|last| page::token(&request, &last)).unwrap_or_default(),
            locks: locks.into_iter().map(shown).collect(),
        })
    }
}

fn shown(lock: Lock) -> v1::Lock {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    v1::Lock {
        namespace: lock.job.namespace,
        job_id: lock.job.job_id,
        job_uid: lock.job_uid.to_string(),
        slot: number(lock.slot),
        agent_id: lock.agent_id.0,
        agent_instance: lock.agent_instance.to_string(),
        epoch: lock.fencing_token.epoch().0,
        fencing_token: lock.fencing_token.0,
        run_id: lock.attempt.run.to_string(),
        attempt: number(lock.attempt.number),
        idle_time: None,
    }
}

/// A job and a slot of it.
impl Position for (JobKey, u32) {
    fn write(&self) -> Vec<u8> {
        let (key, slot) = self;
        [&slot.to_be_bytes()[..], key.namespace.as_bytes(), &[0], key.job_id.as_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (slot, key) = bytes.split_first_chunk()?;
        let (namespace, job_id) = str::from_utf8(key).ok()?.split_once('\0')?;
        Some((JobKey { namespace: namespace.to_owned(), job_id: job_id.to_owned() }, u32::from_be_bytes(*slot)))
    }
}
