//! An election on leases as etcd has it: whoever came first of those whose lease lasts leads. No time passes in it, and
//! nothing is lost: that is what the calls around it are for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use scheduler_core::engine::CandidacyId;

use crate::clock::Instant;

/// A process's candidacy: its key, and the lease that the key stands on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    pub server: usize,
    pub generation: u32,
    pub candidacy: CandidacyId,
}

#[derive(Default)]
pub struct Election {
    pub(crate) leader: Option<Candidate>,
    pub(crate) waiting: VecDeque<Candidate>,
    /// When each lease ends; `None`: it has, and its key is gone.
    leases: BTreeMap<Candidate, Option<Instant>>,
    /// The revision that made each key.
    created: BTreeMap<Candidate, i64>,
    /// Of the last change.
    revision: i64,
}

/// What becomes of a keep-alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Renewal {
    Renewed,
    /// The lease has ended.
    Over,
    /// The campaign is still on its way.
    Unknown,
}

impl Election {
    /// Takes a campaign; whether its lease is a new one.
    pub fn stand(&mut self, candidate: Candidate, ends: Instant) -> bool {
        self.waiting.push_back(candidate);
        self.revision += 1;
        self.created.insert(candidate, self.revision);
        self.leases.insert(candidate, Some(ends)).is_none()
    }

    /// Makes the one who came first the leader, if there is none.
    pub fn elect(&mut self) -> Option<Candidate> {
        if self.leader.is_none() {
            self.leader = self.waiting.pop_front();
            return self.leader;
        }
        None
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision that made its key.
    pub fn created(&self, candidate: Candidate) -> Option<i64> {
        self.created.get(&candidate).copied()
    }

    /// It is built anew: its revisions begin again.
    pub fn forget(&mut self) {
        self.revision = 0;
    }

    pub fn leader(&self) -> Option<Candidate> {
        self.leader
    }

    /// The servers besides `server` that stand or lead.
    pub fn others(&self, server: usize) -> BTreeSet<usize> {
        let all = self.leader.iter().chain(&self.waiting).map(|candidate| candidate.server);
        all.filter(|other| *other != server).collect()
    }

    pub fn leads(&self, candidate: Candidate) -> bool {
        self.leader == Some(candidate)
    }

    pub fn renew(&mut self, candidate: Candidate, until: Instant) -> Renewal {
        match self.leases.get_mut(&candidate) {
            None => Renewal::Unknown,
            Some(None) => Renewal::Over,
            Some(Some(ends)) => {
                *ends = (*ends).max(until);
                Renewal::Renewed
            }
        }
    }

    /// When the lease ends, while it lasts.
    pub fn lasts_until(&self, candidate: Candidate) -> Option<Instant> {
        self.leases.get(&candidate).copied().flatten()
    }

    pub fn has_ended(&self, candidate: Candidate) -> bool {
        self.leases.get(&candidate) == Some(&None)
    }

    /// The lease is gone, with the key that stands on it; whether that was the leader's. `None`: it was gone already.
    pub fn end(&mut self, candidate: Candidate) -> Option<bool> {
        self.leases.insert(candidate, None).flatten()?;
        self.revision += 1;
        self.waiting.retain(|waiting| *waiting != candidate);
        Some(self.leader.take_if(|leader| *leader == candidate).is_some())
    }
}
