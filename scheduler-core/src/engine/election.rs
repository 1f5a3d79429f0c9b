//! A node on its way to leading, and off it: candidacy, election, and the loss of what was won (PROTOCOL.md, section 3).

use crate::time::Boot;
use crate::txn::{Call, CallId, Done, Election, Failure};

use super::config::{LedgerClock, MEASURE_EVERY, SURVEY_EVERY};
use super::input::{Alert, CandidacyId, Effect, KeepAliveId};
use super::lease::Lease;
use super::{Engine, Phase};

impl Engine {
    /// Looks at the ledger: who does not lead to know whether it may stand, and a leader at its clock, if it has one.
    pub(super) fn survey(&mut self, out: &mut Vec<Effect>) {
        if self.next_survey().is_some_and(|at| at <= self.now.boot) {
            let id = CallId(self.next_number());
            self.candidacy.surveys(id, self.now.boot);
            out.push(Effect::Call(id, Call::Survey));
        }
    }

    pub(super) fn next_survey(&self) -> Option<Boot> {
        let looks = match &self.phase {
            Phase::Standby => true,
            Phase::Leading(_) => self.config.ledger_clock == LedgerClock::ItsOwn && self.leaving.is_none(),
            Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => false,
        };
        looks.then(|| self.candidacy.next_survey())
    }

    /// Takes the answer to a survey; whether it was one.
    pub(super) fn surveyed(&mut self, id: CallId, result: &Result<Done, Failure>, out: &mut Vec<Effect>) -> bool {
        let pause = if self.is_leading() { MEASURE_EVERY } else { SURVEY_EVERY };
        let was_one = self.candidacy.surveyed(id, result, self.now.boot, pause, &mut self.clock);
        if was_one {
            out.extend(self.clock.judge_machine().map(|machine| Effect::Alert(Alert::MachineClock(machine))));
        }
        was_one
    }

    /// Of a node that does not lead: stands for election while nothing is against it.
    pub(super) fn stand(&mut self, out: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Standby) {
            return;
        }
        let now = self.now.boot;
        match self.candidacy.may_stand(self.lease.is_some(), now) {
            None => {}
            Some(Ok(())) => {
                self.bar = None;
                if self.lease.is_none() && !self.lets_others_lead() && self.candidacy.begins(now) {
                    let candidacy = CandidacyId(self.next_number());
                    self.lease = Some(Lease::new(candidacy, self.config.lease, now));
                    out.push(Effect::Campaign(candidacy));
                }
            }
            Some(Err(bar)) => {
                self.withdraw(out);
                let is_new = |told: &super::Bar| std::mem::discriminant(told) != std::mem::discriminant(&bar);
                if self.bar.as_ref().is_none_or(is_new) {
                    self.bar = Some(bar.clone());
                    out.push(Effect::Alert(Alert::DoesNotStand(bar)));
                }
            }
        }
    }

    /// Gives the candidacy up, or the key that it has won.
    pub(super) fn withdraw(&mut self, out: &mut Vec<Effect>) {
        if let Some(lease) = self.lease.take() {
            out.push(Effect::Resign(lease.candidacy));
        }
    }

    pub(super) fn elected(&mut self, candidacy: CandidacyId, election: Option<Election>) {
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.candidacy == candidacy) else { return };
        if matches!(self.phase, Phase::Standby) {
            lease.election = election;
            self.waiting.begin_anew(self.now.boot);
            self.phase = Phase::TakingOver { call: None, retry_at: self.now.boot };
        }
    }

    pub(super) fn unelected(&mut self, candidacy: CandidacyId, out: &mut Vec<Effect>) {
        if self.lease.as_ref().is_some_and(|lease| lease.candidacy == candidacy) {
            self.depose("the coordinator says so".to_owned(), out);
        }
    }

    pub(super) fn renew_lease(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        if self.lease.as_ref().is_some_and(|lease| lease.is_due(now)) {
            let id = KeepAliveId(self.next_number());
            if let Some(lease) = &mut self.lease {
                lease.sends(id, now);
                out.push(Effect::KeepAlive(lease.candidacy, id));
            }
        }
    }

    /// Whether this node certainly leads at this instant, as far as it can know without asking.
    pub(super) fn is_confirmed(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_confirmed(self.now.boot))
    }

    /// To be compared on every input before any effect (rule 13).
    pub(super) fn look_at_lease(&mut self, out: &mut Vec<Effect>) {
        let confirmed = self.is_confirmed();
        let Phase::Leading(term) = &mut self.phase else { return };
        if term.suspended && confirmed {
            out.push(Effect::Alert(Alert::Resumed));
            term.resume(out);
        } else if !term.suspended && !confirmed {
            out.push(Effect::Alert(Alert::Suspended));
            term.suspended = true;
        }
    }

    /// Somebody else leads, or soon will.
    pub(super) fn depose(&mut self, why: String, out: &mut Vec<Effect>) {
        let led = self.is_leading();
        self.end_term(out);
        self.loss = None;
        self.withdraw(out);
        // A take-over that was under way is given up too: it would end the term of who leads now.
        self.phase = Phase::Standby;
        self.candidacy.look_anew(self.now.boot);
        if !led {
            return;
        }
        out.push(Effect::Alert(Alert::Deposed(why.clone())));
        if self.config.lease.is_none() {
            self.end(out);
            out.push(Effect::Quit(why));
        }
    }
}
