//! The agents as the leader knows them: who is there, what they hold, and how long they may go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::agent::{Cordon, Hello, StreamId};
use crate::ids::{AgentId, AgentInstance, AttemptId};
use crate::time::{Boot, Skew, Timestamp};

use super::agent_clock::AgentClock;
use super::input::ProofId;
use super::leases::AgentLease;
use super::queue::Class;

pub(super) struct AgentEntry {
    pub(super) id: AgentId,
    /// What it said on its latest stream; `None` for an instance known only by its attempts in the ledger.
    pub(super) hello: Option<Hello>,
    pub(super) stream: Option<StreamId>,
    /// Its Inventory has been taken on this stream.
    pub(super) joined: bool,
    /// When the latest stream came.
    pub(super) connected: Boot,
    pub(super) draining: bool,
    /// Somebody asked it to: it is told again on its next stream.
    pub(super) asked_to_drain: bool,
    /// Its unended attempts.
    pub(super) held: BTreeSet<AttemptId>,
    /// Attempts that it executes though the ledger has ended them or never had them: they take up room until
    /// it says that they are gone.
    pub(super) foreign: BTreeSet<AttemptId>,
    /// When the leader first knew of it in this term, or last confirmed a heartbeat: its right to run, and
    /// what its loss is counted from.
    pub(super) confirmed: Boot,
    /// Whether it has the right to run as far as this term knows.
    pub(super) has_right: bool,
    pub(super) last_heartbeat: Boot,
    pub(super) clock: AgentClock,
    /// At the coordinator.
    pub(super) lease: AgentLease,
}

impl AgentEntry {
    pub(super) fn unseen(id: AgentId, now: Boot, lease: AgentLease) -> Self {
        Self {
            id,
            hello: None,
            stream: None,
            joined: false,
            connected: now,
            draining: false,
            asked_to_drain: false,
            held: BTreeSet::new(),
            foreign: BTreeSet::new(),
            confirmed: now,
            has_right: false,
            last_heartbeat: now,
            clock: AgentClock::default(),
            lease,
        }
    }

    pub(super) fn slots(&self) -> usize {
        self.hello.as_ref().map_or(0, |hello| hello.slots as usize)
    }

    fn free(&self) -> usize {
        self.slots().saturating_sub(self.held.len() + self.foreign.len())
    }

    fn offers(&self, task_type: &str) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.task_types.iter().any(|offered| offered.name == task_type))
    }

    fn fits(&self, class: &Class) -> bool {
        self.hello.as_ref().is_some_and(|hello| {
            hello.queues.contains(&class.queue)
                && self.offers(&class.task_type)
                && class.selector.iter().all(|(key, value)| hello.labels.get(key) == Some(value))
        })
    }

    /// Whether it would take new work now, if it has room.
    fn is_open(&self, now: Boot, fresh: Duration) -> bool {
        self.stream.is_some()
            && self.joined
            && self.has_right
            && self.lease.is_good(now)
            && !(self.draining || self.asked_to_drain)
            && now.since(self.last_heartbeat) <= fresh
    }
}

/// Why nothing can be handed out for a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unplaceable {
    UnknownTaskType,
    NoAgent,
    AllBusy,
}

/// A heartbeat that waits for its confirmation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Beat {
    pub(super) n: u64,
    pub(super) received: Timestamp,
}

/// Whether this node leads, asked for the sake of heartbeats, whose agents' leases are renewed on the way.
pub(super) struct Question {
    pub(super) asked: Boot,
    pub(super) beats: BTreeMap<AgentInstance, Beat>,
    pub(super) renews: Vec<AgentInstance>,
}

#[derive(Default)]
pub(super) struct Agents {
    pub(super) by_instance: BTreeMap<AgentInstance, AgentEntry>,
    pub(super) by_stream: BTreeMap<StreamId, AgentInstance>,
    /// Agents that get no new work, through restarts too.
    pub(super) cordons: BTreeMap<AgentId, Cordon>,
    /// Heartbeats received since the question under way was asked.
    pub(super) unasked: BTreeMap<AgentInstance, Beat>,
    /// Questions to the coordinator under way, and the heartbeats that came before each: its answer confirms
    /// them, and those of the questions before it. Not every question is answered.
    pub(super) asked: BTreeMap<ProofId, Question>,
    pub(super) last_asked: Boot,
    /// Those for whom a lease is to be asked for.
    pub(super) due_loans: BTreeSet<AgentInstance>,
    /// Until when those that were asked for may be without an answer.
    pub(super) unanswered_loans: BTreeSet<(Boot, AgentInstance)>,
    /// Agents that could not connect to this node, and when each said so last, to another node.
    unreached: BTreeMap<AgentId, Boot>,
    /// One that had the right to run in this term, and did not say that it would leave, is lost.
    pub(super) has_lost: bool,
}

/// What an agent has said of a leader that it could not reach holds for so long, if it does not come.
const UNREACHED_FOR: Duration = Duration::from_secs(10);

/// How long agents that are not heard of may go on (rule 19).
#[derive(Clone, Copy)]
pub(super) struct Rights {
    /// What this leader tells its agents.
    pub(super) told: Duration,
    /// When every right has ended that another leader can have given.
    pub(super) others_ended: Boot,
}

impl Rights {
    /// When that of an agent has ended whose last heartbeat was confirmed then.
    fn ended(self, confirmed: Boot) -> Boot {
        confirmed.saturating_add(self.told).max(self.others_ended)
    }
}

impl Agents {
    /// Another one says that it cannot connect: whether most of those that are known cannot. A stream that is there and says
    /// nothing may be one that is cut.
    pub(super) fn is_unreached_by_most(&mut self, agent: AgentId, now: Boot, fresh: Duration) -> bool {
        self.unreached.insert(agent, now);
        let is_heard = |entry: &AgentEntry| entry.stream.is_some() && now.since(entry.last_heartbeat) <= fresh;
        let is_here = |id: &AgentId| self.by_instance.values().any(|entry| entry.id == *id && is_heard(entry));
        self.unreached.retain(|id, said| now.since(*said) < UNREACHED_FOR && !is_here(id));
        let known = self.by_instance.values().map(|entry| &entry.id).chain(self.unreached.keys());
        let known: BTreeSet<_> = known.collect();
        self.unreached.len() * 2 > known.len()
    }

    /// Whether all are lost that there were.
    pub(super) fn are_lost(&self) -> bool {
        self.has_lost && self.by_instance.is_empty()
    }

    pub(super) fn by_stream(&mut self, stream: StreamId) -> Option<(AgentInstance, &mut AgentEntry)> {
        let instance = *self.by_stream.get(&stream)?;
        self.by_instance.get_mut(&instance).map(|entry| (instance, entry))
    }

    /// The agent with the most room of those that take work of the class; of equals the first by instance.
    pub(super) fn place(&self, class: &Class, now: Boot, fresh: Duration) -> Result<AgentInstance, Unplaceable> {
        let mut best: Option<(usize, AgentInstance)> = None;
        let (mut offered, mut fitting) = (false, false);
        for (instance, entry) in &self.by_instance {
            offered |= entry.stream.is_some() && entry.offers(&class.task_type);
            if !entry.is_open(now, fresh) || !entry.fits(class) || self.cordons.contains_key(&entry.id) {
                continue;
            }
            fitting = true;
            let free = entry.free();
            if free > best.map_or(0, |(most, _)| most) {
                best = Some((free, *instance));
            }
        }
        match best {
            Some((_, instance)) => Ok(instance),
            None if fitting => Err(Unplaceable::AllBusy),
            None if offered => Err(Unplaceable::NoAgent),
            None => Err(Unplaceable::UnknownTaskType),
        }
    }

    pub(super) fn skews(&self) -> BTreeMap<AgentId, Skew> {
        let connected = self.by_instance.values().filter(|entry| entry.stream.is_some());
        connected.filter_map(|entry| Some((entry.id.clone(), entry.clock.skew()?))).collect()
    }

    /// How much more work of the class an agent takes.
    pub(super) fn room(&self, instance: AgentInstance, class: &Class, now: Boot, fresh: Duration) -> usize {
        let entry = self.by_instance.get(&instance);
        let takes = |entry: &&AgentEntry| {
            entry.is_open(now, fresh) && entry.fits(class) && !self.cordons.contains_key(&entry.id)
        };
        entry.filter(takes).map_or(0, AgentEntry::free)
    }

    /// Another instance of the id that beats: it has a stream, or had one a moment ago.
    pub(super) fn beating_rival(&self, id: &AgentId, instance: AgentInstance, now: Boot, fresh: Duration) -> bool {
        self.by_instance.iter().any(|(other, entry)| {
            *other != instance && entry.id == *id && entry.hello.is_some() && now.since(entry.last_heartbeat) <= fresh
        })
    }

    /// When the first agent is certainly gone, if none is heard of again.
    pub(super) fn first_loss(&self, rights: Rights) -> Option<Boot> {
        let losable = self.by_instance.values().filter(|entry| entry.lease.is_gone());
        losable.map(|entry| rights.ended(entry.confirmed)).min()
    }

    /// An instance whose right to run has certainly ended, and its lease too.
    pub(super) fn lost(&self, now: Boot, rights: Rights) -> Option<AgentInstance> {
        self.by_instance
            .iter()
            .find(|(_, entry)| entry.lease.is_gone() && now >= rights.ended(entry.confirmed))
            .map(|(instance, _)| *instance)
    }
}
