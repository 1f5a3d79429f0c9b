//! Agents that come to a node before its take-over can commit, as while the ledger is away: an elected node welcomes them without
//! an epoch and confirms their heartbeats by its key, so that what they run goes on, and does nothing more (PROTOCOL.md,
//! rule 12).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::agent::{FromAgent, Hello, StreamId, ToAgent, Welcome};
use crate::ids::AgentInstance;
use crate::time::Boot;

use super::Engine;
use super::agents::Beat;
use super::input::{Effect, LoanId, ProofId};
use super::joins::{LONGEST_HEARTBEAT_INTERVAL, MAX_QUESTIONS, heartbeat_interval};

/// A take-over is done within this, or something keeps it.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Waiting {
    /// Since when this node is elected.
    since: Boot,
    pub(super) hellos: BTreeMap<StreamId, Hello>,
    /// Those that were welcomed since this node's election.
    welcomed: BTreeSet<StreamId>,
    /// Heartbeats received since the last question was asked.
    unasked: BTreeMap<StreamId, Beat>,
    asked: BTreeMap<ProofId, BTreeMap<StreamId, Beat>>,
    last_asked: Boot,
}

impl Waiting {
    pub(super) fn closed(&mut self, stream: StreamId) {
        self.hellos.remove(&stream);
        self.welcomed.remove(&stream);
        self.unasked.remove(&stream);
        for beats in self.asked.values_mut() {
            beats.remove(&stream);
        }
    }

    /// The leases of these agents may not have been renewed with this question.
    pub(super) fn leases_unrenewed(&mut self, question: ProofId, instances: &[AgentInstance]) {
        let is_of =
            |stream: &StreamId| self.hellos.get(stream).is_some_and(|hello| instances.contains(&hello.instance));
        for beats in self.asked.range_mut(..=question).map(|(_, beats)| beats) {
            beats.retain(|stream, _| !is_of(stream));
        }
    }

    /// This node is elected: what was said under an earlier election means nothing.
    pub(super) fn begin_anew(&mut self, now: Boot) {
        let hellos = std::mem::take(&mut self.hellos);
        *self = Self { hellos, since: now, ..Self::default() };
    }

    /// When those who wait are welcomed, if the take-over takes that long.
    pub(super) fn next_welcome(&self) -> Option<Boot> {
        (self.welcomed.len() < self.hellos.len()).then(|| self.since.saturating_add(PATIENCE))
    }
}

impl Engine {
    /// Welcomes those who wait, if this node is elected.
    pub(super) fn welcome_early(&mut self, out: &mut Vec<Effect>) {
        let is_late = self.waiting.next_welcome().is_some_and(|at| at <= self.now.boot);
        if !is_late || !self.is_taking_over() {
            return;
        }
        let Some(candidacy) = self.lease.as_ref().map(|lease| lease.candidacy) else { return };
        let ttl = self.config.agent_ttl;
        // The ledger has to know before of what agents are told; where it does not, they wait for the take-over.
        if !self.candidacy.may_tell(ttl) {
            self.waiting.since = self.now.boot;
            return;
        }
        let unwelcomed = |stream: &&StreamId| !self.waiting.welcomed.contains(*stream);
        let streams: Vec<_> = self.waiting.hellos.keys().filter(unwelcomed).copied().collect();
        for stream in streams {
            self.waiting.welcomed.insert(stream);
            if self.config.lease.is_some() {
                let loan = LoanId(self.next_number());
                let instance = self.waiting.hellos[&stream].instance;
                out.push(Effect::LendLease(candidacy, loan, instance, ttl));
            }
            let heartbeat_interval = heartbeat_interval(ttl);
            let welcome = Welcome { epoch: None, agent_ttl: ttl, heartbeat_interval, server_time: self.now.wall };
            out.push(Effect::Send(stream, ToAgent::Welcome(welcome)));
        }
    }

    pub(super) fn heard_early(&mut self, stream: StreamId, message: &FromAgent, out: &mut Vec<Effect>) {
        let FromAgent::Heartbeat { n, .. } = message else { return };
        if !self.waiting.welcomed.contains(&stream) {
            return;
        }
        self.waiting.unasked.insert(stream, Beat { n: *n, received: self.now.wall });
        self.ask_early(out);
    }

    /// One question at a time, as in a term.
    fn ask_early(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        let is_waiting =
            !self.waiting.asked.is_empty() && now.since(self.waiting.last_asked) < LONGEST_HEARTBEAT_INTERVAL;
        let Some(candidacy) = self.lease.as_ref().map(|lease| lease.candidacy) else { return };
        if is_waiting || self.waiting.unasked.is_empty() {
            return;
        }
        let id = ProofId(self.next_number());
        let waiting = &mut self.waiting;
        waiting.last_asked = now;
        let beats = std::mem::take(&mut waiting.unasked);
        let instance = |stream: &StreamId| waiting.hellos.get(stream).map(|hello| hello.instance);
        let is_lent = self.config.lease.is_some();
        let renewing = beats.keys().filter(|_| is_lent).filter_map(instance).collect();
        if waiting.asked.len() >= MAX_QUESTIONS {
            waiting.asked.pop_first();
        }
        waiting.asked.insert(id, beats);
        out.push(Effect::ProveLeadership(candidacy, id, renewing));
    }

    pub(super) fn proved_early(&mut self, id: ProofId, out: &mut Vec<Effect>) {
        if !self.waiting.asked.contains_key(&id) {
            return;
        }
        let mut beats = BTreeMap::new();
        while let Some(entry) = self.waiting.asked.first_entry().filter(|entry| *entry.key() <= id) {
            beats.extend(entry.remove());
        }
        for (stream, Beat { n, received }) in beats {
            let confirmed = ToAgent::HeartbeatConfirmed { n, received_time: received, sent_time: self.now.wall };
            out.push(Effect::Send(stream, confirmed));
        }
        self.ask_early(out);
    }
}
