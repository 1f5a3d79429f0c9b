//! The engine: everything the leader decides, as a state machine without I/O.
//!
//! [`Engine::handle`] takes the time and one input and says what is to be done; [`Engine::next_wakeup`]
//! says when to come back if nothing happens. The shell round it runs the effects and feeds their answers
//! back. The engine never blocks, never reads a clock, and draws its ids from a seed, so the same inputs
//! always give the same effects.
//!
//! How it is laid out: a node's way to leading and off it is `candidacy` (may it stand?), `election`, `lease`, `reach`
//! (does the ledger answer?), `clock` and `measured` (what time is it?), `warming` (the jobs in `memory` before it leads),
//! `take_over` and `filling` (the term's memory), `suspension`, `hand_over` and `burial` (of others). `term` is a leader's memory
//! and the pump that makes transactions. What goes on in a term: `fires`, `hand_out`, `attempts`, `cancels`, `inbox` (agents' reports),
//! `joins`, `leases` and `locking` (with its `lock_table`); `requests` with their `numbers`, and `commands` with `plan`, `change`,
//! `calendars`, `triggers`, `backfills`, `status` and `upcoming`; `commits` takes the ledger's answers, `refused` those to bad data, with
//! `parts` and `reload`, and `marks` and `loss` see to a ledger that has gone back. `decide`, `queue`, `agents`, `jobs`, `agent_clock`,
//! `live` and `batch` are the pieces.
//!
//! Memory runs ahead of the ledger by the transactions in flight; whatever leaves the engine (an answer, an
//! Assign, an Ack) waits for the commit it depends on. Transactions in flight share no job. While the node cannot
//! confirm that it leads, it is suspended: it decides no fires and hands nothing out.

mod agent_clock;
mod agents;
mod attempts;
mod audits;
mod backfills;
mod batch;
mod burial;
mod calendars;
mod cancels;
mod candidacy;
mod change;
mod clock;
mod commands;
mod commits;
mod config;
mod cordons;
mod decide;
mod election;
mod filling;
mod fires;
mod hand_out;
mod hand_over;
mod inbox;
mod input;
mod jobs;
mod joins;
mod lease;
mod leases;
mod live;
mod lock_table;
mod locking;
mod locks;
mod loss;
mod marks;
mod measured;
mod memory;
mod numbers;
mod pace;
mod parts;
mod plan;
mod publication;
mod purges;
mod queue;
mod random;
mod reach;
mod refused;
mod reload;
mod request;
mod requests;
mod restored;
mod retire;
mod status;
mod suspension;
mod take_over;
mod term;
#[cfg(test)]
mod tests;
mod triggers;
mod upcoming;
mod waiting;
mod warming;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::ids::{AgentId, Epoch, JobUid};
use crate::job::Job;
use crate::schedule;
use crate::time::{Boot, Now, Skew, Timestamp};
use crate::txn::{CallId, Done, Failure, Survey, TookOver};

use burial::Burial;
use candidacy::Candidacy;
use clock::Clock;
use commits::Over;
use config::{LEADER_WAIT, LEDGER_RETRY, LEDGER_SILENCE};
use filling::Filling;
use hand_over::Leaving;
use lease::Lease;
use loss::Loss;
use random::Random;
use reach::{LATE, Reach};
use take_over::Doubt;
use term::Term;
use waiting::Waiting;
use warming::Warming;

pub use clock::{ClockJump, MachineClock};
pub use config::{Config, IdleLocks, LedgerClock};
pub use input::{
    Alert, Bar, CandidacyId, Effect, Input, KeepAliveId, LoanId, LockCallId, Other, ProofId, RequestHandle,
};
pub use locks::{Lock, LockFilter};
pub use memory::remembered;
pub use publication::Publication;
pub use request::{AgentCounts, AgentStatus, Answer, Away, Command, JobCounts, Rates, Refusal, Request, Stats, Status};
pub use restored::{Restored, restored};
pub use upcoming::NextFire;

/// A node's part in leading: none, on the way, or a whole term.
enum Phase {
    /// Not elected: a candidate, or kept from being one.
    Standby,
    /// Elected; the ledger is asked to end the previous term. Without a call: it is to be asked then.
    TakingOver {
        call: Option<CallId>,
        retry_at: Boot,
    },
    /// The ledger is ours; what it holds is being read, and made the memory of a term.
    Loading {
        call: CallId,
        took_over: TookOver,
        filling: Option<Box<Filling>>,
    },
    Leading(Box<Term>),
    /// The process ends.
    Ended,
}

/// The state machine; see the module's documentation.
pub struct Engine {
    config: Arc<Config>,
    clock: Clock,
    now: Now,
    phase: Phase,
    random: Random,
    /// Of calls, questions, candidacies and keep-alives, while no term counts them.
    numbers: u64,
    stats: Stats,
    candidacy: Candidacy,
    /// What it was last told to keep this node from standing.
    bar: Option<Bar>,
    /// Of the candidacy under way, won or not.
    lease: Option<Lease>,
    reach: Reach,
    burial: Burial,
    leaving: Option<Leaving>,
    /// An election that the ledger has and that looks later than this node's.
    doubt: Option<Doubt>,
    /// Agents that came before there was a leader here.
    waiting: Waiting,
    /// The jobs as it knows them before it leads.
    warming: Warming,
    /// Requests that came before, with when they came.
    early: VecDeque<(Boot, RequestHandle, Request)>,
    /// Fires for which the ledger had another row already.
    conflicts: BTreeSet<(JobUid, Timestamp)>,
    /// The ledger has lost what it had confirmed to this node's last term, and that is not settled.
    loss: Option<Loss>,
}

impl Engine {
    pub fn new(config: Config, now: Now) -> Self {
        let alone = config.lease.is_none();
        Self {
            random: Random::new(config.seed),
            clock: Clock::new(config.ledger_clock, now),
            config: Arc::new(config),
            now,
            phase: Phase::Standby,
            numbers: 0,
            stats: Stats::default(),
            candidacy: Candidacy::new(alone, schedule::VERSION.clone(), now.boot),
            bar: None,
            lease: None,
            reach: Reach::default(),
            burial: Burial::default(),
            leaving: None,
            doubt: None,
            waiting: Waiting::default(),
            warming: Warming::new(now.boot),
            early: VecDeque::new(),
            conflicts: BTreeSet::new(),
            loss: None,
        }
    }

    /// The first thing to do.
    pub fn start(&mut self, out: &mut Vec<Effect>) {
        self.handle(self.now, Input::Wake, out);
    }

    /// Whether a term is under way.
    pub fn is_leading(&self) -> bool {
        matches!(self.phase, Phase::Leading(_))
    }

    /// Of the term that is under way.
    pub fn epoch(&self) -> Option<Epoch> {
        match &self.phase {
            Phase::Leading(term) => Some(term.epoch),
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => None,
        }
    }

    /// Up to which number every change of a job or calendar is in the ledger, as far as a leader has heard. What has been
    /// refused has no number any more.
    pub fn changes_committed(&self) -> Option<i64> {
        match &self.phase {
            Phase::Leading(term) => Some(term.changes_committed()),
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => None,
        }
    }

    /// The jobs that a leader knows, by uid, each with its first instant that is not decided.
    pub fn jobs(&self) -> impl Iterator<Item = (&Job, Option<Timestamp>)> {
        let term = match &self.phase {
            Phase::Leading(term) => Some(term),
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => None,
        };
        term.into_iter().flat_map(|term| term.jobs.all())
    }

    /// How many jobs it knows: as a leader, or because it stands by and would not have to read them; deleted ones too.
    pub fn jobs_known(&self) -> usize {
        match &self.phase {
            Phase::Leading(term) => term.jobs.len(),
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => {
                self.warming.jobs_known()
            }
        }
    }

    /// Whether it is elected, and has not taken over yet.
    pub fn is_taking_over(&self) -> bool {
        matches!(self.phase, Phase::TakingOver { .. } | Phase::Loading { .. })
    }

    /// Whether it has given up for good.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Whether the ledger's last word was a failure.
    pub fn ledger_fails(&self) -> bool {
        match &self.phase {
            Phase::Leading(term) => term.ledger_fails,
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => self.candidacy.lacks_ledger(),
            Phase::Ended => false,
        }
    }

    /// How far the clocks of connected agents' machines are from the ledger's, as far as they say.
    pub fn agents_skews(&self) -> BTreeMap<AgentId, Skew> {
        match &self.phase {
            Phase::Leading(term) => term.agents.skews(),
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => BTreeMap::new(),
        }
    }

    /// How far this machine's clock is from the ledger's, at least; `None`: not known, or it is the ledger's.
    pub fn skew(&self) -> Option<Skew> {
        self.clock.skew()
    }

    pub fn stats(&self) -> Stats {
        match &self.phase {
            Phase::Leading(term) => term.stats,
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => self.stats,
        }
    }

    /// Takes one input at a time, with what the machine's clocks say; what is to be done is added to `out`.
    pub fn handle(&mut self, machine: Now, input: Input, out: &mut Vec<Effect>) {
        let (now, jump) = self.clock.obey(machine, self.is_leading());
        out.extend(jump.map(|jump| Effect::Alert(Alert::ClockJumped(jump))));
        if now.boot.since(self.now.boot) > LATE
            && let Some(due) = self.next_wakeup()
        {
            self.reach.overslept(now.boot.since(due));
        }
        self.now = now;
        if let Phase::Leading(term) = &mut self.phase {
            term.now = now;
        }
        let before = out.len();
        self.look_at_lease(out);
        self.take(input, out);
        self.progress(out);
        self.reach.emitted(&out[before..], now.boot);
    }

    fn take(&mut self, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Wake => {}
            Input::Elected(candidacy, election) => self.elected(candidacy, election),
            Input::Unelected(candidacy) => self.unelected(candidacy, out),
            Input::KeptAlive(id) => {
                if let Some(lease) = &mut self.lease {
                    lease.kept_alive(id);
                }
            }
            Input::Others(others) => self.candidacy.others_are(others, self.now.boot),
            Input::LeaderDied { epoch, instance } => self.leader_died(epoch, instance, out),
            Input::LeaderSeen { instance } => self.leader_seen(&instance),
            Input::ChangesTold(up_to) => self.changes_told(up_to),
            Input::Stop => self.stop(out),
            Input::Called(id, result) => self.called(id, result, out),
            Input::LeaseLent(id, instance, lasts) => self.in_term(|term| term.lease_lent(id, instance, lasts)),
            Input::LeasesEnded(instances) => self.in_term(|term| term.leases_ended(instances)),
            Input::LeasesUnrenewed(id, instances) => match &mut self.phase {
                Phase::Leading(term) => term.leases_unrenewed(id, &instances),
                Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => {
                    self.waiting.leases_unrenewed(id, &instances);
                }
            },
            Input::LocksRead(id, held) => self.in_term(|term| term.locks_read(id, held)),
            Input::LocksTaken(id, refused) => self.in_term(|term| term.locks_taken(id, &refused, out)),
            Input::LocksNotTaken(id) => self.in_term(|term| term.locks_not_taken(id)),
            Input::LocksReleased(id) => self.in_term(|term| term.locks_released(id)),
            Input::Hello(stream, hello) => match &mut self.phase {
                Phase::Leading(term) => term.hello(stream, hello, out),
                Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => {
                    self.waiting.hellos.insert(stream, hello);
                }
                Phase::Ended => out.push(Effect::Close(stream, crate::agent::Closed::NotLeading)),
            },
            Input::Request(handle, request) => self.receive_request(handle, request, out),
            Input::RequestAbandoned(handle) => match &mut self.phase {
                Phase::Leading(term) => term.abandon_request(handle),
                Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => {
                    self.early.retain(|(_, early, _)| *early != handle);
                }
            },
            Input::Unreached(agent) => self.unreached(agent, out),
            Input::StreamClosed(stream) => {
                self.waiting.closed(stream);
                if let Phase::Leading(term) = &mut self.phase {
                    term.stream_closed(stream);
                }
            }
            Input::FromAgent(stream, message) => match &mut self.phase {
                Phase::Leading(term) => term.heard(stream, message, out),
                Phase::TakingOver { .. } | Phase::Loading { .. } => self.heard_early(stream, &message, out),
                Phase::Standby | Phase::Ended => {}
            },
            Input::LeadershipProved(id, revision) => match &mut self.phase {
                Phase::Leading(term) => term.proved(id, out),
                Phase::TakingOver { .. } => {
                    self.proved_early(id, out);
                    self.judge_election(id, revision, out);
                }
                Phase::Loading { .. } => self.proved_early(id, out),
                Phase::Standby | Phase::Ended => {}
            },
        }
    }

    /// What is about a term means nothing without one.
    fn in_term(&mut self, act: impl FnOnce(&mut Term)) {
        if let Phase::Leading(term) = &mut self.phase {
            act(term);
        }
    }

    fn receive_request(&mut self, handle: RequestHandle, request: Request, out: &mut Vec<Effect>) {
        match (&mut self.phase, request.command) {
            (Phase::Leading(_), Command::StepDown { node }) => self.step_down(handle, node, out),
            (Phase::Leading(term), command) => term.receive_request(handle, Request { command, ..request }, out),
            (Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. }, command) => {
                self.early.push_back((self.now.boot, handle, Request { command, ..request }));
            }
            (Phase::Ended, _) => out.push(Effect::Answer(handle, Err(Refusal::Unavailable(Away::Stopping)))),
        }
    }

    /// When to call again with [`Input::Wake`] if nothing else comes in; `None`: never.
    pub fn next_wakeup(&self) -> Option<Boot> {
        let own = match &self.phase {
            Phase::Standby => Some(self.candidacy.next_wakeup(self.now.boot)),
            Phase::TakingOver { call: None, retry_at } if self.is_confirmed() => {
                Some(self.waiting.next_welcome().map_or(*retry_at, |at| at.min(*retry_at)))
            }
            Phase::Loading { filling: Some(_), .. } => Some(self.now.boot),
            Phase::TakingOver { .. } | Phase::Loading { .. } => self.waiting.next_welcome(),
            Phase::Leading(term) => term.next_wakeup(),
            Phase::Ended => return None,
        };
        let wakeups = [
            own,
            self.early.front().map(|(came, _, _)| came.saturating_add(LEADER_WAIT)),
            self.lease.as_ref().and_then(Lease::next_wakeup),
            self.gives_way_at(),
            self.finds_silence_at(),
            self.leaving.as_ref().map(Leaving::until),
            self.clock.next_look(),
            self.next_survey(),
        ];
        wakeups.into_iter().flatten().min()
    }

    fn progress(&mut self, out: &mut Vec<Effect>) {
        while let Some((_, handle, _)) =
            self.early.pop_front_if(|(came, _, _)| self.now.boot.since(*came) >= LEADER_WAIT)
        {
            out.push(Effect::Answer(handle, Err(Refusal::Unavailable(Away::NoLeader))));
        }
        self.welcome_early(out);
        self.fill(out);
        self.look_at_lease(out);
        let is_silent = self.finds_silence_at().is_some_and(|at| at <= self.now.boot);
        if let Phase::Leading(term) = &mut self.phase {
            if is_silent {
                term.ledger_is_silent(out);
            }
            term.lend_leases(out);
            term.lose_the_lost(out);
            term.settle_loss();
            term.repeat_failed(out);
            term.pump(out);
            term.ask_for_locks(out);
        }
        self.give_way(out);
        self.forsaken(out);
        self.finish_leaving(out);
        self.keep_up(out);
        self.survey(out);
        self.stand(out);
        self.renew_lease(out);
        self.take_over(out);
    }

    /// When a ledger that says nothing counts as one that fails: whoever asks for something then is told at once.
    fn finds_silence_at(&self) -> Option<Boot> {
        match &self.phase {
            Phase::Leading(term) if !term.ledger_fails => {
                Some(self.reach.unanswered_since()?.saturating_add(LEDGER_SILENCE))
            }
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Leading(_) | Phase::Ended => {
                None
            }
        }
    }

    /// The next number of this node: of a call, a question, a candidacy or a keep-alive.
    fn next_number(&mut self) -> u64 {
        match &mut self.phase {
            Phase::Leading(term) => term.next_call_id().0,
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => {
                self.numbers += 1;
                self.numbers
            }
        }
    }

    fn called(&mut self, id: CallId, mut result: Result<Done, Failure>, out: &mut Vec<Effect>) {
        self.reach.answered(&result);
        if self.changes_read(id, &mut result, out) {
            return;
        }
        if let Ok(Done::Surveyed(Survey { watermark: Some(watermark), .. })) = &result {
            self.watermark_told(*watermark);
        }
        if self.surveyed(id, &result, out) {
            return;
        }
        if matches!(result, Err(Failure::Clock { .. })) {
            self.candidacy.survey_at_once(self.now.boot);
        }
        match &mut self.phase {
            Phase::Leading(term) => {
                let over = match result {
                    Ok(Done::FoundRequests(found)) => {
                        term.looked_up(id, Ok(found), out);
                        Ok(())
                    }
                    Ok(Done::LoadedJob(snapshot)) => {
                        term.reloaded(id, *snapshot, out);
                        Ok(())
                    }
                    Ok(_) if term.is_question(id) => {
                        term.proved(ProofId(id.0), out);
                        Ok(())
                    }
                    Ok(Done::Purged(purged)) => term.purged(id, Ok(purged), out),
                    Err(failure) if term.purging.contains_key(&id) => term.purged(id, Err(failure), out),
                    Ok(_) => {
                        term.committed(id, out);
                        Ok(())
                    }
                    Err(_) if term.looking_up.as_ref().is_some_and(|(asked, _)| *asked == id) => {
                        term.looked_up(id, Err(()), out);
                        Ok(())
                    }
                    Err(failure) if term.in_flight.contains_key(&id) => term.failed(id, failure, out),
                    Err(failure) if term.is_question(id) => term.ended_by(&failure).map_or(Ok(()), Err),
                    Err(failure) if term.reloads.contains_key(&id) => term.reload_failed(id, &failure),
                    Err(_) => Ok(()),
                };
                match over {
                    Ok(()) => {}
                    Err(Over::Deposed(why)) => self.depose(why, out),
                    Err(over @ (Over::Disagreement(_) | Over::WentBack(_) | Over::ClockWentBack(_))) => {
                        let loss = matches!(over, Over::WentBack(_)).then(|| Loss::of(term));
                        out.push(Effect::Alert(over.into()));
                        self.end_term(out);
                        self.loss = loss.or(self.loss.take());
                        let retry_at = self.now.boot.saturating_add(LEDGER_RETRY);
                        self.phase = Phase::TakingOver { call: None, retry_at };
                    }
                }
            }
            Phase::TakingOver { call, .. } if *call == Some(id) => self.took_over(result, out),
            Phase::Loading { call, took_over, filling: None } if *call == id => {
                let took_over = took_over.clone();
                self.loaded(&took_over, result, out);
            }
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } | Phase::Ended => {}
        }
    }
}
