//! The engine: everything the leader decides, as a state machine without I/O.
//!
//! [`Engine::handle`] takes the time and one input and says what is to be done; [`Engine::next_wakeup`]
//! says when to come back if nothing happens. The shell round it runs the effects and feeds their answers
//! back. The engine never blocks, never reads a clock, and draws its ids from a seed, so the same inputs
//! always give the same effects.
//!
//! How it is laid out: `term` is a leader's memory and the pump that makes transactions. What goes on in a
//! term: `fires`, `hand_out`, `attempts`, `cancels`, `inbox` (agents' reports) and `joins`; `requests` and `commands` with `plan`,
//! `change`, `calendars`, `triggers`, `backfills` and `status`; `commits` takes the ledger's answers. `decide`, `queue`,
//! `agents`, `jobs`, `live` and `batch` are the pieces.
//!
//! Memory runs ahead of the ledger by the transactions in flight; whatever leaves the engine (an answer, an
//! Assign, an Ack) waits for the commit it depends on. Transactions in flight share no job.

mod agents;
mod attempts;
mod backfills;
mod batch;
mod calendars;
mod cancels;
mod change;
mod commands;
mod commits;
mod config;
mod decide;
mod fires;
mod hand_out;
mod inbox;
mod input;
mod jobs;
mod joins;
mod live;
mod plan;
mod queue;
mod random;
mod request;
mod requests;
mod status;
mod term;
#[cfg(test)]
mod tests;
mod triggers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::agent::{Closed, Hello, StreamId};
use crate::run::{AttemptState, Run};
use crate::schedule::{self, Compiled, SHORTEST_EVERY};
use crate::time::{Boot, Now};
use crate::txn::{Call, CallId, Done, Failure, Snapshot, TakeOver, TookOver};

use agents::AgentEntry;
use commits::Over;
use config::{LEADER_WAIT, LEDGER_RETRY, MAX_CLOCK_SKEW};
use jobs::JobEntry;
use live::LiveRun;
use random::Random;
use term::{Beginning, Term};

pub use config::Config;
pub use input::{Alert, Effect, Input, ProofId, RequestHandle};
pub use request::{AgentStatus, Answer, Away, Command, JobCounts, Refusal, Request, Stats, Status};

/// A node's part in leading: none, on the way, or a whole term.
enum Phase {
    /// Not elected.
    Standby,
    /// Elected; the ledger has been asked to end the previous term. `None`: it failed, ask again then.
    TakingOver {
        call: Option<CallId>,
        retry_at: Boot,
    },
    /// The ledger is ours; what it holds is being read.
    Loading {
        call: Option<CallId>,
        retry_at: Boot,
        took_over: TookOver,
    },
    Leading(Box<Term>),
}

/// The state machine; see the module's documentation.
pub struct Engine {
    config: Arc<Config>,
    now: Now,
    phase: Phase,
    random: Random,
    calls: u64,
    stats: Stats,
    /// Agents that came before there was a leader here.
    hellos: BTreeMap<StreamId, Hello>,
    /// Requests that came before, with when they came.
    early: VecDeque<(Boot, RequestHandle, Request)>,
}

impl Engine {
    pub fn new(config: Config, now: Now) -> Self {
        Self {
            random: Random::new(config.seed),
            config: Arc::new(config),
            now,
            phase: Phase::Standby,
            calls: 0,
            stats: Stats::default(),
            hellos: BTreeMap::new(),
            early: VecDeque::new(),
        }
    }

    /// The first thing to do.
    pub fn start(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Campaign);
    }

    /// Whether a term is under way.
    pub fn is_leading(&self) -> bool {
        matches!(self.phase, Phase::Leading(_))
    }

    /// Whether the ledger's last word was a failure.
    pub fn ledger_fails(&self) -> bool {
        matches!(&self.phase, Phase::Leading(term) if term.ledger_fails)
    }

    pub fn stats(&self) -> Stats {
        match &self.phase {
            Phase::Leading(term) => term.stats,
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => self.stats,
        }
    }

    /// Takes one input at a time; what is to be done is added to `out`.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        self.now = now;
        if let Phase::Leading(term) = &mut self.phase {
            term.now = now;
        }
        match input {
            Input::Wake => {}
            Input::Elected => self.elected(out),
            Input::Unelected => self.depose("the coordinator says so".to_owned(), out),
            Input::Stop => {
                if let Phase::Leading(term) = &mut self.phase {
                    term.stop(out);
                }
            }
            Input::Called(id, result) => self.called(id, result, out),
            Input::Hello(stream, hello) => match &mut self.phase {
                Phase::Leading(term) => term.hello(stream, hello, out),
                Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => {
                    self.hellos.insert(stream, hello);
                }
            },
            Input::Request(handle, request) => match &mut self.phase {
                Phase::Leading(term) => term.receive_request(handle, request, out),
                Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => {
                    self.early.push_back((now.boot, handle, request));
                }
            },
            Input::RequestAbandoned(handle) => match &mut self.phase {
                Phase::Leading(term) => term.abandon_request(handle),
                Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => {
                    self.early.retain(|(_, early, _)| *early != handle);
                }
            },
            Input::StreamClosed(stream) => {
                self.hellos.remove(&stream);
                if let Phase::Leading(term) = &mut self.phase {
                    term.stream_closed(stream);
                }
            }
            Input::FromAgent(stream, message) => {
                if let Phase::Leading(term) = &mut self.phase {
                    term.heard(stream, message, out);
                }
            }
            Input::LeadershipProved(id) => {
                if let Phase::Leading(term) = &mut self.phase {
                    term.proved(id, out);
                }
            }
        }
        self.progress(out);
    }

    /// When to call again with [`Input::Wake`] if nothing else comes in; `None`: never.
    pub fn next_wakeup(&self) -> Option<Boot> {
        let early = self.early.front().map(|(came, _, _)| came.saturating_add(LEADER_WAIT));
        let own = match &self.phase {
            Phase::Standby => None,
            Phase::TakingOver { call, retry_at } | Phase::Loading { call, retry_at, .. } => {
                call.is_none().then_some(*retry_at)
            }
            Phase::Leading(term) => term.next_wakeup(),
        };
        own.into_iter().chain(early).min()
    }

    fn progress(&mut self, out: &mut Vec<Effect>) {
        while let Some((_, handle, _)) =
            self.early.pop_front_if(|(came, _, _)| self.now.boot.since(*came) >= LEADER_WAIT)
        {
            out.push(Effect::Answer(handle, Err(Refusal::Unavailable(Away::NoLeader))));
        }
        match &mut self.phase {
            Phase::Leading(term) => {
                term.lose_the_lost(out);
                term.repeat_failed(out);
                term.pump(out);
            }
            Phase::TakingOver { call: None, retry_at } | Phase::Loading { call: None, retry_at, .. }
                if *retry_at <= self.now.boot =>
            {
                self.elected(out);
            }
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => {}
        }
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }

    fn elected(&mut self, out: &mut Vec<Effect>) {
        if self.is_leading() {
            return;
        }
        let call = self.next_call();
        let take_over = TakeOver {
            node: self.config.node.clone(),
            agent_ttl: self.config.agent_ttl,
            schedule_version: schedule::VERSION.clone(),
        };
        out.push(Effect::Call(call, Call::TakeOver(take_over)));
        self.phase = Phase::TakingOver { call: Some(call), retry_at: self.now.boot };
    }

    fn called(&mut self, id: CallId, result: Result<Done, Failure>, out: &mut Vec<Effect>) {
        match &mut self.phase {
            Phase::Leading(term) => {
                let over = match result {
                    Ok(Done::FoundRequests(found)) => {
                        term.looked_up(id, Ok(found), out);
                        Ok(())
                    }
                    Ok(_) => {
                        term.committed(id, out);
                        Ok(())
                    }
                    Err(_) if term.looking_up.as_ref().is_some_and(|(asked, _)| *asked == id) => {
                        term.looked_up(id, Err(()), out);
                        Ok(())
                    }
                    Err(failure) if term.in_flight.contains_key(&id) => term.failed(id, failure, out),
                    Err(_) => Ok(()),
                };
                match over {
                    Ok(()) => {}
                    Err(Over::Deposed(why)) => self.depose(why, out),
                    Err(Over::Disagreement(why)) => {
                        out.push(Effect::Alert(Alert::Disagreement(why)));
                        self.end_term(out);
                        let retry_at = self.now.boot.saturating_add(LEDGER_RETRY);
                        self.phase = Phase::TakingOver { call: None, retry_at };
                    }
                }
            }
            Phase::TakingOver { call, .. } if *call == Some(id) => match result {
                Ok(Done::TookOver(took_over)) => self.load(took_over, out),
                Ok(_) => {}
                Err(failure) => self.retry_later(&failure, out),
            },
            Phase::Loading { call, took_over, .. } if *call == Some(id) => match result {
                Ok(Done::Loaded(snapshot)) => {
                    let took_over = took_over.clone();
                    self.begin_term(&took_over, *snapshot, out);
                }
                Ok(_) => {}
                Err(failure) => self.retry_later(&failure, out),
            },
            Phase::Standby | Phase::TakingOver { .. } | Phase::Loading { .. } => {}
        }
    }

    /// A failed take-over or load is begun again from the start: a term must know what it leads.
    fn retry_later(&mut self, failure: &Failure, out: &mut Vec<Effect>) {
        out.push(Effect::Alert(Alert::LedgerFails(failure.to_string())));
        self.phase = Phase::TakingOver { call: None, retry_at: self.now.boot.saturating_add(LEDGER_RETRY) };
    }

    fn load(&mut self, took_over: TookOver, out: &mut Vec<Effect>) {
        let call = self.next_call();
        let entered_since = took_over.watermark.saturating_sub(MAX_CLOCK_SKEW);
        out.push(Effect::Call(call, Call::Load { epoch: took_over.epoch, entered_since }));
        self.phase = Phase::Loading { call: Some(call), retry_at: self.now.boot, took_over };
    }

    fn begin_term(&mut self, took_over: &TookOver, snapshot: Snapshot, out: &mut Vec<Effect>) {
        let mut stats = self.stats;
        stats.take_overs += 1;
        let beginning = Beginning {
            epoch: took_over.epoch,
            watermark: took_over.watermark,
            token_ceiling: took_over.token_ceiling,
            longest_agent_ttl: took_over.longest_agent_ttl,
            last_change_seq: snapshot.last_change_seq,
            next_call: self.calls,
            random: Random::new(self.random.wide()),
            stats,
        };
        let mut term = Box::new(Term::new(Arc::clone(&self.config), self.now, beginning));
        let (jobs, unended_runs) = (snapshot.jobs.len(), snapshot.unended.len());
        let unusable = fill(&mut term, took_over, snapshot);
        out.extend(unusable.into_iter().map(Effect::Alert));
        out.push(Effect::Alert(Alert::TookOver { epoch: took_over.epoch, jobs, unended_runs }));
        for (stream, hello) in std::mem::take(&mut self.hellos) {
            term.hello(stream, hello, out);
        }
        for (_, handle, request) in std::mem::take(&mut self.early) {
            term.receive_request(handle, request, out);
        }
        self.phase = Phase::Leading(term);
    }

    /// Forgets everything: what is not in the ledger was never promised to anybody.
    fn end_term(&mut self, out: &mut Vec<Effect>) {
        let Phase::Leading(term) = std::mem::replace(&mut self.phase, Phase::Standby) else { return };
        self.stats = term.stats;
        self.calls = term.call_count();
        for stream in term.agents.by_stream.keys() {
            out.push(Effect::Close(*stream, Closed::NotLeading));
        }
        for (handle, refusal) in term.unanswered() {
            out.push(Effect::Answer(handle, Err(refusal)));
        }
    }

    /// Somebody else leads.
    fn depose(&mut self, why: String, out: &mut Vec<Effect>) {
        if self.is_leading() {
            self.end_term(out);
            out.push(Effect::Alert(Alert::Deposed(why)));
        }
        // A take-over that was under way is given up too: it would end the term of who leads now.
        self.phase = Phase::Standby;
    }
}

/// Makes the memory of a term from what the ledger holds. A job whose schedule cannot be evaluated any more
/// (the time zone data lost its zone) does not fire, and a human is told.
fn fill(term: &mut Term, took_over: &TookOver, snapshot: Snapshot) -> Vec<Alert> {
    let mut unusable = Vec::new();
    let covered: BTreeMap<_, _> = snapshot.covered.into_iter().collect();
    for calendar in snapshot.calendars {
        let key = calendar.key.clone();
        if let Err(why) = term.calendars.insert(calendar) {
            unusable.push(Alert::UnusableCalendar { calendar: key, why });
        }
    }
    for job in snapshot.jobs {
        // What passes while a job is paused or disabled is not decided by the watermark: `catch_up` may still want it.
        let cursor = if job.fires() { took_over.watermark.max(job.effective_from) } else { job.effective_from };
        let cursor = covered.get(&job.uid).map_or(cursor, |last| cursor.max(*last));
        match term.calendars.compile(&job.key, &job.definition, job.create_time, SHORTEST_EVERY) {
            Ok(compiled) => term.jobs.insert(JobEntry::new(job, compiled, cursor)),
            Err(why) => {
                unusable.push(Alert::UnusableSchedule { job: job.key.clone(), why });
                term.jobs.insert(JobEntry::new(job, never(), cursor));
            }
        }
    }
    for backfill in snapshot.backfills {
        term.backfills.insert(backfill);
    }
    for (run, later) in snapshot.unended {
        adopt(term, run, later);
    }
    unusable
}

/// Takes over an unended run: its attempt may be anywhere on its way, its agent's Inventory will tell.
fn adopt(term: &mut Term, run: Run, later: Option<crate::run::Attempt>) {
    let (id, uid, now) = (run.id, run.job_uid, term.now);
    let due = run.next_attempt_time.unwrap_or(run.not_before);
    if let Some(backfill) = run.backfill_id {
        term.backfills.adopt(backfill, id);
    }
    let live = LiveRun::loaded(run, later);
    let held = live.unended_attempt().map(|attempt| {
        debug_assert!(matches!(attempt.state, AttemptState::Pending | AttemptState::Running));
        (attempt.slot, attempt.agent_id.clone(), attempt.agent_instance, attempt.number)
    });
    term.runs.insert(id, live);
    let Some(entry) = term.jobs.get_mut(uid) else { return };
    entry.live.insert(id);
    match held {
        Some((slot, agent_id, instance, number)) => {
            let attempt = crate::ids::AttemptId { run: id, number };
            entry.slots.insert(slot, attempt);
            let agent = term.agents.by_instance.entry(instance);
            agent.or_insert_with(|| AgentEntry::unseen(agent_id, now.boot)).held.insert(attempt);
        }
        None if due > now.wall => {
            term.run_timers.insert((due, id));
            term.set_deadline(id);
        }
        None => {
            term.queue_run(id);
            term.set_deadline(id);
        }
    }
}

/// The empty schedule.
fn never() -> Compiled {
    Compiled::new(&schedule::Schedule::default(), &schedule::Context::preview(crate::time::Timestamp::MIN))
        .expect("because nothing is wrong with the empty schedule")
}
