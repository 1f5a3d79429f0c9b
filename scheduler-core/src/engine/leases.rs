//! Agents' leases: a leader lends one to every agent it knows of, whose locks stand on it, renews it with the proofs that
//! confirm the agent's heartbeats, and gives no agent up before its lease has ended (PROTOCOL.md, rules 18 and 19). A node
//! that is alone lends none.

use std::time::Duration;

use crate::ids::AgentInstance;
use crate::time::Boot;

use super::input::{Effect, LoanId, ProofId};
use super::term::Term;

/// A loan that is not answered within this is asked for again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a leader knows of an agent's lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AgentLease {
    /// Of a node that is alone.
    NotNeeded,
    /// To be asked for. An earlier leader may have lent one.
    Due,
    /// Asked for, then, and not answered yet.
    Asked(LoanId, Boot),
    /// How long it lasts after a renewal, and until when it certainly does after the last.
    Lent {
        lasts: Duration,
        until: Boot,
    },
    Ended,
}

impl AgentLease {
    pub(super) fn begin(in_cluster: bool) -> Self {
        if in_cluster { Self::Due } else { Self::NotNeeded }
    }

    /// Whether no lock of the agent's can be there.
    pub(super) fn is_gone(self) -> bool {
        match self {
            Self::NotNeeded | Self::Ended => true,
            Self::Due | Self::Asked(..) | Self::Lent { .. } => false,
        }
    }

    /// Whether what stands on it certainly lasts, unless the coordinator ends it early.
    pub(super) fn is_good(self, now: Boot) -> bool {
        match self {
            Self::NotNeeded => true,
            Self::Lent { until, .. } => now < until,
            Self::Due | Self::Asked(..) | Self::Ended => false,
        }
    }

    /// By a call that was made then.
    pub(super) fn renewed(&mut self, asked: Boot) {
        if let Self::Lent { lasts, until } = self {
            *until = asked.saturating_add(*lasts).max(*until);
        }
    }
}

impl Term {
    /// Asks for the leases that agents lack. Without a confirmed lease of its own, this node has none to give.
    pub(super) fn lend_leases(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        while let Some((at, instance)) = self.agents.unanswered_loans.first().copied().filter(|(at, _)| *at <= now) {
            self.agents.unanswered_loans.remove(&(at, instance));
            if let Some(entry) = self.agents.by_instance.get_mut(&instance)
                && matches!(entry.lease, AgentLease::Asked(..))
            {
                entry.lease = AgentLease::Due;
                self.agents.due_loans.insert(instance);
            }
        }
        if self.suspended {
            return;
        }
        for instance in std::mem::take(&mut self.agents.due_loans) {
            let id = LoanId(self.next_call_id().0);
            let Some(entry) = self.agents.by_instance.get_mut(&instance) else { continue };
            entry.lease = AgentLease::Asked(id, now);
            self.agents.unanswered_loans.insert((now.saturating_add(PATIENCE), instance));
            out.push(Effect::LendLease(self.candidacy, id, instance, self.config.agent_ttl));
        }
    }

    /// When the next loan is due that has not been answered.
    pub(super) fn next_loan(&self) -> Option<Boot> {
        self.agents.unanswered_loans.first().map(|(at, _)| *at)
    }

    pub(super) fn lease_is_due(&mut self, instance: AgentInstance) {
        let Some(entry) = self.agents.by_instance.get_mut(&instance) else { return };
        if matches!(entry.lease, AgentLease::Due | AgentLease::Ended) {
            entry.lease = AgentLease::Due;
            self.agents.due_loans.insert(instance);
        }
    }

    pub(super) fn lease_lent(&mut self, id: LoanId, instance: AgentInstance, lasts: Duration) {
        if let Some(entry) = self.agents.by_instance.get_mut(&instance)
            && let AgentLease::Asked(loan, asked) = entry.lease
            && loan == id
        {
            entry.lease = AgentLease::Lent { lasts, until: asked.saturating_add(lasts) };
            self.lock_all_of(instance);
        }
    }

    /// What was held back because a lease might have ended is sent.
    pub(super) fn leases_renewed(&mut self, instances: &[AgentInstance], asked: Boot, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        for instance in instances {
            let Some(entry) = self.agents.by_instance.get_mut(instance) else { continue };
            let was_good = entry.lease.is_good(now);
            entry.lease.renewed(asked);
            if !was_good && entry.joined {
                let held: Vec<_> = entry.held.iter().copied().collect();
                self.send_held_back(&held, out);
            }
        }
    }

    /// An agent that beats gets another; one that does not is given up when its right has ended too. A stream alone is no
    /// life: it may be half open.
    pub(super) fn leases_ended(&mut self, instances: Vec<AgentInstance>) {
        let (now, fresh) = (self.now.boot, self.freshness());
        for instance in instances {
            self.locks.forget(instance);
            let Some(entry) = self.agents.by_instance.get_mut(&instance) else { continue };
            if entry.lease == AgentLease::NotNeeded {
                continue;
            }
            entry.lease = AgentLease::Ended;
            if entry.stream.is_some() && now.since(entry.last_heartbeat) <= fresh {
                self.lease_is_due(instance);
            }
        }
    }

    /// Their heartbeats are not confirmed by the answer: whoever confirms one has renewed the lease before (rule 18).
    pub(super) fn leases_unrenewed(&mut self, question: ProofId, instances: &[AgentInstance]) {
        for question in self.agents.asked.range_mut(..=question).map(|(_, question)| question) {
            question.beats.retain(|instance, _| !instances.contains(instance));
            question.renews.retain(|instance| !instances.contains(instance));
        }
    }
}
