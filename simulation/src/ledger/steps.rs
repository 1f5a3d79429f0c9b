//! A call's way through the ledger.

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::ids::RunId;
use scheduler_core::run::{Run, RunState};
use scheduler_core::txn::{Call, CallId, Change, Done, Failure, Snapshot, TookOver, Transaction};

use super::{CallNumber, Open, STAYS, Step, unavailable, unknown};
use crate::clock::Instant;
use crate::event::Event;
use crate::plant::Plant;
use crate::server::Arrival;
use crate::trace::tell;
use crate::trouble::Nuisance;
use crate::world::World;

impl World {
    fn statement_delay(&mut self) -> Duration {
        let usual = self.profile.ledger_delay;
        let delay = usual / 4 + usual.mul_f64(self.random.below(1_000) as f64 / 1_000.0);
        if self.profile.slow_statements > 0.0 && self.random.chance(self.profile.slow_statements) {
            self.tally.count("fault", Nuisance::SlowStatement.name());
            return delay + self.random.millis(50, 2_500);
        }
        delay
    }

    pub(crate) fn call_ledger(&mut self, server: usize, id: CallId, mut call: Call) {
        let generation = self.servers[server].generation;
        if self.plant == Some(Plant::UnknownDecidedAnew) && self.ledger.unknown.remove(&(server, generation, id)) {
            call = self.decided_anew(&call);
        }
        if self.plant == Some(Plant::ConfirmedWithoutProof)
            && matches!(&call, Call::Commit(question) if question.is_empty())
        {
            let arrival = Arrival::Called(id, Ok(Done::Committed));
            self.queue.plan(self.now, Event::Server { server, generation, arrival });
            return;
        }
        self.ledger.next += 1;
        let number = CallNumber(self.ledger.next);
        self.ledger.open.insert(number, Open { server, generation, id, call, step: Step::Arrives, done: None });
        self.plan_step(number);
    }

    fn plan_step(&mut self, number: CallNumber) {
        let at = self.now.after(self.statement_delay());
        self.queue.plan(at, Event::LedgerStep { call: number });
    }

    pub(crate) fn ledger_step(&mut self, number: CallNumber) {
        let Some(open) = self.ledger.open.get(&number) else { return };
        match open.step {
            Step::Arrives => self.call_arrives(number),
            Step::WaitsForLock => {}
            Step::Fences => self.fence(number),
            Step::Writes => self.write(number),
            Step::Commits | Step::CommitsUnheard => self.commit(number),
        }
    }

    fn call_arrives(&mut self, number: CallNumber) {
        let Some(open) = self.ledger.open.get_mut(&number) else { return };
        if self.ledger.is_down || self.ledger.cut.contains(&open.server) {
            self.finish(number, Err(unavailable()));
            return;
        }
        if self.profile.refused_unapplied > 0.0 && self.random.chance(self.profile.refused_unapplied) {
            self.tally.count("fault", Nuisance::CallRefused.name());
            self.finish(number, Err(unavailable()));
            return;
        }
        open.step = Step::WaitsForLock;
        self.ledger.waiting.push_back(number);
        self.grant_locks();
    }

    /// EPOCH is fair: who waits for it exclusively is not overtaken.
    fn grant_locks(&mut self) {
        while let Some(&number) = self.ledger.waiting.front() {
            let Some(open) = self.ledger.open.get_mut(&number) else {
                self.ledger.waiting.pop_front();
                continue;
            };
            let is_exclusive = matches!(open.call, Call::TakeOver(_));
            let waits = if is_exclusive {
                self.ledger.exclusive.is_some()
                    || (!self.ledger.shared.is_empty() && self.plant != Some(Plant::TakeOverDoesNotWait))
            } else {
                self.ledger.exclusive.is_some()
            };
            if waits {
                if is_exclusive && !self.ledger.shared.is_empty() {
                    self.tally.count("ledger", "take-over waits for transactions");
                }
                return;
            }
            open.step = Step::Fences;
            self.ledger.waiting.pop_front();
            if is_exclusive {
                self.ledger.exclusive = Some(number);
            } else {
                self.ledger.shared.insert(number);
            }
            self.plan_step(number);
        }
    }

    fn fence(&mut self, number: CallNumber) {
        let Some(open) = self.ledger.open.get_mut(&number) else { return };
        let epoch = match &open.call {
            Call::Commit(transaction) => Some(transaction.epoch),
            Call::Load { epoch, .. } | Call::LoadJob { epoch, .. } | Call::Purge { epoch, .. } => Some(*epoch),
            Call::Survey | Call::LoadChanges { .. } | Call::TakeOver(_) | Call::FindRequests(_) => None,
        };
        let refused = match &open.call {
            Call::TakeOver(asked) => self.ledger.tables.judge(asked).err(),
            _ => epoch.and_then(|epoch| self.ledger.tables.fence(epoch).err()),
        };
        if let Some(failure) = refused.filter(|_| self.plant != Some(Plant::FenceRemoved)) {
            self.tally.count("ledger", kind_of_failure(&failure));
            self.finish(number, Err(failure));
            return;
        }
        open.step = Step::Writes;
        self.plan_step(number);
    }

    fn write(&mut self, number: CallNumber) {
        let clock = self.ledger.now(self.now);
        let Some(open) = self.ledger.open.get_mut(&number) else { return };
        match &open.call {
            Call::Commit(transaction) => {
                if let Err(failure) = self.ledger.tables.check(transaction, clock) {
                    self.tally.count("ledger", kind_of_failure(&failure));
                    tell!(self, "the ledger refuses ({failure}) {}", summary(transaction));
                    self.finish(number, Err(failure));
                    return;
                }
                if self.plant == Some(Plant::WatermarkBeforeInsert) && transaction.watermark.is_some() {
                    let watermark = transaction.watermark;
                    let alone =
                        Transaction { watermark, ..Transaction::new(transaction.epoch, transaction.decided_at) };
                    self.apply(&Arc::new(alone));
                }
            }
            Call::LoadChanges { above, most } => {
                let changes = self.ledger.tables.load_changes(*above, *most);
                open.done = Some(Done::LoadedChanges(Box::new(changes)));
            }
            Call::Load { entered_since, known, .. } => {
                let snapshot = self.ledger.tables.load(*entered_since, clock, known.as_ref());
                open.done = Some(Done::Loaded(Box::new(snapshot)));
            }
            Call::Survey => open.done = Some(Done::Surveyed(self.ledger.tables.survey(clock))),
            Call::LoadJob { job, entered_since, .. } => {
                let snapshot = self.ledger.tables.load_job(*job, *entered_since);
                open.done = Some(Done::LoadedJob(Box::new(snapshot)));
            }
            Call::FindRequests(keys) => open.done = Some(Done::FoundRequests(self.ledger.tables.find(keys, clock))),
            Call::TakeOver(_) | Call::Purge { .. } => {}
        }
        self.alter_answer(number);
        let Some(open) = self.ledger.open.get_mut(&number) else { return };
        open.step = Step::Commits;
        if is_answered_early(self.plant, &open.call) {
            open.step = Step::CommitsUnheard;
            let (server, generation, id) = (open.server, open.generation, open.id);
            let arrival = Arrival::Called(id, Ok(Done::Committed));
            self.queue.plan(self.now, Event::Server { server, generation, arrival });
        }
        self.plan_step(number);
    }

    fn commit(&mut self, number: CallNumber) {
        let clock = self.ledger.now(self.now);
        let Some(open) = self.ledger.open.get_mut(&number) else { return };
        let (server, unheard) = (open.server, open.step == Step::CommitsUnheard);
        let mut committed = None;
        let done = match &open.call {
            Call::Commit(transaction) => {
                let transaction = Arc::clone(transaction);
                tell!(self, "the ledger commits {}", summary(&transaction));
                let planted = self.as_planted(&transaction);
                self.apply(&planted);
                committed = Some(transaction);
                Done::Committed
            }
            Call::TakeOver(asked) => {
                let by_clock = self.plant == Some(Plant::EpochByClockAlone);
                let mut took_over = self.ledger.tables.take_over(asked, clock, by_clock);
                tell!(self, "server {server} takes over: epoch {}, watermark {}", took_over.epoch, took_over.watermark);
                self.witness_take_over(&took_over);
                self.alter_take_over(&mut took_over);
                Done::TookOver(took_over)
            }
            Call::Purge { purge, most, .. } => {
                let purge = purge.clone();
                let stays = (self.plant != Some(Plant::RetentionDeletesRecentRows)).then_some(STAYS);
                let (purged, gone) = self.ledger.tables.purge(&purge, *most, stays);
                self.tally.count("ledger", "asked to purge");
                tell!(self, "the ledger purges {} runs", gone.len());
                self.witness_purge(&purge, &gone);
                Done::Purged(purged)
            }
            Call::Survey
            | Call::LoadChanges { .. }
            | Call::Load { .. }
            | Call::LoadJob { .. }
            | Call::FindRequests(_) => open.done.take().expect("because it was read"),
        };
        if unheard {
            self.close_call(number);
            return;
        }
        let is_kept = committed.is_some() && self.ledger.keeps_from.take_if(|kept| *kept == server).is_some();
        let lost = is_kept
            || self.ledger.cut.contains(&server)
            || (self.profile.answers_lost > 0.0 && self.random.chance(self.profile.answers_lost));
        if lost {
            self.tally.count("fault", Nuisance::AnswerLost.name());
            tell!(self, "… and its answer to server {server} is lost");
        }
        self.finish(number, if lost { Err(unknown()) } else { Ok(done) });
        if let Some(transaction) = committed {
            self.spring(server, &transaction);
        }
    }

    /// Ends the transaction and sends the answer.
    fn finish(&mut self, number: CallNumber, result: Result<Done, Failure>) {
        let Some(open) = self.close_call(number) else { return };
        let wait = match &result {
            Err(Failure::Unknown(_)) => self.random.millis(1, 2_000),
            _ => self.statement_delay(),
        };
        if matches!(result, Err(Failure::Unknown(_))) {
            self.ledger.unknown.insert((open.server, open.generation, open.id));
        }
        let Open { server, generation, id, .. } = open;
        let at = self.now.after(wait);
        if self.plant == Some(Plant::AnswerAppliedTwice) && result == Ok(Done::Committed) {
            self.answer_next_too(server, generation, id, at);
        }
        self.queue.plan(at, Event::Server { server, generation, arrival: Arrival::Called(id, result) });
    }

    /// A planted bug: see [`Plant::AnswerAppliedTwice`].
    fn answer_next_too(&mut self, server: usize, generation: u32, id: CallId, at: Instant) {
        let is_next = |open: &&Open| {
            (open.server, open.generation) == (server, generation)
                && open.id > id
                && matches!(open.call, Call::Commit(_))
        };
        if let Some(next) = self.ledger.open.values().find(is_next) {
            let arrival = Arrival::Called(next.id, Ok(Done::Committed));
            self.queue.plan(at, Event::Server { server, generation, arrival });
        }
    }

    fn close_call(&mut self, number: CallNumber) -> Option<Open> {
        let open = self.ledger.open.remove(&number)?;
        self.ledger.shared.remove(&number);
        self.ledger.exclusive.take_if(|holder| *holder == number);
        self.grant_locks();
        Some(open)
    }

    /// The ledger goes away: what is open is rolled back, or was committed just before.
    pub(crate) fn ledger_goes_down(&mut self) {
        self.ledger.is_down = true;
        let numbers: Vec<_> = self.ledger.open.keys().copied().collect();
        for number in numbers {
            let commits = self.ledger.open.get(&number).is_some_and(|open| open.step == Step::Commits);
            if commits && self.random.chance(0.5) {
                self.commit(number);
            } else {
                self.finish(number, Err(unknown()));
            }
        }
    }

    /// What a take-over reads, where a planted bug falsifies it.
    fn alter_take_over(&self, took_over: &mut TookOver) {
        if self.plant == Some(Plant::WatermarkAhead) {
            took_over.watermark = took_over.watermark.saturating_add(Duration::from_secs(2));
        }
    }

    fn alter_answer(&mut self, number: CallNumber) {
        let plant = self.plant;
        let Some(open) = self.ledger.open.get_mut(&number) else { return };
        match (&mut open.done, plant) {
            (Some(Done::Loaded(snapshot)), Some(Plant::RowsSinceWatermarkUnread)) => snapshot.covered.clear(),
            (Some(Done::Loaded(snapshot)), Some(Plant::StaleJobsRead)) => {
                let Snapshot { jobs, .. } = &mut **snapshot;
                for job in jobs {
                    if let Some(before) = self.ledger.tables.jobs_before.get(&job.uid) {
                        *job = before.clone();
                    }
                }
            }
            (Some(Done::Loaded(snapshot)), Some(Plant::ShrinkIgnored)) => {
                for job in &mut snapshot.jobs {
                    let mut definition = (*job.definition).clone();
                    definition.max_instances = self.witness.largest_max_instances(job.uid);
                    job.definition = definition.into();
                }
            }
            (Some(Done::Loaded(snapshot)), Some(Plant::CountsUnread)) => {
                snapshot.since.iter_mut().for_each(|since| since.counts.clear());
            }
            (Some(Done::Surveyed(survey)), Some(Plant::TimersAhead)) => {
                survey.watermark = survey.watermark.map(|time| time.saturating_add(Duration::from_secs(2)));
            }
            (Some(Done::FoundRequests(found)), Some(Plant::RequestsForgotten)) => found.clear(),
            _ => {}
        }
    }

    fn as_planted(&mut self, transaction: &Arc<Transaction>) -> Arc<Transaction> {
        let mut altered = match self.plant {
            Some(Plant::MissedOffByOne | Plant::CatchUpEnteredTwice) => (**transaction).clone(),
            _ => return Arc::clone(transaction),
        };
        if self.plant == Some(Plant::CatchUpEnteredTwice) {
            if transaction.jobs.iter().any(|write| write.change == Change::Resume) {
                let made_up: Vec<_> =
                    transaction.entered.iter().filter(|run| run.covers_from.is_some()).cloned().collect();
                for run in made_up {
                    let id = RunId::at(run.decided_at, self.random.wide());
                    altered.entered.push(Run { id, ..run });
                }
            }
            return Arc::new(altered);
        }
        for run in altered.entered.iter_mut().filter(|run| run.state == RunState::Missed) {
            if let Some(next) = self.witness.fire_after(run) {
                run.scheduled_time = next;
            }
        }
        Arc::new(altered)
    }

    fn decided_anew(&mut self, call: &Call) -> Call {
        let Call::Commit(transaction) = call else { return call.clone() };
        let mut anew = (**transaction).clone();
        for run in &mut anew.entered {
            run.id = RunId::at(run.decided_at, self.random.wide());
        }
        Call::Commit(Arc::new(anew))
    }
}

fn is_answered_early(plant: Option<Plant>, call: &Call) -> bool {
    let Call::Commit(transaction) = call else { return false };
    let runs = || transaction.entered.iter().chain(&transaction.updated);
    match plant {
        Some(Plant::CommitAnsweredEarly) => true,
        Some(Plant::SlotFreedEarly) => {
            runs().any(|run| run.first_attempt.as_ref().is_some_and(|attempt| attempt.state.is_ended()))
                || transaction.attempts.iter().any(|(_, attempt)| attempt.state.is_ended())
        }
        _ => false,
    }
}

fn summary(transaction: &Transaction) -> String {
    use std::fmt::Write;
    let mut text = format!("epoch {}:", transaction.epoch);
    for write in &transaction.jobs {
        let job = &write.job;
        let _ = write!(text, " {} {} r{} from {};", write.change, job.key.job_id, job.revision, job.effective_from);
    }
    for (what, runs) in [("enters", &transaction.entered), ("updates", &transaction.updated)] {
        for run in runs {
            let attempt = run.first_attempt.as_ref().filter(|_| run.attempt == 1);
            let on = attempt.map_or_else(String::new, |a| format!(" on {} {}", a.agent_id, a.state));
            let covers =
                run.covers_from.map_or_else(String::new, |from| format!(" covers ({from}, {}]", run.scheduled_time));
            let _ = write!(
                text,
                " {what} {} of {} {} #{}{on}{covers}{};",
                short(run.id),
                run.job_key.job_id,
                run.state,
                run.attempt,
                run.reason.map_or_else(String::new, |reason| format!(" {reason}")),
            );
        }
    }
    for (run, attempt) in &transaction.attempts {
        let _ = write!(text, " attempt {}/{} on {} {};", short(*run), attempt.number, attempt.agent_id, attempt.state);
    }
    if let Some(watermark) = transaction.watermark {
        let _ = write!(text, " W {watermark}");
    }
    text
}

/// The end of an id, by which people tell runs apart.
pub(crate) fn short(id: RunId) -> String {
    let text = id.to_string();
    text[text.len() - 6..].to_owned()
}

fn kind_of_failure(failure: &Failure) -> &'static str {
    match failure {
        Failure::Deposed { .. } => "fenced off",
        Failure::Unavailable(_) => "unavailable",
        Failure::Unknown(_) => "unknown",
        Failure::LaterElection(_) => "refused for a later election",
        Failure::Conflict { .. } => "conflict",
        Failure::Clock { .. } => "refused for its clock",
        Failure::WentBack { .. } => "refused for what it has lost",
        Failure::Refused(_) => "refused",
    }
}
