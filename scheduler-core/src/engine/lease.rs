//! The lease on which this node's key stands: counted from *sending* the keep-alive, by the boot-time clock, so that this
//! node knows before anybody else that it may have ended (PROTOCOL.md, rule 13).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Boot;
use crate::txn::Election;

use super::input::{CandidacyId, KeepAliveId};

/// Keep-alives that may be without an answer; older ones are given up.
const MAX_UNANSWERED: usize = 16;

pub(super) struct Lease {
    pub(super) candidacy: CandidacyId,
    /// What the candidacy was won by, once it is.
    pub(super) election: Option<Election>,
    /// `None`: as long as the process (rule 16).
    lasts: Option<Duration>,
    /// Confirmed until then; `None`: never yet.
    ends: Option<Boot>,
    sent: BTreeMap<KeepAliveId, Boot>,
    next: Boot,
}

impl Lease {
    pub(super) fn new(candidacy: CandidacyId, lasts: Option<Duration>, now: Boot) -> Self {
        Self { candidacy, election: None, lasts, ends: None, sent: BTreeMap::new(), next: now }
    }

    /// Whether it certainly has not ended, as far as time goes: the coordinator may still end it early.
    pub(super) fn is_confirmed(&self, now: Boot) -> bool {
        self.lasts.is_none() || self.ends.is_some_and(|ends| now < ends)
    }

    pub(super) fn is_due(&self, now: Boot) -> bool {
        self.lasts.is_some() && self.next <= now
    }

    pub(super) fn sends(&mut self, id: KeepAliveId, now: Boot) {
        if self.sent.len() >= MAX_UNANSWERED {
            self.sent.pop_first();
        }
        self.sent.insert(id, now);
        self.next = now.saturating_add(self.lasts.unwrap_or_default() / 3);
    }

    /// The coordinator has renewed it at some instant after the keep-alive was sent.
    pub(super) fn kept_alive(&mut self, id: KeepAliveId) {
        let (Some(sent), Some(lasts)) = (self.sent.get(&id), self.lasts) else { return };
        let ends = sent.saturating_add(lasts);
        self.ends = Some(self.ends.map_or(ends, |before| before.max(ends)));
        self.sent = self.sent.split_off(&KeepAliveId(id.0 + 1));
    }

    pub(super) fn next_wakeup(&self) -> Option<Boot> {
        self.lasts.map(|_| self.next)
    }
}
