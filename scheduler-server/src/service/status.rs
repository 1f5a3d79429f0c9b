//! The cluster itself: how it is doing, as its leader knows it, and the leader's stepping down.

use std::collections::BTreeMap;
use std::time::Duration;

use coordination::Peer;
use job_spec::time::{proto_duration, proto_instant, proto_skew};
use punctual_proto::v1;
use scheduler_core::audit::Image;
use scheduler_core::engine::{AgentCounts, AgentStatus, Answer, Command, Refusal, Request, Status};
use scheduler_core::ids::NodeId;
use scheduler_core::time::Skew;
use v1::get_status_response::{Agents, Jobs, Lag, Leader, Node, Rates};

use super::{Call, Error, Service};

/// A leader that does not answer within this is shown as unknown.
const PATIENCE: Duration = Duration::from_secs(1);

impl Service {
    pub async fn get_status(&self, call: &Call, _: v1::GetStatusRequest) -> Result<v1::GetStatusResponse, Error> {
        let status = self.leader_status(call).await?;
        let status = status.as_ref();
        Ok(v1::GetStatusResponse {
            leader: status.map(|status| Leader {
                node_id: self.node.id.to_string(),
                address: self.node.address.clone(),
                epoch: status.epoch.0,
                suspended: status.suspended,
            }),
            nodes: self.nodes(status.is_some()),
            agents: status.map(agents),
            jobs: status.map(jobs),
            rates: status.map(|Status { rates, .. }| Rates {
                fires: rates.fires,
                dispatches: rates.dispatches,
                completions: rates.completions,
            }),
            lag: status.map(|status| self.lag(status)),
        })
    }

    /// This node, and those that stand for election beside it, by id.
    fn nodes(&self, leads: bool) -> Vec<Node> {
        let skew = self.leader.skew();
        let is_wrong = skew.filter(|skew| skew.size() > Skew::WARNED);
        let wrong_clock = is_wrong.map(|skew| format!("the clock of its machine is {skew}"));
        let own = Node {
            node_id: self.node.id.to_string(),
            address: self.node.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            leader: leads,
            start_time: Some(proto_instant(self.node.start_time)),
            clock_offset: skew.map(proto_skew),
            warnings: self.node.warnings.iter().cloned().chain(wrong_clock).collect(),
        };
        let other = |peer: Peer| Node {
            node_id: peer.node.to_string(),
            address: peer.address,
            version: peer.version,
            start_time: peer.started.map(proto_instant),
            ..Node::default()
        };
        let mut nodes = BTreeMap::from([(self.node.id.clone(), own)]);
        // Of one that was restarted, the key of the process before may be there still.
        for peer in self.leader.candidates().into_iter().filter(|peer| peer.node != self.node.id) {
            nodes.insert(peer.node.clone(), other(peer));
        }
        nodes.into_values().collect()
    }

    /// Makes the leader hand over to another node.
    pub async fn step_down(&self, call: &Call, request: v1::StepDownRequest) -> Result<v1::StepDownResponse, Error> {
        let node = (!request.node_id.is_empty()).then_some(NodeId(request.node_id));
        let asked = node.as_ref().map(|node| Image::fields([("nodeId", node.to_string())]));
        self.record(call, "", "leader".to_owned(), asked).await?;
        match self.write(call, None, Command::StepDown { node }).await? {
            Answer::SteppedDown { node, epoch } => {
                Ok(v1::StepDownResponse { node_id: node.to_string(), epoch: epoch.0 })
            }
            _ => Err(Error::Misanswered("StepDown")),
        }
    }

    async fn leader_status(&self, call: &Call) -> Result<Option<Status>, Error> {
        match self.ask_leader(call, Command::Status).await? {
            Some(Answer::Status(status)) => Ok(Some(*status)),
            None => Ok(None),
            Some(_) => Err(Error::Misanswered("GetStatus")),
        }
    }

    /// The agents that the leader knows.
    pub(super) async fn leader_agents(&self, call: &Call) -> Result<Vec<AgentStatus>, Error> {
        match self.ask_leader(call, Command::Agents).await? {
            Some(Answer::Agents(agents)) => Ok(agents),
            None => Err(Error::NoLeader),
            Some(_) => Err(Error::Misanswered("ListAgents")),
        }
    }

    /// What it knows and writes nothing for; `None`: there is none that answers.
    pub(super) async fn ask_leader(&self, call: &Call, command: Command) -> Result<Option<Answer>, Error> {
        let (digest, author) = (String::new(), call.author());
        let request = Request { key: None, is_new: false, digest, author, origin: None, command };
        match tokio::time::timeout(PATIENCE, self.leader.request(request)).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(Refusal::Unavailable(_) | Refusal::OutcomeUnknown)) | Err(_) => Ok(None),
            Ok(Err(refusal)) => Err(Error::Refused(refusal)),
        }
    }

    /// The watermark trails the clock while nothing is due, which is no lag.
    fn lag(&self, status: &Status) -> Lag {
        let behind = if status.waiting == 0 { Duration::ZERO } else { self.now().since(status.watermark) };
        let (dispatch_p50, dispatch_p99) =
            status.lateness.map(|(p50, p99)| (proto_duration(p50), proto_duration(p99))).unzip();
        Lag { watermark: Some(proto_duration(behind)), dispatch_p50, dispatch_p99 }
    }
}

fn agents(status: &Status) -> Agents {
    let AgentCounts { connected, away, cordoned, slots, busy_slots } = status.agents;
    Agents {
        alive: number(connected),
        stale: number(away),
        cordoned: number(cordoned),
        slots: number(slots),
        busy_slots: number(busy_slots),
    }
}

fn jobs(status: &Status) -> Jobs {
    Jobs {
        active: number(status.jobs.active),
        paused: number(status.jobs.paused),
        disabled: number(status.jobs.disabled),
        completed: number(status.jobs.completed),
        pending_runs: number(status.unended_runs.saturating_sub(status.running_runs)),
        running_runs: number(status.running_runs),
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
