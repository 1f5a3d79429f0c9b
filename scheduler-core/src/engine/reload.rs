//! One job read anew: the memory of it is thrown away, since the ledger did not follow it.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{AttemptId, JobUid, RunId};
use crate::job::Pause;
use crate::run::{Attempt, Run, Trigger};
use crate::time::{Boot, Timestamp};
use crate::txn::{Call, CallId, Failure, Snapshot, Unreadable, UnreadableRow};

use super::agents::AgentEntry;
use super::batch::InFlight;
use super::commits::Over;
use super::config::{LEDGER_RETRY, MAX_CLOCK_SKEW};
use super::inbox::Event;
use super::input::{Alert, Effect};
use super::jobs::JobEntry;
use super::leases::AgentLease;
use super::live::LiveRun;
use super::queue::Candidate;
use super::requests::Pending;
use super::term::Term;

/// A job that is being read anew, and what is to be done then.
pub(super) struct Reload {
    pub(super) job: JobUid,
    /// What the refused transaction would have decided: the watermark waits for it.
    pub(super) first_instant: Option<Timestamp>,
    /// Runs that the refused transaction would have written: of these memory is wrong.
    refused: BTreeSet<RunId>,
    pub(super) events: Vec<Event>,
    pub(super) requests: Vec<Pending>,
    /// It does not fire in this term, though the ledger does not take that either.
    pub(super) pause: Option<Pause>,
    /// Its backfills are left to the next leader.
    pub(super) without_backfills: bool,
    pub(super) retry_at: Option<Boot>,
}

impl Reload {
    pub(super) fn new(job: JobUid, flight: &InFlight) -> Self {
        let transaction = &flight.transaction;
        let written = transaction.entered.iter().chain(&transaction.updated).map(|run| run.id);
        Self {
            job,
            first_instant: flight.first_instant,
            refused: written.chain(transaction.attempts.iter().map(|(run, _)| *run)).collect(),
            events: Vec::new(),
            requests: Vec::new(),
            pause: None,
            without_backfills: false,
            retry_at: None,
        }
    }
}

impl Term {
    pub(super) fn read_anew(&mut self, reload: Reload, out: &mut Vec<Effect>) {
        let id = self.next_call_id();
        if let Some(entry) = self.jobs.get_mut(reload.job) {
            entry.busy = Some(id);
        }
        out.push(Effect::Call(id, self.load_job(reload.job)));
        self.reloads.insert(id, reload);
    }

    fn load_job(&self, job: JobUid) -> Call {
        let entered_since = self.watermark.committed.saturating_sub(MAX_CLOCK_SKEW);
        Call::LoadJob { epoch: self.epoch, job, entered_since }
    }

    pub(super) fn reload_failed(&mut self, id: CallId, failure: &Failure) -> Result<(), Over> {
        if let Some(over) = self.ended_by(failure) {
            return Err(over);
        }
        if let Some(reload) = self.reloads.get_mut(&id) {
            reload.retry_at = Some(self.now.boot.saturating_add(LEDGER_RETRY));
        }
        Ok(())
    }

    pub(super) fn repeat_reloads(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        let mut due = Vec::new();
        for (id, reload) in &mut self.reloads {
            if reload.retry_at.take_if(|time| *time <= now).is_some() {
                due.push((*id, reload.job));
            }
        }
        out.extend(due.into_iter().map(|(id, job)| Effect::Call(id, self.load_job(job))));
    }

    pub(super) fn reloaded(&mut self, id: CallId, snapshot: Snapshot, out: &mut Vec<Effect>) {
        let Some(reload) = self.reloads.remove(&id) else { return };
        let mut kept = self.forget_job(reload.job);
        kept.retain(|id, _| !reload.refused.contains(id));
        let covered = snapshot.covered.first().map(|(_, last)| *last);
        for mut job in snapshot.jobs {
            if let Some(pause) = &reload.pause {
                job.pause.get_or_insert_with(|| pause.clone());
            }
            out.extend(self.take_job(job, self.watermark.committed, covered).map(Effect::Alert));
        }
        if let Some(entry) = self.jobs.get_mut(reload.job) {
            entry.doubted = true;
        }
        self.backfills.forget(reload.job);
        if !reload.without_backfills {
            snapshot.backfills.into_iter().for_each(|backfill| self.backfills.insert(backfill));
        }
        for (run, later) in snapshot.unended {
            if self.out_of_reach.contains(&run.id) {
                continue;
            }
            match kept.remove(&run.id) {
                Some(Kept { live, waited }) => self.adopt_live(live, Some(waited)),
                None => self.adopt(run, later),
            }
        }
        out.extend(snapshot.unreadable.into_iter().map(|row| Effect::Alert(self.pass_over(row))));
        self.release(reload.job);
        self.may_be_complete(reload.job);
        for event in reload.events.into_iter().rev() {
            self.inbox.push_front(event);
        }
        for request in reload.requests.into_iter().rev() {
            self.requests.push_front(request);
        }
    }

    /// Takes a job into memory.
    fn take_job(&mut self, job: crate::job::Job, watermark: Timestamp, covered: Option<Timestamp>) -> Option<Alert> {
        let (compiled, why) = self.calendars.compile_stored(&job);
        let alert = why.map(|why| Alert::UnusableSchedule { job: job.key.clone(), why });
        self.jobs.insert(JobEntry::stored(job, compiled, watermark, covered));
        alert
    }

    /// Takes over an unended run: its attempt may be anywhere on its way, its agent's Inventory will tell.
    pub(super) fn adopt(&mut self, run: Run, later: Option<Attempt>) {
        self.adopt_live(LiveRun::loaded(run, later), None);
    }

    /// `waited`: whether it waited for an agent or a slot already, where that is known.
    fn adopt_live(&mut self, live: LiveRun, waited: Option<bool>) {
        let (id, uid, now) = (live.run.id, live.run.job_uid, self.now);
        let due = live.run.next_attempt_time.unwrap_or(live.run.not_before);
        let held =
            live.unended_attempt().map(|held| (held.slot, held.agent_id.clone(), held.agent_instance, held.number));
        // Overlap is judged when its time comes, which may have been while nobody led.
        let unjudged =
            live.run.attempt == 0 && live.run.trigger == Trigger::Schedule && live.run.not_before > live.run.decided_at;
        if let Some((_, agent_id, instance, number)) = &held {
            let lease = AgentLease::begin(self.config.lease.is_some());
            let agent = self.agents.by_instance.entry(*instance);
            let agent = agent.or_insert_with(|| AgentEntry::unseen(agent_id.clone(), now.boot, lease));
            agent.held.insert(AttemptId { run: id, number: *number });
            self.lease_is_due(*instance);
        }
        let Some(entry) = self.jobs.get_mut(uid) else {
            // Of a job that cannot be read: it goes on, and its agent keeps what it says of it.
            self.out_of_reach.insert(id);
            return;
        };
        entry.live.insert(id);
        if let Some((slot, _, _, number)) = &held {
            entry.slots.insert(*slot, AttemptId { run: id, number: *number });
        }
        if let Some(since) = live.dirty_since {
            self.dirty.insert((since, id));
        }
        if let Some(backfill) = live.run.backfill_id {
            self.backfills.adopt(backfill, id);
        }
        self.runs.insert(id, live);
        if held.is_some() {
            return;
        }
        if due > now.wall {
            self.run_timers.insert((due, id));
        } else if waited == Some(true) || (waited.is_none() && !unjudged) {
            self.queue_run(id);
        } else if waited.is_none() {
            self.inbox.push_back(Event::Due(id));
        }
        self.set_deadline(id);
    }

    /// A row that cannot be read costs what it is about. A run that cannot be read keeps a slot of its job: it may be
    /// running.
    pub(super) fn pass_over(&mut self, unreadable: Unreadable) -> Alert {
        if let UnreadableRow::Run { run, job } = &unreadable.row {
            let run = run.unwrap_or(RunId(uuid::Uuid::nil()));
            self.out_of_reach.insert(run);
            if let Some(entry) = job.and_then(|uid| self.jobs.get_mut(uid)) {
                let slot = (0..u32::MAX).rev().find(|slot| !entry.slots.contains_key(slot));
                entry.slots.insert(slot.unwrap_or_default(), AttemptId { run, number: 0 });
            }
        }
        Alert::Unreadable { row: unreadable.row.to_string(), why: unreadable.why }
    }

    /// Takes a job and its runs out of memory.
    fn forget_job(&mut self, uid: JobUid) -> BTreeMap<RunId, Kept> {
        let mut kept = BTreeMap::new();
        let Some(entry) = self.jobs.get(uid) else { return kept };
        let parked = entry.parked.clone();
        let waiting: BTreeSet<RunId> = entry.waiting.iter().map(|(_, run)| *run).collect();
        for id in entry.live.clone() {
            self.release_deadline(id);
            let Some(live) = self.runs.remove(&id) else { continue };
            let due = live.run.next_attempt_time.unwrap_or(live.run.not_before);
            self.run_timers.remove(&(due, id));
            if let Some(since) = live.dirty_since {
                self.dirty.remove(&(since, id));
            }
            if let Some(attempt) = live.unended_attempt()
                && let Some(agent) = self.agents.by_instance.get_mut(&attempt.agent_instance)
            {
                agent.held.remove(&AttemptId { run: id, number: attempt.number });
            }
            let candidate = Candidate::Run(id);
            let waited = self.queue.remove(candidate) || waiting.contains(&id) || parked.contains(&candidate);
            kept.insert(id, Kept { live, waited });
        }
        self.queue.remove(Candidate::Due(uid));
        self.release_hold(uid);
        self.to_consider.remove(&uid);
        self.jobs.remove(uid);
        kept
    }
}

/// A run of which memory is right.
struct Kept {
    live: LiveRun,
    /// Whether it waited for an agent or a slot; one that did not, and is due, is on its way through the inbox.
    waited: bool,
}
