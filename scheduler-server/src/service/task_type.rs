//! Task types: Punctual's own, and those that agents offer.

use std::collections::BTreeMap;

use job_spec::time::proto_instant;
use punctual_proto::{payloads, v1};
use scheduler_core::agent::TaskType;
use scheduler_core::engine::AgentStatus;
use scheduler_core::job::Payload;
use scheduler_core::time::Timestamp;

use super::{Call, Error, Service, page};

/// What agents say of a task type.
#[derive(Default)]
pub(super) struct Offer {
    /// As the agent has it that was heard of last.
    schema: Option<String>,
    seen: Option<Timestamp>,
    agents: i32,
}

impl Service {
    pub async fn list_task_types(
        &self,
        call: &Call,
        request: v1::ListTaskTypesRequest,
    ) -> Result<v1::ListTaskTypesResponse, Error> {
        let size = page::size(&request)? as usize;
        let after = page::after::<String, _>(&request)?;
        let asked = |name: &String| after.as_ref().is_none_or(|after| name > after);
        let offers = self.offers(call).await?;
        let mut left = offers.into_iter().filter(|(name, _)| asked(name));
        let task_types: Vec<_> = left.by_ref().take(size).map(|(name, offer)| shown(name, &offer)).collect();
        let last = task_types.last().filter(|_| left.next().is_some()).map(|last| last.name.clone());
        let next_page_token = last.map(|last| page::token(&request, &last)).unwrap_or_default();
        Ok(v1::ListTaskTypesResponse { task_types, next_page_token })
    }

    pub async fn get_task_type(&self, call: &Call, request: v1::GetTaskTypeRequest) -> Result<v1::TaskType, Error> {
        if request.name.is_empty() {
            return Err(Error::field("name", "is required"));
        }
        let offer = self.offers(call).await?.remove(&request.name);
        offer.map(|offer| shown(request.name.clone(), &offer)).ok_or(Error::TaskTypeNotFound(request.name))
    }

    async fn offers(&self, call: &Call) -> Result<BTreeMap<String, Offer>, Error> {
        let agents = self.leader_agents(call).await?;
        let mut offers: BTreeMap<String, Offer> =
            job_spec::BUILT_IN.iter().map(|name| ((*name).to_owned(), Offer::default())).collect();
        for agent in &agents {
            for offered in agent.hello.iter().flat_map(|hello| &hello.task_types) {
                offers.entry(offered.name.clone()).or_default().take(offered, agent);
            }
        }
        Ok(offers)
    }
}

impl Offer {
    pub(super) fn of(name: &str, agents: &[AgentStatus]) -> Self {
        let mut offer = Self::default();
        for agent in agents {
            let offered = agent.hello.iter().flat_map(|hello| &hello.task_types);
            offered.filter(|offered| offered.name == name).for_each(|offered| offer.take(offered, agent));
        }
        offer
    }

    /// The schema, if an agent is there that could run a task.
    pub(super) fn living_schema(&self) -> Option<&str> {
        self.schema.as_deref().filter(|_| self.agents > 0)
    }

    fn take(&mut self, offered: &TaskType, agent: &AgentStatus) {
        self.agents += i32::from(agent.connect_time.is_some() && !agent.is_stale);
        if self.seen <= agent.heartbeat_time {
            self.seen = agent.heartbeat_time;
            self.schema.clone_from(&offered.payload_schema);
        }
    }
}

fn shown(name: String, offer: &Offer) -> v1::TaskType {
    // Of a built-in type the server has the schema itself, whatever the version of its agents.
    let schema = payloads::schema(&name).or(offer.schema.as_deref());
    v1::TaskType {
        built_in: job_spec::BUILT_IN.contains(&name.as_str()),
        payload_schema: schema.map(|schema| job_spec::payload::proto(&Payload(schema.into()))),
        name,
        agent_count: offer.agents,
        seen_time: offer.seen.map(proto_instant),
    }
}
