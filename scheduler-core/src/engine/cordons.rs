//! Agents that are to get no new work: cordoned until somebody says otherwise, or drained for good.

use crate::agent::{Cordon, ToAgent};
use crate::ids::AgentId;
use crate::txn::CordonWrite;

use super::batch::{Batch, Then};
use super::input::{Effect, RequestHandle};
use super::request::{AgentStatus, Answer, Refusal};
use super::requests::Decided;
use super::term::Term;

impl Term {
    /// From now on nothing is handed to it; what is on its way goes on.
    pub(super) fn cordon(
        &mut self,
        handle: RequestHandle,
        agent: AgentId,
        cordon: Option<Cordon>,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        if self.agent_known(&agent).is_empty() {
            return Err(Refusal::AgentNotFound(agent));
        }
        let before = match &cordon {
            Some(cordon) => self.agents.cordons.insert(agent.clone(), cordon.clone()),
            None => self.agents.cordons.remove(&agent),
        };
        let answer = Answer::Agents(self.agent_known(&agent));
        if before.is_none() && cordon.is_none() {
            return Ok(Decided::Now(Ok(answer)));
        }
        let resource = agent.to_string();
        batch.cordons.push(CordonWrite { agent, cordon });
        batch.then.push(Then::Answer(handle, Box::new(answer)));
        Ok(Decided::InBatch(resource))
    }

    /// It is told on its stream, and on the next one too if it comes back in this term.
    pub(super) fn drain(&mut self, agent: &AgentId, out: &mut Vec<Effect>) -> Result<Answer, Refusal> {
        let connected =
            self.agents.by_instance.iter_mut().find(|(_, entry)| entry.id == *agent && entry.stream.is_some());
        let Some((instance, entry)) = connected else {
            let is_known = !self.agent_known(agent).is_empty();
            return Err(if is_known {
                Refusal::AgentAway(agent.clone())
            } else {
                Refusal::AgentNotFound(agent.clone())
            });
        };
        entry.asked_to_drain = true;
        let (instance, joined) = (*instance, entry.joined);
        if joined {
            self.send(instance, ToAgent::Drain, out);
        }
        Ok(Answer::Agents(self.agent_known(agent)))
    }

    fn agent_known(&self, agent: &AgentId) -> Vec<AgentStatus> {
        self.agents_known().into_iter().filter(|known| known.id == *agent).collect()
    }
}
