//! Clients' writes on their way: looked up if they are numbered, one change a job at a time.

use crate::calendar::CalendarKey;
use crate::ids::JobUid;
use crate::job::{Definition, JobKey};
use crate::time::Boot;
use crate::txn::{CalendarWrite, Call, CallId, RequestKey, RequestRow};

use super::batch::{Batch, Cause, Then};
use super::config::{BATCH_MAX, LOOK_UP_AGE};
use super::input::{Effect, RequestHandle};
use super::parts::Part;
use super::request::{Answer, Away, Command, Refusal, Request};
use super::term::Term;

/// A request that has not been decided.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) handle: RequestHandle,
    pub(super) request: Request,
    /// When the ledger was asked, which did not know its number.
    looked_up: Option<Boot>,
}

/// What a request waits for.
enum Blocked {
    Job(JobUid),
    /// Something else that is in flight: it is looked at again after each commit.
    Commit,
}

/// How a request was decided.
pub(super) enum Decided {
    /// Answered now; nothing is written.
    Now(Result<Answer, Refusal>),
    /// Answered when the batch is in the ledger; the resource it made or changed.
    InBatch(String),
}

impl Term {
    pub(super) fn receive_request(&mut self, handle: RequestHandle, request: Request, out: &mut Vec<Effect>) {
        // Answered whatever the ledger does.
        let known = match request.command {
            Command::Status => Some(Answer::Status(Box::new(self.status()))),
            Command::Agents => Some(Answer::Agents(self.agents_known())),
            Command::Locks(ref filter) => Some(Answer::Locks(self.locks_held(filter))),
            Command::Upcoming { after, most } => Some(Answer::Upcoming(self.next_fires(after, most))),
            _ => None,
        };
        if let Some(answer) = known {
            return out.push(Effect::Answer(handle, Ok(answer)));
        }
        if let Command::DrainAgent { agent } = &request.command {
            let answer = self.drain(agent, out);
            return out.push(Effect::Answer(handle, answer));
        }
        if let Some(away) = self.leaving.or(self.ledger_fails.then_some(Away::Ledger)) {
            out.push(Effect::Answer(handle, Err(Refusal::Unavailable(away))));
            return;
        }
        if let Command::PurgeRuns { filter, most } = request.command {
            return self.purge_asked(handle, filter, most, out);
        }
        let pending = Pending { handle, request, looked_up: None };
        if self.is_unknown(&pending) { self.look_ups.push_back(pending) } else { self.requests.push_back(pending) }
    }

    /// Drops it if it has not begun; what is in a transaction goes on.
    pub(super) fn abandon_request(&mut self, handle: RequestHandle) {
        self.requests.retain(|pending| pending.handle != handle);
        self.look_ups.retain(|pending| pending.handle != handle);
        self.parked_for_commit.retain(|pending| pending.handle != handle);
        for parked in self.parked_requests.values_mut() {
            parked.retain(|pending| pending.handle != handle);
        }
    }

    /// Answers everybody whose request has not begun: it never will.
    pub(super) fn refuse_waiting(&mut self, away: Away, out: &mut Vec<Effect>) {
        let waiting = (self.requests.drain(..))
            .chain(self.look_ups.drain(..))
            .chain(std::mem::take(&mut self.parked_requests).into_values().flatten())
            .chain(std::mem::take(&mut self.parked_for_commit));
        out.extend(waiting.map(|pending| Effect::Answer(pending.handle, Err(Refusal::Unavailable(away)))));
    }

    pub(super) fn take_requests(&mut self, batch: &mut Batch, out: &mut Vec<Effect>) {
        self.numbers.forget_old(self.now.boot);
        let mut rounds = self.requests.len();
        while rounds > 0 && batch.rows() + batch.jobs.len() < BATCH_MAX {
            rounds -= 1;
            let Some(pending) = self.requests.pop_front() else { return };
            match self.blocked(&pending.request, batch) {
                Some(Blocked::Job(uid)) => {
                    self.parked_requests.entry(uid).or_default().push(pending);
                    continue;
                }
                Some(Blocked::Commit) => {
                    self.parked_for_commit.push(pending);
                    continue;
                }
                None => {}
            }
            match self.repeated(&pending) {
                Some(answer) => out.push(Effect::Answer(pending.handle, answer)),
                None if self.is_unknown(&pending) => self.look_ups.push_back(pending),
                None => self.take_request(pending, batch, out),
            }
        }
    }

    fn take_request(&mut self, pending: Pending, batch: &mut Batch, out: &mut Vec<Effect>) {
        let kept = pending.clone();
        let Pending { handle, request, .. } = pending;
        let key = request.key.clone();
        let digest = request.digest.clone();
        let before = self.before(&request);
        match self.decide_request(handle, request, batch) {
            Decided::Now(answer) => out.push(Effect::Answer(handle, answer)),
            Decided::InBatch(resource) => {
                let part = self.part_of(&kept.request.command, batch);
                if let Some(before) = before {
                    let event = self.event(before, &kept.request, &resource, batch);
                    batch.audit.push((part, event));
                }
                batch.causes.push((part, Cause::Request(Box::new(kept))));
                if let Some(key) = key {
                    let row = RequestRow { key, digest, resource, time: self.now.wall };
                    self.numbers.enter(row.clone());
                    batch.requests.push(row);
                }
            }
        }
    }

    /// With what the command's rows stand or fall.
    fn part_of(&self, command: &Command, batch: &Batch) -> Part {
        let uid = match command {
            Command::CancelRun { run, .. } => batch.runs.get(run).map(|run| run.job_uid),
            _ => command.job().and_then(|key| self.jobs.uid(key)),
        };
        uid.map_or(Part::Shared, Part::Job)
    }

    /// What the command is about and a transaction in flight, or the batch at hand, has already: transactions
    /// in flight share no job and no calendar (rule 3).
    fn blocked(&self, request: &Request, batch: &Batch) -> Option<Blocked> {
        let command = &request.command;
        let busy =
            |uid: &JobUid| batch.touched.contains(uid) || self.jobs.get(*uid).is_some_and(|entry| entry.busy.is_some());
        if let Some(uid) = command.job().and_then(|key| self.jobs.uid(key)).filter(busy) {
            return (!self.may_join(request, uid, batch)).then_some(Blocked::Job(uid));
        }
        match command {
            Command::CreateJob { job, definition, .. }
            | Command::UpdateJob { job, definition, .. }
            | Command::RestoreJobRevision { job, definition, .. } => {
                self.calendars_on_their_way(job, definition, batch)
            }
            Command::UndeleteJob { job } => {
                let entry = self.jobs.uid(job).and_then(|uid| self.jobs.get(uid))?;
                self.calendars_on_their_way(job, &entry.job.definition, batch)
            }
            Command::CancelRun { run, .. } => {
                // One that ended at once is not among the unended any more, and not yet in the ledger as ended.
                let uid = self.job_of_run(*run).or_else(|| batch.runs.get(run).map(|run| run.job_uid));
                uid.filter(busy).map(Blocked::Job)
            }
            Command::CreateCalendar { calendar, .. }
            | Command::UpdateCalendar { calendar, .. }
            | Command::DeleteCalendar { calendar, .. } => {
                if self.calendars_in_flight(batch).any(|key| key == calendar) {
                    return Some(Blocked::Commit);
                }
                // A job whose new definition is on its way may name the calendar in the ledger, and not here any more.
                let on_its_way = self.jobs_in_flight(batch).find(|(key, _)| key.namespace == calendar.namespace);
                let named = || self.jobs_that_name(calendar).into_iter().find(busy);
                on_its_way.map(|(_, uid)| uid).or_else(named).map(Blocked::Job)
            }
            Command::CordonAgent { agent, .. } | Command::UncordonAgent { agent } => {
                let in_flight = self.in_flight.values().flat_map(|flight| &flight.transaction.cordons);
                in_flight.chain(&batch.cordons).any(|write| write.agent == *agent).then_some(Blocked::Commit)
            }
            Command::DeleteJob { .. }
            | Command::PauseJob { .. }
            | Command::ResumeJob { .. }
            | Command::EnableJob { .. }
            | Command::DisableJob { .. }
            | Command::TriggerJob { .. }
            | Command::RetryRun { .. }
            | Command::BackfillJob { .. }
            | Command::PurgeRuns { .. }
            | Command::Status
            | Command::Agents
            | Command::Locks(_)
            | Command::Upcoming { .. }
            | Command::DrainAgent { .. }
            | Command::StepDown { .. } => None,
        }
    }

    /// Runs by request need not wait for others of their job in the same batch: of what is decided about them nothing
    /// rests on those, unless the job itself is changed, or it is the same request once more.
    fn may_join(&self, request: &Request, uid: JobUid, batch: &Batch) -> bool {
        let is_run = matches!(request.command, Command::TriggerJob { .. } | Command::RetryRun { .. });
        let is_free = self.jobs.get(uid).is_some_and(|entry| !entry.is_closed(batch));
        let is_changed = || batch.jobs.iter().any(|write| write.job.uid == uid);
        let is_repeated = |key: &RequestKey| {
            self.numbers.in_flight(key).is_some() && batch.requests.iter().any(|row| row.key == *key)
        };
        is_run && is_free && !is_changed() && !request.key.as_ref().is_some_and(is_repeated)
    }

    fn calendars_on_their_way(&self, job: &JobKey, definition: &Definition, batch: &Batch) -> Option<Blocked> {
        let names = &definition.schedule.exclude_calendars;
        let named = |key: &CalendarKey| key.namespace == job.namespace && names.contains(&key.calendar_id);
        self.calendars_in_flight(batch).any(named).then_some(Blocked::Commit)
    }

    fn jobs_in_flight<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = (&'a JobKey, JobUid)> {
        let in_flight = self.in_flight.values().flat_map(|flight| &flight.transaction.jobs);
        in_flight.chain(&batch.jobs).map(|write| (&write.job.key, write.job.uid))
    }

    fn calendars_in_flight<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = &'a CalendarKey> {
        let in_flight = self.in_flight.values().flat_map(|flight| &flight.transaction.calendars);
        in_flight.chain(&batch.calendars).map(|write| match write {
            CalendarWrite::Put(calendar) => &calendar.key,
            CalendarWrite::Delete(key) => key,
        })
    }

    /// The answer to a number that this term has seen, where its transaction is in flight. Who asks for the same job
    /// waits for that, and is looked up then.
    fn repeated(&self, pending: &Pending) -> Option<Result<Answer, Refusal>> {
        let row = self.numbers.in_flight(pending.request.key.as_ref()?)?;
        Some(repeat(row, &pending.request))
    }

    /// Whether the ledger must be asked about its number, perhaps again.
    fn is_unknown(&self, pending: &Pending) -> bool {
        let Some(key) = pending.request.key.as_ref().filter(|_| !pending.request.is_new) else { return false };
        pending
            .looked_up
            .is_none_or(|asked| self.now.boot.since(asked) > LOOK_UP_AGE || self.numbers.is_committed_since(key, asked))
    }

    /// Asks the ledger about all numbers that came in since it was last asked.
    pub(super) fn look_up_requests(&mut self, out: &mut Vec<Effect>) {
        if self.look_ups.is_empty() || self.looking_up.is_some() {
            return;
        }
        let id = self.next_call_id();
        let asked = |pending: Pending| Pending { looked_up: Some(self.now.boot), ..pending };
        let pending: Vec<Pending> = self.look_ups.drain(..).map(asked).collect();
        let keys = pending.iter().filter_map(|pending| pending.request.key.clone()).collect();
        out.push(Effect::Call(id, Call::FindRequests(keys)));
        self.looking_up = Some((id, pending));
    }

    pub(super) fn looked_up(&mut self, id: CallId, found: Result<Vec<RequestRow>, ()>, out: &mut Vec<Effect>) {
        let Some((asked, pending)) = self.looking_up.take_if(|(asked, _)| *asked == id) else { return };
        debug_assert_eq!(asked, id);
        let Ok(found) = found else {
            for pending in pending {
                out.push(Effect::Answer(pending.handle, Err(Refusal::Unavailable(Away::Ledger))));
            }
            return;
        };
        for pending in pending {
            match found.iter().find(|row| Some(&row.key) == pending.request.key.as_ref()) {
                Some(row) => out.push(Effect::Answer(pending.handle, repeat(row, &pending.request))),
                None => self.requests.push_back(pending),
            }
        }
    }

    /// Everybody who waits for an answer when the term ends: what is in flight may be done, the rest is not.
    pub(super) fn unanswered(&self) -> Vec<(RequestHandle, Refusal)> {
        let in_flight = self.in_flight.values().flat_map(|flight| &flight.then).filter_map(|then| match then {
            Then::Answer(handle, _)
            | Then::AnswerJob(handle, _)
            | Then::AnswerRun(handle, _)
            | Then::AnswerBackfill(handle, _)
            | Then::AnswerCalendar(handle, _) => Some((*handle, Refusal::OutcomeUnknown)),
            Then::Ack(..) | Then::LogAck(..) | Then::Assign(_) | Then::Cancel(_) => None,
        });
        let waiting = (self.requests.iter())
            .chain(&self.look_ups)
            .chain(self.parked_requests.values().flatten())
            .chain(self.reloads.values().flat_map(|reload| &reload.requests))
            .chain(self.looking_up.iter().flat_map(|(_, pending)| pending))
            .chain(&self.parked_for_commit)
            .map(|pending| (pending.handle, Refusal::Unavailable(Away::NoLeader)));
        let purging = self.purging.values().flatten().map(|handle| (*handle, Refusal::OutcomeUnknown));
        in_flight.chain(waiting).chain(purging).collect()
    }
}

fn repeat(row: &RequestRow, request: &Request) -> Result<Answer, Refusal> {
    if row.digest == request.digest {
        Ok(Answer::Repeated(row.resource.clone()))
    } else {
        Err(Refusal::RequestIdReused(row.key.request_id.clone()))
    }
}
