//! Agents as the leader knows them: one that it has not met in its term, that holds nothing and is not cordoned, is not
//! there.

use std::collections::BTreeMap;

use job_spec::time::{proto_instant, proto_skew};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::engine::{AgentStatus, Answer, Command};
use scheduler_core::ids::AgentId;
use v1::agent::State;

use super::{Call, Error, Service, clean, page};

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
                && match &states[..] {
                    [] => agent.state() != State::Gone,
                    asked => asked.contains(&agent.state()),
                }
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
        let id = agent_id(request.agent_id)?;
        let agent = self.agents(call).await?.remove(&id);
        agent.ok_or(Error::AgentNotFound(id))
    }

    pub async fn cordon_agent(&self, call: &Call, request: v1::CordonAgentRequest) -> Result<v1::Agent, Error> {
        let note = clean::note(&request.note)?;
        let agent = agent_id(request.agent_id)?;
        self.write_agent(call, Command::CordonAgent { agent, note }).await
    }

    pub async fn uncordon_agent(&self, call: &Call, request: v1::UncordonAgentRequest) -> Result<v1::Agent, Error> {
        let agent = agent_id(request.agent_id)?;
        self.write_agent(call, Command::UncordonAgent { agent }).await
    }

    pub async fn drain_agent(&self, call: &Call, request: v1::DrainAgentRequest) -> Result<v1::Agent, Error> {
        let agent = agent_id(request.agent_id)?;
        self.record(call, "", format!("agents/{agent}"), None).await?;
        self.write_agent(call, Command::DrainAgent { agent }).await
    }

    async fn write_agent(&self, call: &Call, command: Command) -> Result<v1::Agent, Error> {
        match self.write(call, None, command).await? {
            Answer::Agents(known) => latest(known).pop_first().map(|(_, agent)| agent),
            _ => None,
        }
        .ok_or(Error::Misanswered("a change of an agent"))
    }

    /// Of each id the instance that is connected, or else the latest.
    async fn agents(&self, call: &Call) -> Result<BTreeMap<AgentId, v1::Agent>, Error> {
        Ok(latest(self.leader_agents(call).await?))
    }
}

fn latest(mut known: Vec<AgentStatus>) -> BTreeMap<AgentId, v1::Agent> {
    known.sort_by_key(|agent| (agent.connect_time.is_some(), agent.instance));
    known.into_iter().map(|agent| (agent.id.clone(), shown(agent))).collect()
}

fn agent_id(text: String) -> Result<AgentId, Error> {
    if text.is_empty() { Err(Error::field("agent_id", "is required")) } else { Ok(AgentId(text)) }
}

fn shown(agent: AgentStatus) -> v1::Agent {
    let state = match (agent.connect_time, agent.draining) {
        (None, _) if agent.instance.is_none() => State::Gone,
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
        instance: agent.instance.map(|instance| instance.0.to_string()).unwrap_or_default(),
        state: state.into(),
        version,
        labels: labels.into_iter().collect(),
        queues,
        task_types,
        slots: i32::try_from(slots).unwrap_or(i32::MAX),
        busy_slots: i32::try_from(agent.running).unwrap_or(i32::MAX),
        cordon: agent.cordon.map(|cordon| v1::agent::Cordon {
            note: cordon.note,
            author: cordon.author,
            time: Some(proto_instant(cordon.time)),
        }),
        address: String::new(),
        connect_time: agent.connect_time.map(proto_instant),
        heartbeat_time: agent.heartbeat_time.map(proto_instant),
        clock_offset: agent.skew.map(proto_skew),
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
