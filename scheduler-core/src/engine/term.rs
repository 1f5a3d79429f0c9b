//! What a leader knows and does in one epoch. It ends with the epoch: the next one loads everything anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{LogChunk, StreamId, ToAgent};
use crate::ids::{AgentInstance, AttemptId, Epoch, FencingToken, JobUid, RunId};
use crate::time::{Boot, Now, Timestamp};
use crate::txn::{Call, CallId, Transaction};

use super::agents::{Agents, Rights};
use super::backfills::Backfills;
use super::batch::{Batch, InFlight};
use super::calendars::Calendars;
use super::config::{BATCH_MAX, BATCH_MIN, Config, MAX_IN_FLIGHT, TOKEN_SPAN, WATERMARK_BUSY, WATERMARK_IDLE};
use super::inbox::Event;
use super::input::{CandidacyId, Effect, RequestHandle};
use super::jobs::Jobs;
use super::live::LiveRun;
use super::lock_table::LockTable;
use super::loss::Loss;
use super::marks::Marks;
use super::numbers::Numbers;
use super::pace::Pace;
use super::purges::Walk;
use super::queue::Queue;
use super::random::Random;
use super::reload::Reload;
use super::request::{Away, JobCounts, Stats};
use super::requests::Pending;

const TICK: Duration = Duration::from_micros(1);

pub(super) struct Term {
    pub(super) config: Arc<Config>,
    pub(super) now: Now,
    /// The one that this term was won by.
    pub(super) candidacy: CandidacyId,
    pub(super) epoch: Epoch,
    /// The lease is not confirmed: see `suspension`.
    pub(super) suspended: bool,
    /// When it had loaded the ledger.
    began: Boot,
    /// The longest that any agent was ever told it may go on (rule 19).
    pub(super) longest_agent_ttl: Duration,
    pub(super) watermark: Watermark,
    pub(super) tokens: Tokens,
    pub(super) last_change_seq: i64,
    /// Events of the audit so far.
    pub(super) audited: u32,
    pub(super) last_run_id: Option<RunId>,
    /// No run with a lower id will be entered or change any more.
    pub(super) floor: RunId,
    pub(super) random: Random,
    next_call: u64,

    pub(super) jobs: Jobs,
    pub(super) calendars: Calendars,
    pub(super) backfills: Backfills,
    pub(super) runs: BTreeMap<RunId, LiveRun>,
    pub(super) agents: Agents,
    pub(super) locks: LockTable,
    pub(super) queue: Queue,

    /// Jobs to look at: something is due, or was while they were busy.
    pub(super) to_consider: BTreeSet<JobUid>,
    /// Jobs that are deleted when they are completed, to look at.
    pub(super) to_retire: BTreeSet<JobUid>,
    /// Until when a due job waits for an agent, undecided.
    pub(super) holds: BTreeSet<(Timestamp, JobUid)>,
    /// When a run that waits for its time is due.
    pub(super) run_timers: BTreeSet<(Timestamp, RunId)>,
    /// Until when a run must have started (`start_deadline`).
    pub(super) deadlines: BTreeSet<(Timestamp, RunId)>,
    /// Runs that differ from their row, by since when.
    pub(super) dirty: BTreeSet<(Boot, RunId)>,

    pub(super) requests: VecDeque<Pending>,
    pub(super) parked_requests: BTreeMap<JobUid, Vec<Pending>>,
    /// They wait for a calendar that a transaction in flight changes.
    pub(super) parked_for_commit: Vec<Pending>,
    pub(super) look_ups: VecDeque<Pending>,
    pub(super) looking_up: Option<(CallId, Vec<Pending>)>,
    pub(super) marks: Marks,
    pub(super) numbers: Numbers,
    pub(super) inbox: VecDeque<Event>,
    pub(super) parked_events: BTreeMap<JobUid, VecDeque<Event>>,
    pub(super) logs: VecDeque<(AgentInstance, LogChunk)>,

    pub(super) walk: Walk,
    /// Purges under way, with who asked for them.
    pub(super) purging: BTreeMap<CallId, Option<RequestHandle>>,
    pub(super) in_flight: BTreeMap<CallId, InFlight>,
    /// Jobs that are being read anew.
    pub(super) reloads: BTreeMap<CallId, Reload>,
    /// Fires for which the ledger had another row already, in this term or one before.
    pub(super) conflicts: BTreeSet<(JobUid, Timestamp)>,
    /// The ledger has lost what it had confirmed to the term before.
    pub(super) loss: Option<Loss>,
    /// Unended runs of which nothing can be read or written: they are left as they are.
    pub(super) out_of_reach: BTreeSet<RunId>,
    pub(super) ledger_fails: bool,
    /// It begins nothing new, and why.
    pub(super) leaving: Option<Away>,
    batch_limit: usize,
    pub(super) stats: Stats,
    pub(super) pace: Pace,
    /// Jobs by state, when they were last counted.
    pub(super) counted: Option<(Boot, JobCounts)>,
}

/// Up to where every fire is decided and entered.
pub(super) struct Watermark {
    pub(super) committed: Timestamp,
    /// The highest that any transaction was given.
    pub(super) emitted: Timestamp,
    last_emit: Boot,
}

/// Fencing tokens of this epoch, handed out only up to what the ledger knows of (rule 12).
pub(super) struct Tokens {
    next: FencingToken,
    pub(super) ceiling: FencingToken,
    pub(super) raising: bool,
}

impl Tokens {
    /// Whether none may be handed out until the ledger knows a higher ceiling.
    pub(super) fn is_spent(&self) -> bool {
        self.next > self.ceiling
    }

    pub(super) fn take(&mut self) -> FencingToken {
        let token = self.next;
        self.next = FencingToken(token.0 + 1);
        token
    }

    fn is_low(&self) -> bool {
        self.ceiling.0 - self.next.0 < TOKEN_SPAN / 2
    }
}

/// What a term begins with.
pub(super) struct Beginning {
    pub(super) candidacy: CandidacyId,
    pub(super) epoch: Epoch,
    pub(super) watermark: Timestamp,
    pub(super) token_ceiling: FencingToken,
    pub(super) longest_agent_ttl: Duration,
    pub(super) last_change_seq: i64,
    pub(super) random: Random,
    pub(super) stats: Stats,
    pub(super) conflicts: BTreeSet<(JobUid, Timestamp)>,
    pub(super) loss: Option<Loss>,
}

impl Term {
    pub(super) fn new(config: Arc<Config>, now: Now, beginning: Beginning) -> Self {
        let locks = LockTable::new(config.lease.is_some());
        Self {
            config,
            now,
            candidacy: beginning.candidacy,
            epoch: beginning.epoch,
            suspended: true,
            began: now.boot,
            longest_agent_ttl: beginning.longest_agent_ttl,
            watermark: Watermark { committed: beginning.watermark, emitted: beginning.watermark, last_emit: now.boot },
            tokens: Tokens {
                next: FencingToken::nth(beginning.epoch, 1),
                ceiling: beginning.token_ceiling,
                raising: false,
            },
            // Above all that any term before may have given: of what is deleted by now, the ledger does not tell.
            last_change_seq: beginning.last_change_seq.max(FencingToken::nth(beginning.epoch, 0).0),
            audited: 0,
            last_run_id: None,
            floor: RunId(uuid::Uuid::nil()),
            random: beginning.random,
            next_call: 0,
            jobs: Jobs::default(),
            calendars: Calendars::default(),
            backfills: Backfills::default(),
            runs: BTreeMap::new(),
            agents: Agents::default(),
            locks,
            queue: Queue::default(),
            to_consider: BTreeSet::new(),
            to_retire: BTreeSet::new(),
            holds: BTreeSet::new(),
            run_timers: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            dirty: BTreeSet::new(),
            requests: VecDeque::new(),
            parked_requests: BTreeMap::new(),
            parked_for_commit: Vec::new(),
            look_ups: VecDeque::new(),
            looking_up: None,
            marks: Marks::default(),
            numbers: Numbers::default(),
            inbox: VecDeque::new(),
            parked_events: BTreeMap::new(),
            logs: VecDeque::new(),
            walk: Walk::begin(now.boot),
            purging: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            reloads: BTreeMap::new(),
            conflicts: beginning.conflicts,
            loss: beginning.loss,
            out_of_reach: BTreeSet::new(),
            ledger_fails: false,
            leaving: None,
            batch_limit: BATCH_MIN,
            stats: beginning.stats,
            pace: Pace::default(),
            counted: None,
        }
    }

    /// Its memory is made. Its calls go on counting where those of the node are.
    pub(super) fn begin(&mut self, suspended: bool, last_call: u64) {
        self.suspended = suspended;
        self.next_call = last_call;
    }

    pub(super) fn next_call_id(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    pub(super) fn call_count(&self) -> u64 {
        self.next_call
    }

    pub(super) fn next_proof_id(&mut self) -> super::input::ProofId {
        // Of the same numbers as calls, which go on over terms: no late answer means a question of this term.
        self.next_call += 1;
        super::input::ProofId(self.next_call)
    }

    /// Ids never descend, though the clock may: rows entered since an instant are a range of ids (rule 6).
    pub(super) fn next_run_id(&mut self) -> RunId {
        let fresh = RunId::at(self.now.wall, self.random.wide());
        let id = match self.last_run_id {
            Some(last) if last >= fresh => RunId(uuid::Uuid::from_u128(last.0.as_u128() + 1)),
            _ => fresh,
        };
        self.last_run_id = Some(id);
        id
    }

    /// Makes transactions of what has come up, as long as another may be in flight.
    pub(super) fn pump(&mut self, out: &mut Vec<Effect>) {
        self.pace.look(self.now.boot, &self.stats);
        if self.leaving.is_some() {
            return;
        }
        self.wake_timers();
        while self.in_flight.len() < MAX_IN_FLIGHT {
            let mut batch = Batch::default();
            self.take_requests(&mut batch, out);
            self.take_logs(&mut batch);
            self.take_events(&mut batch, out);
            let full = self.decide_and_hand_out(&mut batch);
            self.retire_completed(&mut batch);
            self.explain_waiting(&mut batch);
            self.flush_dirty(&mut batch);
            self.reserve_tokens(&mut batch);
            self.advance_watermark(&mut batch);
            if batch.is_empty() {
                break;
            }
            self.batch_limit = if full { (self.batch_limit * 2).min(BATCH_MAX) } else { BATCH_MIN };
            let flight = batch.into_flight(Transaction::new(self.epoch, self.now.wall));
            self.launch(flight, out);
        }
        self.look_up_requests(out);
        self.walk_histories(out);
    }

    /// Fires are decided, and attempts handed out, only by a leader that can confirm that it is one and knows the locks.
    /// Whether more was there than fits the batch.
    fn decide_and_hand_out(&mut self, batch: &mut Batch) -> bool {
        if self.decides() {
            self.consider_due(batch);
        }
        // They follow from the reports of this very transaction.
        self.continue_backfills(batch);
        self.decides() && self.hand_out(batch)
    }

    /// Begins nothing new; who waits for what has not begun is told.
    pub(super) fn stop(&mut self, away: Away, out: &mut Vec<Effect>) {
        self.leaving = Some(away);
        self.refuse_waiting(away, out);
    }

    /// Whether the ledger owes no answer, or none that is worth waiting for.
    pub(super) fn is_settled(&self) -> bool {
        self.looking_up.is_none() && self.in_flight.values().all(|flight| flight.retry_at.is_some())
    }

    /// Whether all agents are lost, and the ledger knows what they leave.
    pub(super) fn is_forsaken(&self) -> bool {
        self.agents.are_lost() && self.inbox.is_empty() && self.is_settled()
    }

    pub(super) fn batch_limit(&self) -> usize {
        self.batch_limit
    }

    pub(super) fn launch(&mut self, mut flight: InFlight, out: &mut Vec<Effect>) {
        let id = self.next_call_id();
        for uid in &flight.touched {
            if let Some(entry) = self.jobs.get_mut(*uid) {
                entry.busy = Some(id);
            }
        }
        let transaction = Arc::make_mut(&mut flight.transaction);
        self.marks.mark(transaction);
        out.push(Effect::Call(id, Call::Commit(Arc::clone(&flight.transaction))));
        self.in_flight.insert(id, flight);
        self.stats.transactions += 1;
    }

    /// Nobody else gives rights while this node's key lives, and before that nobody told an agent more than the longest time.
    pub(super) fn rights(&self) -> Rights {
        Rights { told: self.config.agent_ttl, others_ended: self.began.saturating_add(self.longest_agent_ttl) }
    }

    fn reserve_tokens(&mut self, batch: &mut Batch) {
        if self.tokens.is_low() && !self.tokens.raising {
            self.tokens.raising = true;
            batch.token_ceiling = Some(FencingToken(self.tokens.ceiling.0 + TOKEN_SPAN));
        }
    }

    /// The watermark rides with other writes, rarely by itself; one transaction in flight writes it.
    fn advance_watermark(&mut self, batch: &mut Batch) {
        if self.is_writing_watermark() {
            return;
        }
        let since = self.now.boot.since(self.watermark.last_emit);
        if since < if batch.is_empty() { WATERMARK_IDLE } else { WATERMARK_BUSY } {
            return;
        }
        self.watermark.last_emit = self.now.boot;
        let decided = self.decided_up_to();
        if decided > self.watermark.emitted {
            batch.watermark = Some(decided);
            self.watermark.emitted = decided;
        }
    }

    fn is_writing_watermark(&self) -> bool {
        self.in_flight.values().any(|flight| flight.transaction.watermark.is_some())
    }

    /// Everything up to here is in the ledger, or in the transaction that is being made.
    fn decided_up_to(&self) -> Timestamp {
        let undecided = self.jobs.first_undecided();
        let in_flight = self.in_flight.values().filter_map(|flight| flight.first_instant);
        let refused = self.reloads.values().filter_map(|reload| reload.first_instant);
        in_flight
            .chain(refused)
            .chain(undecided)
            .map(|instant| instant.saturating_sub(TICK))
            .fold(self.now.wall, Ord::min)
    }

    /// Sends to an agent, if it is there.
    pub(super) fn send(&self, instance: AgentInstance, message: ToAgent, out: &mut Vec<Effect>) {
        if let Some(stream) = self.stream_of(instance) {
            out.push(Effect::Send(stream, message));
        }
    }

    fn stream_of(&self, instance: AgentInstance) -> Option<StreamId> {
        self.agents.by_instance.get(&instance)?.stream
    }

    pub(super) fn live_attempt(&self, id: AttemptId) -> Option<&LiveRun> {
        self.runs.get(&id.run).filter(|live| live.is_current(id))
    }

    /// When there is something to do, if nothing comes in before.
    pub(super) fn next_wakeup(&self) -> Option<Boot> {
        let decides = self.decides();
        let wall = [
            self.jobs.fires.first().map(|(time, _)| *time),
            self.holds.first().filter(|_| decides).map(|(time, _)| *time),
            self.run_timers.first().filter(|_| decides).map(|(time, _)| *time),
            self.deadlines.first().filter(|_| decides).map(|(time, _)| *time),
        ];
        let wall = wall.into_iter().flatten().min().map(|time| self.now.boot.saturating_add(time.since(self.now.wall)));
        let room = self.in_flight.len() < MAX_IN_FLIGHT && self.leaving.is_none();
        let boot = [
            wall.filter(|_| room),
            self.dirty.first().filter(|_| room).map(|(since, _)| since.saturating_add(super::config::STARTED_GROUP)),
            self.walk.next_wakeup().filter(|_| self.leaving.is_none() && !self.ledger_fails),
            self.agents.first_loss(self.rights()).filter(|_| !self.suspended),
            Some(self.rights().others_ended).filter(|at| self.waits_for_the_lost() && *at > self.now.boot),
            self.next_loan(),
            self.next_lock_call(),
            self.in_flight.values().filter_map(|flight| flight.retry_at).min().filter(|_| self.leaving.is_none()),
            self.reloads.values().filter_map(|reload| reload.retry_at).min(),
            Some(self.watermark.last_emit.saturating_add(WATERMARK_IDLE))
                .filter(|_| room && !self.is_writing_watermark()),
        ];
        boot.into_iter().flatten().min()
    }
}
