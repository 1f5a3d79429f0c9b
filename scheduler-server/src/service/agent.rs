//! Agents as the leader knows them: one that it has not met in its term, and that holds nothing, is not there.

use std::collections::BTreeMap;

use job_spec::time::proto_instant;
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::engine::AgentStatus;
use scheduler_core::ids::AgentId;
use v1::agent::State;

use super::{Call, Error, Service, page};

impl Service {
    pub async fn list_agents(
        &self,
        call: &Call,
        request: v1::ListAgentsRequest,
    ) -> Result<v1::ListAgentsResponse, Error> {
        let size = page::size(&request)? as usize;
        let after = page::after::<String, _>(&request)?;
        let states = states(&request.states)?;
        let asked = |agent: &v1::Agent| {
            after.as_ref().is_none_or(|after| agent.agent_id > *after)
                && agent.agent_id.starts_with(&request.query)
                && (states.is_empty() || states.contains(&agent.state()))
                && request.labels.iter().all(|(key, value)| agent.labels.get(key) == Some(value))
        };
        let mut agents: Vec<v1::Agent> = self.agents(call).await?.into_values().filter(asked).collect();
        let more = agents.len() > size;
        agents.truncate(size);
        let last = agents.last().filter(|_| more).map(|agent| agent.agent_id.clone());
        let next_page_token = last.map(|last| page::token(&request, &last)).unwrap_or_default();
        Ok(v1::ListAgentsResponse { agents, next_page_token })
    }

    pub async fn get_agent(&self, call: &Call, request: v1::GetAgentRequest) -> Result<v1::Agent, Error> {
        if request.agent_id.is_empty() {
            return Err(Error::field("agent_id", "is required"));
        }
        let id = AgentId(request.agent_id);
        let agent = self.agents(call).await?.remove(&id);
        agent.ok_or(Error::AgentNotFound(id))
    }

    /// Of each id the instance that is connected, or else the latest.
    async fn agents(&self, call: &Call) -> Result<BTreeMap<AgentId, v1::Agent>, Error> {
        let mut known = self.leader_agents(call).await?;
        known.sort_by_key(|agent| (agent.connect_time.is_some(), agent.instance));
        Ok(known.into_iter().map(|agent| (agent.id.clone(), shown(agent))).collect())
    }
}

fn shown(agent: AgentStatus) -> v1::Agent {
    let state = match (agent.connect_time, agent.draining) {
        (Some(_), true) => State::Draining,
        (Some(_), false) if !agent.is_stale => State::Alive,
        _ => State::Stale,
    };
    let slots = agent.slots();
    let hello = agent.hello;
    let (version, labels, queues, task_types) = hello.map_or_else(Default::default, |hello| {
        let names: Vec<String> = hello.task_types.into_iter().map(|offered| offered.name).collect();
        (hello.version, hello.labels, hello.queues, names)
    });
    v1::Agent {
        agent_id: agent.id.0,
        instance: agent.instance.0.to_string(),
        state: state.into(),
        version,
        labels: labels.into_iter().collect(),
        queues,
        task_types,
        slots: i32::try_from(slots).unwrap_or(i32::MAX),
        busy_slots: i32::try_from(agent.running).unwrap_or(i32::MAX),
        cordon: None,
        address: String::new(),
        connect_time: agent.connect_time.map(proto_instant),
        heartbeat_time: agent.heartbeat_time.map(proto_instant),
        clock_offset: None,
    }
}

fn states(asked: &[i32]) -> Result<Vec<State>, Error> {
    let mut violations = Violations::default();
    let mut states = Vec::new();
    for (index, state) in asked.iter().enumerate() {
        match State::try_from(*state) {
            Ok(State::Unspecified) | Err(_) => violations.add(format!("states[{index}]"), "is no state of an agent"),
            Ok(state) => states.push(state),
        }
    }
    violations.or(states).map_err(Error::Invalid)
}
