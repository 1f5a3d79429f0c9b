//! Whether every instant is covered, once, by a row that says what it covers (promises 1, 2 and 9).

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::calendar::CalendarKey;
use scheduler_core::engine::Command;
use scheduler_core::ids::JobUid;
use scheduler_core::run::{Reason, Run, Trigger};
use scheduler_core::schedule::{Compiled, Context, Exclusion, SHORTEST_EVERY};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{CalendarWrite, Change, JobWrite, Transaction};

use super::{JobRecord, Version, Witness};
use crate::client::Clients;
use crate::ledger::short;
use crate::promise::Promise;
use crate::tally::Check;
use crate::transition::Transition;
use crate::world::World;

const MAX_COUNT: u64 = 10_000;
const TICK: Duration = Duration::from_micros(1);

impl World {
    pub(super) fn witness_calendar(&mut self, write: &CalendarWrite) {
        match write {
            CalendarWrite::Put(calendar) => match Exclusion::new(&calendar.definition.dates) {
                Ok(exclusion) => {
                    self.witness.calendars.insert(calendar.key.clone(), Arc::new(exclusion));
                }
                Err(why) => self.broken(Promise::P8, format!("calendar {} is none: {why:?}", calendar.key)),
            },
            CalendarWrite::Delete(key) => {
                self.witness.calendars.remove(key);
            }
        }
    }

    /// A revision that is new.
    pub(super) fn witness_version(&mut self, write: &JobWrite) {
        let job = &write.job;
        if self.witness.jobs.get(&job.uid).is_some_and(|record| record.versions.contains_key(&job.revision)) {
            return;
        }
        let hash_key = job.key.to_string();
        let context = Context {
            hash_key: Some(&hash_key),
            create_time: job.create_time,
            min_every: SHORTEST_EVERY,
            calendars: &|name| {
                let key = CalendarKey { namespace: job.key.namespace.clone(), calendar_id: name.to_owned() };
                self.witness.calendars.get(&key).map(Arc::clone)
            },
        };
        let Ok(compiled) = Compiled::new(&job.definition.schedule, &context) else {
            return self.broken(Promise::P8, format!("job {} has a schedule that cannot be evaluated", job.key));
        };
        let version = Version { job: job.clone(), compiled: Arc::new(compiled) };
        match self.witness.jobs.get_mut(&job.uid) {
            Some(record) => {
                let last = record.versions.last_key_value().map_or(0, |(revision, _)| *revision);
                record.versions.insert(job.revision, version);
                if job.revision != last + 1 {
                    let how = format!("job {} goes from revision {last} to {}", job.key, job.revision);
                    self.broken(Promise::P5, how);
                }
            }
            None => {
                let record = JobRecord {
                    current: job.revision,
                    versions: std::iter::once((job.revision, version)).collect(),
                    answered: 0,
                    answered_pause: 0,
                    checked: job.effective_from,
                    covered: std::collections::BTreeMap::new(),
                    counted: 0,
                    unended_attempts: std::collections::BTreeSet::new(),
                    unended_scheduled: std::collections::BTreeSet::new(),
                    running: std::collections::BTreeSet::new(),
                    last_tokens: std::collections::BTreeMap::new(),
                    last_started: std::collections::BTreeMap::new(),
                };
                self.witness.jobs.insert(job.uid, record);
            }
        }
    }

    /// A row that decides instants says truly which.
    pub(super) fn witness_entry(&mut self, run: &Run) {
        if self.witness.runs.contains_key(&run.id) {
            return;
        }
        let Some(record) = self.witness.jobs.get_mut(&run.job_uid) else {
            return self.broken(Promise::P5, format!("run {} of a job that nobody made", short(run.id)));
        };
        let Some(version) = record.versions.get(&run.job_revision) else {
            return self.broken(Promise::P9, format!("run {} of a revision that nobody made", short(run.id)));
        };
        let name = short(run.id);
        if version.job.definition.schedule.max_fires.is_some() && run.trigger == Trigger::Schedule {
            record.counted += run.coalesced_count;
        }
        let Some(from) = run.covers_from else { return };
        let (last, compiled, definition) = (run.scheduled_time, Arc::clone(&version.compiled), &version.job.definition);
        let (grace, effective_from) = (definition.misfire_grace_time, version.job.effective_from);
        let overlaps =
            record.covered.range(from.saturating_add(TICK)..).next().is_some_and(|(_, (other, _))| *other < last);
        record.covered.insert(last, (from, run.id));
        let first = run.first_scheduled_time.unwrap_or(last);
        let count = compiled.count(from, last, MAX_COUNT).fires;
        let late = last.saturating_add(compiled.jitter_bound()).saturating_add(grace) < run.decided_at;
        let broken = [
            (overlaps, Promise::P2, "covers instants that another row covers".to_owned()),
            (compiled.next(from) != Some(first), Promise::P1, format!("does not begin with the fire after {from}")),
            (compiled.prev(last.saturating_add(TICK)) != Some(last), Promise::P1, format!("ends at {last}, no fire")),
            (count != run.coalesced_count, Promise::P1, format!("counts {} of {count} fires", run.coalesced_count)),
            (
                last > run.decided_at.max(effective_from) && run.reason != Some(Reason::JobChanged),
                Promise::P1,
                "is entered ahead".to_owned(),
            ),
            (run.reason == Some(Reason::Late) && !late, Promise::P1, "is MISSED within grace".to_owned()),
        ];
        for (is_broken, promise, how) in broken {
            if is_broken {
                let span = format!("({from}, {last}], decided at {}", run.decided_at);
                self.broken(promise, format!("row {name} of {} {how}: {span}", run.job_key));
            }
        }
    }

    /// What runs is entered under the definition that holds (promise 9).
    pub(super) fn check_entries(&mut self, transaction: &Transaction) {
        for run in transaction.entered.iter().filter(|run| run.trigger == Trigger::Schedule && !run.state.is_ended()) {
            let Some(record) = self.witness.jobs.get(&run.job_uid) else { continue };
            let (fires, current) = (record.version().job.fires(), record.current);
            let latest = self
                .witness
                .runs
                .get(&run.id)
                .is_some_and(|known| known.latest > run.attempt || known.state.is_ended());
            if latest {
                continue;
            }
            if !fires {
                self.broken(
                    Promise::P9,
                    format!("run {} is entered while {} does not fire", short(run.id), run.job_key),
                );
            } else if run.job_revision != current {
                let how =
                    format!("run {} is entered under revision {}, not {current}", short(run.id), run.job_revision);
                self.broken(Promise::P9, how);
            }
        }
    }

    /// A change closes the books of the old definition and enters what it owes.
    pub(super) fn check_change(&mut self, write: &JobWrite, transaction: &Transaction) {
        let job = &write.job;
        let Some(record) = self.witness.jobs.get(&job.uid) else { return };
        if record.current >= job.revision && job.revision != 1 {
            return;
        }
        let old = &record.versions[&record.current];
        let has_no_fire = || !old.compiled.is_empty() && old.compiled.is_exhausted(transaction.decided_at);
        let shown = old.job.state(old.job.fires_left() == Some(0) || has_no_fire());
        self.tally.goes(match write.change {
            Change::Create => Transition::JobCreated,
            change => Transition::Job(shown, change),
        });
        let old = &old.job;
        let (old_fires, old_from) = (old.fires(), old.effective_from);
        let had = if job.revision == 1 { Vec::new() } else { old.definition.schedule.at.clone() };
        if job.revision > 1 && job.effective_from != old_from {
            if old_fires {
                self.check_covered(job.uid, job.effective_from, "when its job was changed");
            }
            if let Some(record) = self.witness.jobs.get_mut(&job.uid) {
                record.checked = record.checked.max(job.effective_from);
            }
        }
        if let Some(record) = self.witness.jobs.get_mut(&job.uid) {
            record.current = job.revision;
        }
        if matches!(write.change, Change::Create | Change::Update | Change::Restore) && job.fires() {
            self.check_owed(write, &had, transaction);
        }
        if write.change == Change::Resume && job.fires() && self.asked_to_catch_up(&write.author) {
            self.check_made_up(job.uid, old_from, job.effective_from);
        }
    }

    fn asked_to_catch_up(&self, author: &str) -> bool {
        let write = Clients::write_of(author).and_then(|write| self.clients.writes.get(&write));
        write.is_some_and(|write| matches!(write.command, Command::ResumeJob { catch_up: true, .. }))
    }

    fn check_made_up(&mut self, uid: JobUid, from: Timestamp, until: Timestamp) {
        let Some(record) = self.witness.jobs.get(&uid) else { return };
        let version = record.version();
        if let Some(lost) = uncovered(record, &version.compiled, from, owed_until(record, until)) {
            let how = format!("the fire {lost} of {} was paused, and catch_up does not make it up", version.job.key);
            self.broken(Promise::P1, how);
        } else {
            self.tally.count("check", Check::PausedSpanMadeUp.name());
        }
    }

    /// One-shots within grace fire at once.
    fn check_owed(&mut self, write: &JobWrite, had: &[Timestamp], transaction: &Transaction) {
        let job = &write.job;
        let oldest = transaction.decided_at.saturating_sub(job.definition.misfire_grace_time);
        for at in &job.definition.schedule.at {
            let is_owed = *at >= oldest && *at <= job.effective_from && !had.contains(at);
            let is_entered =
                || transaction.entered.iter().any(|run| run.job_uid == job.uid && run.scheduled_time == *at);
            if is_owed && !is_entered() {
                self.broken(Promise::P1, format!("the one-shot {at} of {} is owed and not entered", job.key));
            }
        }
    }

    /// The watermark says that every fire up to it is in the ledger.
    pub(super) fn check_watermark(&mut self, watermark: Timestamp) {
        self.witness.watermark = watermark;
        let uids: Vec<JobUid> = self.witness.jobs.keys().copied().collect();
        for uid in uids {
            let version = self.witness.jobs[&uid].version();
            if version.job.fires() {
                self.check_covered(uid, watermark, "when the watermark passed it");
            }
            if let Some(record) = self.witness.jobs.get_mut(&uid) {
                record.checked = record.checked.max(watermark);
            }
        }
    }

    fn check_covered(&mut self, uid: JobUid, until: Timestamp, when: &str) {
        let Some(record) = self.witness.jobs.get(&uid) else { return };
        let version = record.version();
        let owed = owed_until(record, until);
        let is_bounded = version.job.definition.schedule.max_fires.is_some();
        if is_bounded && version.compiled.next(record.checked).is_some_and(|fire| fire <= owed) {
            self.tally.count("check", Check::BoundedFiresCovered.name());
        }
        if let Some(lost) = uncovered(record, &version.compiled, record.checked, owed) {
            let how = format!("no row covers the fire {lost} of {} {when} ({until})", version.job.key);
            self.broken(Promise::P1, how);
        }
    }

    /// Of an after_completion job exactly one scheduled run is under way; bounds on fires hold.
    pub(super) fn check_after_completion(&mut self, uid: JobUid) {
        let Some(record) = self.witness.jobs.get(&uid) else { return };
        let job = &record.version().job;
        let schedule = &job.definition.schedule;
        let spent = schedule.max_fires.is_some_and(|max| record.counted >= u64::from(max));
        let too_many = schedule.max_fires.is_some_and(|max| record.counted > u64::from(max))
            && record.versions.values().all(|v| v.job.definition.schedule.max_fires == schedule.max_fires);
        if too_many {
            let how = format!("{} decided {} fires, more than max_fires", job.key, record.counted);
            return self.broken(Promise::P2, how);
        }
        let is_chained = schedule.after_completion.is_some()
            && record.versions.values().all(|v| v.job.definition.schedule.after_completion.is_some());
        let under_way = record.unended_scheduled.len();
        if is_chained && job.fires() && !spent && under_way != 1 {
            let how = format!("{} runs of the after_completion job {} are under way", under_way, job.key);
            let promise = if under_way == 0 { Promise::P1 } else { Promise::P2 };
            self.broken(promise, how);
        }
    }
}

/// Up to where instants are owed: those that `max_fires` leaves out come after the last that was decided.
fn owed_until(record: &JobRecord, until: Timestamp) -> Timestamp {
    let max_fires = record.version().job.definition.schedule.max_fires;
    if max_fires.is_none_or(|max| record.counted < u64::from(max)) {
        return until;
    }
    record.covered.last_key_value().map_or(Timestamp::MIN, |(last, _)| until.min(*last))
}

/// The first instant in `(after, until]` that no row covers.
fn uncovered(record: &JobRecord, compiled: &Compiled, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
    let mut after = after;
    while let Some(fire) = compiled.next(after).filter(|fire| *fire <= until) {
        match record.covered.range(fire..).next() {
            Some((last, (from, _))) if *from < fire => after = *last,
            _ => return Some(fire),
        }
    }
    None
}

impl Witness {
    /// The fire after the one that a row ends with.
    pub(crate) fn fire_after(&self, run: &Run) -> Option<Timestamp> {
        let version = self.jobs.get(&run.job_uid)?.versions.get(&run.job_revision)?;
        version.compiled.next(run.scheduled_time)
    }
}
