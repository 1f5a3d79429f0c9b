//! Agents joining, beating and leaving: PROTOCOL.md, rules 18, 19, 22, 23 and 24.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::agent::{CancelReason, Closed, FromAgent, Hello, Inventory, LogChunk, Report, StreamId, ToAgent, Welcome};
use crate::ids::{AgentInstance, AttemptId};
use crate::run::Reason;
use crate::time::Timestamp;

use super::agents::{AgentEntry, Beat, Question};
use super::attempts::End;
use super::inbox::Event;
use super::input::{Alert, Effect, ProofId};
use super::leases::AgentLease;
use super::live::Dispatch;
use super::term::Term;

pub(super) const LONGEST_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Questions to the coordinator that may be without an answer; older ones are given up.
pub(super) const MAX_QUESTIONS: usize = 16;

impl Term {
    pub(super) fn hello(&mut self, stream: StreamId, hello: Hello, out: &mut Vec<Effect>) {
        if hello.highest_epoch_seen > self.epoch {
            out.push(Effect::Close(stream, Closed::NotLeading));
            return;
        }
        let (id, instance, now) = (hello.agent_id.clone(), hello.instance, self.now.boot);
        // Others can read an agent's instance: it is no proof of being that agent.
        if self.agents.by_instance.get(&instance).is_some_and(|entry| entry.id != id) {
            out.push(Effect::Close(stream, Closed::Protocol("the instance is another agent's")));
            return;
        }
        for gone in &hello.instances_proved_gone {
            if *gone != instance && self.agents.by_instance.get(gone).is_some_and(|entry| entry.id == id) {
                self.lose(*gone, out);
            }
        }
        if self.agents.beating_rival(&id, instance, now, self.freshness()) {
            out.push(Effect::Close(stream, Closed::AlreadyExists));
            return;
        }
        // It was held up on the way, and the agent has another stream by now.
        let newest = self.agents.by_instance.get(&instance).and_then(|entry| entry.stream);
        if newest.is_some_and(|newest| newest > stream) {
            out.push(Effect::Close(stream, Closed::Replaced));
            return;
        }
        let lease = AgentLease::begin(self.config.lease.is_some());
        let entry = self.agents.by_instance.entry(instance).or_insert_with(|| AgentEntry::unseen(id, now, lease));
        entry.hello = Some(hello);
        entry.joined = false;
        entry.draining = false;
        entry.last_heartbeat = now;
        entry.connected = now;
        if let Some(old) = entry.stream.replace(stream) {
            self.agents.by_stream.remove(&old);
            out.push(Effect::Close(old, Closed::Replaced));
        }
        self.agents.by_stream.insert(stream, instance);
        self.lease_is_due(instance);
        let welcome = Welcome {
            epoch: Some(self.epoch),
            agent_ttl: self.config.agent_ttl,
            heartbeat_interval: heartbeat_interval(self.config.agent_ttl),
            server_time: self.now.wall,
        };
        out.push(Effect::Send(stream, ToAgent::Welcome(welcome)));
    }

    pub(super) fn stream_closed(&mut self, stream: StreamId) {
        if let Some(instance) = self.agents.by_stream.remove(&stream)
            && let Some(entry) = self.agents.by_instance.get_mut(&instance)
        {
            entry.stream = None;
            entry.joined = false;
        }
    }

    pub(super) fn heard(&mut self, stream: StreamId, message: FromAgent, out: &mut Vec<Effect>) {
        let Some((instance, entry)) = self.agents.by_stream(stream) else { return };
        let joined = entry.joined;
        match message {
            FromAgent::Inventory(inventory) if !joined => self.take_inventory(instance, inventory, out),
            FromAgent::Heartbeat { n, sent_time } => {
                entry.last_heartbeat = self.now.boot;
                entry.clock.said(sent_time, self.now.wall);
                self.lease_is_due(instance);
                self.agents.unasked.insert(instance, Beat { n, received: self.now.wall });
                self.ask_for_proof(out);
            }
            FromAgent::Reports(reports) if joined => {
                self.take_in(instance, reports);
            }
            FromAgent::Logs(chunks) if joined => {
                let now = self.now.wall;
                let timed = chunks.into_iter().map(|chunk| LogChunk { time: or_now(chunk.time, now), ..chunk });
                self.logs.extend(timed.map(|chunk| (instance, chunk)));
            }
            FromAgent::Rejected { attempt, reason } if joined => {
                if self.holds_attempt(instance, attempt) {
                    self.inbox.push_back(Event::End(attempt, End::NotStarted(Reason::RefusedByAgent, reason)));
                }
            }
            FromAgent::Revoked { attempt, not_started } if joined => {
                if not_started && self.holds_attempt(instance, attempt) {
                    self.inbox.push_back(Event::End(attempt, End::NotStarted(Reason::Revoked, "revoked".to_owned())));
                }
            }
            FromAgent::Draining => entry.draining = true,
            FromAgent::Inventory(_)
            | FromAgent::Reports(_)
            | FromAgent::Logs(_)
            | FromAgent::Rejected { .. }
            | FromAgent::Revoked { .. } => {
                let why = if joined { "a second Inventory" } else { "before its Inventory" };
                out.push(Effect::Close(stream, Closed::Protocol(why)));
                self.stream_closed(stream);
            }
        }
    }

    fn holds_attempt(&self, instance: AgentInstance, attempt: AttemptId) -> bool {
        self.agents.by_instance.get(&instance).is_some_and(|entry| entry.held.contains(&attempt))
    }

    /// Judges the attempts that may have been sent before: what the agent lacks never reached it (rule 23).
    fn take_inventory(&mut self, instance: AgentInstance, inventory: Inventory, out: &mut Vec<Effect>) {
        let held: BTreeSet<AttemptId> = inventory.held.iter().copied().collect();
        let known: BTreeSet<AttemptId> =
            held.iter().copied().chain(inventory.reports.iter().map(|report| report.attempt)).collect();
        let Some(entry) = self.agents.by_instance.get_mut(&instance) else { return };
        entry.joined = true;
        if let Some(loss) = &mut self.loss {
            loss.heard_of(instance);
        }
        entry.foreign = held.difference(&entry.held).copied().collect();
        let foreign: Vec<_> = entry.foreign.iter().filter(|id| !self.out_of_reach.contains(&id.run)).copied().collect();
        let ours = entry.held.clone();
        if entry.asked_to_drain {
            self.send(instance, ToAgent::Drain, out);
        }
        for attempt in foreign {
            self.send(instance, ToAgent::Cancel { attempt, reason: CancelReason::NotHeld }, out);
        }
        for attempt in ours {
            let Some(live) = self.live_attempt(attempt) else { continue };
            // A cancel whose commit is under way is sent after it.
            let is_busy = self.jobs.get(live.run.job_uid).is_some_and(|entry| entry.busy.is_some());
            let asked_to_stop = live.run.cancel_requested_time.is_some() && !is_busy;
            match live.dispatch {
                Dispatch::Sent if !known.contains(&attempt) => {
                    let end = if self.may_have_lost_the_end_of(live) {
                        End::Unknown
                    } else {
                        End::NotStarted(Reason::NotStarted, "the agent never got it".to_owned())
                    };
                    self.inbox.push_back(Event::End(attempt, end));
                }
                Dispatch::Sent if asked_to_stop => self.send_cancel(attempt, out),
                Dispatch::Unsent => self.send_held_back(&[attempt], out),
                Dispatch::Sent | Dispatch::Committing => {}
            }
        }
        self.take_in(instance, inventory.reports);
    }

    fn take_in(&mut self, instance: AgentInstance, reports: Vec<Report>) {
        let now = self.now.wall;
        let timed = reports.into_iter().map(|report| Report { time: or_now(report.time, now), ..report });
        self.inbox.extend(timed.map(|report| Event::Report(instance, report)));
    }

    /// Sends attempts that are in the ledger, where their agents are there.
    pub(super) fn send_assignments(&mut self, attempts: &[AttemptId], out: &mut Vec<Effect>) {
        let suspended = self.suspended;
        let mut by_agent = std::collections::BTreeMap::<AgentInstance, Vec<_>>::new();
        for id in attempts {
            let Some((instance, assign)) = self.assignment(*id) else { continue };
            // An agent that was lost and came back holds it no more: its end is on the way into the ledger.
            let is_there = |entry: &AgentEntry| {
                !suspended && entry.joined && entry.held.contains(id) && self.has_lock(instance, *id)
            };
            let there = self.agents.by_instance.get(&instance).is_some_and(is_there);
            if let Some(live) = self.runs.get_mut(&id.run) {
                if there && id.number == 1 {
                    self.pace.handed_out(self.now.boot, self.now.wall.since(live.run.not_before));
                }
                live.dispatch = if there { Dispatch::Sent } else { Dispatch::Unsent };
            }
            if there {
                by_agent.entry(instance).or_default().push(assign);
            }
        }
        for (instance, assignments) in by_agent {
            self.send(instance, ToAgent::Assign(assignments), out);
        }
    }

    pub(super) fn send_cancel(&mut self, attempt: AttemptId, out: &mut Vec<Effect>) {
        let Some(live) = self.live_attempt(attempt) else { return };
        if live.dispatch == Dispatch::Unsent {
            return self.end_unsent(attempt);
        }
        let displaced = live.run.reason == Some(Reason::CancelledByOverlap);
        let reason = if displaced { CancelReason::Overlap } else { CancelReason::Requested };
        if let Some(instance) = live.attempt().map(|attempt| attempt.agent_instance) {
            self.send(instance, ToAgent::Cancel { attempt, reason }, out);
        }
    }

    /// One question at a time, unless its answer is overdue; it confirms all heartbeats received before it was
    /// asked (rule 18). Where the coordinator owes an answer the ledger is asked: etcd without a quorum proves nothing, and
    /// may go on renewing the leader's lease for longer than agents can wait.
    fn ask_for_proof(&mut self, out: &mut Vec<Effect>) {
        let (now, agents) = (self.now.boot, &mut self.agents);
        let is_waiting = !agents.asked.is_empty() && now.since(agents.last_asked) < LONGEST_HEARTBEAT_INTERVAL;
        if is_waiting || agents.unasked.is_empty() {
            return;
        }
        let of_ledger = self.suspended || !agents.asked.is_empty();
        let beats = std::mem::take(&mut agents.unasked);
        agents.last_asked = now;
        if agents.asked.len() >= MAX_QUESTIONS {
            agents.asked.pop_first();
        }
        let id = self.next_proof_id();
        let has_lease = |instance: &AgentInstance| {
            self.agents.by_instance.get(instance).is_some_and(|entry| matches!(entry.lease, AgentLease::Lent { .. }))
        };
        // The ledger renews nothing.
        let renews: Vec<_> = beats.keys().copied().filter(|of| !of_ledger && has_lease(of)).collect();
        let question = if of_ledger {
            self.question_to_ledger(id)
        } else {
            Effect::ProveLeadership(self.candidacy, id, renews.clone())
        };
        out.push(question);
        self.agents.asked.insert(id, Question { asked: now, beats, renews });
    }

    pub(super) fn proved(&mut self, id: ProofId, out: &mut Vec<Effect>) {
        let Some(question) = self.agents.asked.remove(&id) else { return };
        let mut heartbeats = BTreeMap::new();
        while let Some(entry) = self.agents.asked.first_entry().filter(|entry| *entry.key() < id) {
            heartbeats.extend(entry.remove().beats);
        }
        heartbeats.extend(question.beats);
        self.leases_renewed(&question.renews, question.asked, out);
        for (instance, Beat { n, received }) in heartbeats {
            let Some(entry) = self.agents.by_instance.get_mut(&instance) else { continue };
            entry.confirmed = self.now.boot;
            entry.has_right = true;
            let confirmed = ToAgent::HeartbeatConfirmed { n, received_time: received, sent_time: self.now.wall };
            self.send(instance, confirmed, out);
        }
        self.ask_for_proof(out);
    }

    /// Gives up agents whose right to run has certainly ended (rule 19).
    pub(super) fn lose_the_lost(&mut self, out: &mut Vec<Effect>) {
        // A leader that cannot confirm that it is one may have a successor which gives agents the right to go on.
        if self.suspended {
            return;
        }
        while let Some(instance) = self.agents.lost(self.now.boot, self.rights()) {
            self.lose(instance, out);
        }
    }

    fn lose(&mut self, instance: AgentInstance, out: &mut Vec<Effect>) {
        let Some(entry) = self.agents.by_instance.remove(&instance) else { return };
        self.agents.has_lost |= entry.has_right && !entry.draining;
        if let Some(stream) = entry.stream {
            self.agents.by_stream.remove(&stream);
            out.push(Effect::Close(stream, Closed::Protocol("no heartbeat for agent_ttl")));
        }
        if !entry.held.is_empty() {
            out.push(Effect::Alert(Alert::AgentLost { agent: entry.id, attempts: entry.held.len() }));
        }
        for attempt in entry.held {
            let was_sent = self.live_attempt(attempt).is_none_or(|live| live.dispatch != Dispatch::Unsent);
            let end = if was_sent {
                End::AgentLost
            } else {
                End::NotStarted(Reason::NotStarted, "its agent was lost".to_owned())
            };
            self.inbox.push_back(Event::End(attempt, end));
        }
    }
}

pub(super) fn heartbeat_interval(agent_ttl: Duration) -> Duration {
    (agent_ttl / 10).min(LONGEST_HEARTBEAT_INTERVAL)
}

/// An agent that does not say when something was is believed to mean now.
fn or_now(said: Timestamp, now: Timestamp) -> Timestamp {
    if said == Timestamp::MIN { now } else { said }
}
