//! Giving leadership up: on a graceful stop, because a client asks for it, or because others can do better
//! (PROTOCOL.md, rules 14 and 15).

use crate::agent::Closed;
use crate::ids::{AgentId, Epoch, NodeId};
use crate::time::Boot;

use super::config::{LEAVE_PATIENCE, LEDGER_PATIENCE};
use super::input::{Alert, Effect, RequestHandle};
use super::loss::Loss;
use super::request::{Answer, Away, Refusal};
use super::{Engine, Phase};

/// A leader that begins nothing new and goes when what it has begun is done.
pub(super) struct Leaving {
    /// Not later than this.
    until: Boot,
    /// The process ends.
    for_good: bool,
    asked_by: Option<(RequestHandle, Epoch)>,
}

impl Leaving {
    pub(super) fn until(&self) -> Boot {
        self.until
    }
}

impl Engine {
    /// The process is about to end.
    pub(super) fn stop(&mut self, out: &mut Vec<Effect>) {
        let asked_by = self.leaving.take().and_then(|leaving| leaving.asked_by);
        self.leave(true, asked_by, Away::Stopping, out);
    }

    /// A client wants another node to lead; `meant` is the one that it takes for the leader.
    pub(super) fn step_down(&mut self, handle: RequestHandle, meant: Option<NodeId>, out: &mut Vec<Effect>) {
        let Phase::Leading(term) = &self.phase else { return };
        let epoch = term.epoch;
        let refusal = if self.leaving.is_some() {
            Refusal::Unavailable(Away::HandsOver)
        } else if let Some(meant) = meant.filter(|meant| *meant != self.config.node) {
            Refusal::AnotherLeads { meant, leader: self.config.node.clone() }
        } else if self.candidacy.others_since().is_none() {
            Refusal::NobodyElseStands
        } else {
            return self.leave(false, Some((handle, epoch)), Away::HandsOver, out);
        };
        out.push(Effect::Answer(handle, Err(refusal)));
    }

    fn leave(&mut self, for_good: bool, asked_by: Option<(RequestHandle, Epoch)>, away: Away, out: &mut Vec<Effect>) {
        if let Phase::Leading(term) = &mut self.phase {
            term.stop(away, out);
        }
        let until = self.now.boot.saturating_add(LEAVE_PATIENCE);
        self.leaving = Some(Leaving { until, for_good, asked_by });
    }

    /// Goes, when everything is answered, or has taken too long.
    pub(super) fn finish_leaving(&mut self, out: &mut Vec<Effect>) {
        let Some(leaving) = &self.leaving else { return };
        let waits = matches!(&self.phase, Phase::Leading(term) if !term.is_settled());
        if waits && self.now.boot < leaving.until {
            return;
        }
        let Some(leaving) = self.leaving.take() else { return };
        self.resign("it was asked to", out);
        if let Some((handle, epoch)) = leaving.asked_by {
            let node = self.config.node.clone();
            out.push(Effect::Answer(handle, Ok(Answer::SteppedDown { node, epoch })));
        }
        if leaving.for_good {
            self.end(out);
        }
    }

    /// A leader that cannot reach the ledger gives way to somebody who does (rule 15). Who stands reaches it; where
    /// nobody stands, nobody does. When the ledger comes back, others may see it first: that is not enough.
    pub(super) fn give_way(&mut self, out: &mut Vec<Effect>) {
        if self.gives_way_at().is_some_and(|at| at <= self.now.boot) {
            self.resign("the ledger does not answer", out);
        }
    }

    pub(super) fn gives_way_at(&self) -> Option<Boot> {
        match &self.phase {
            Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Leading(_) => {
                let since = self.reach.unanswered_since()?.max(self.candidacy.others_since()?);
                Some(since.saturating_add(LEDGER_PATIENCE))
            }
            Phase::Standby | Phase::Ended => None,
        }
    }

    /// A leader that most agents cannot reach gives way to somebody whom they may reach (rule 15).
    pub(super) fn unreached(&mut self, agent: AgentId, out: &mut Vec<Effect>) {
        let Phase::Leading(term) = &mut self.phase else { return };
        let fresh = term.freshness();
        if term.agents.is_unreached_by_most(agent, self.now.boot, fresh) && self.candidacy.others_since().is_some() {
            self.resign("most agents cannot reach it", out);
        }
    }

    /// A leader that has lost all its agents gives way, too: whoever reaches the others neither can tell nobody of it. Where
    /// they are dead that costs nothing, and is not repeated: the next leader has none to lose.
    pub(super) fn forsaken(&mut self, out: &mut Vec<Effect>) {
        let Phase::Leading(term) = &self.phase else { return };
        if term.is_forsaken() && self.candidacy.others_since().is_some() {
            self.resign("it has lost all its agents", out);
        }
    }

    fn resign(&mut self, why: &'static str, out: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Standby | Phase::Ended) {
            out.push(Effect::Alert(Alert::Resigned(why)));
        }
        self.end_term(out);
        self.loss = None;
        self.phase = Phase::Standby;
        self.withdraw(out);
        self.candidacy.look_anew(self.now.boot);
        self.candidacy.stand_back(self.now.boot);
    }

    /// Never again: whoever waits here waits for nothing.
    pub(super) fn end(&mut self, out: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        for (_, handle, _) in std::mem::take(&mut self.early) {
            out.push(Effect::Answer(handle, Err(Refusal::Unavailable(Away::Stopping))));
        }
        for stream in std::mem::take(&mut self.waiting).hellos.into_keys() {
            out.push(Effect::Close(stream, Closed::NotLeading));
        }
    }

    /// Forgets everything: what is not in the ledger was never promised to anybody.
    pub(super) fn end_term(&mut self, out: &mut Vec<Effect>) {
        let Phase::Leading(mut term) = std::mem::replace(&mut self.phase, Phase::Standby) else { return };
        self.loss = Loss::left_by(&mut term);
        self.stats = term.stats;
        self.conflicts.clone_from(&term.conflicts);
        self.numbers = term.call_count();
        self.begin_warming();
        for stream in term.agents.by_stream.keys() {
            out.push(Effect::Close(*stream, Closed::NotLeading));
        }
        for (handle, refusal) in term.unanswered() {
            out.push(Effect::Answer(handle, Err(refusal)));
        }
    }
}
