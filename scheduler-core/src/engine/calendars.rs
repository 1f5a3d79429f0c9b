//! Calendars: a change of one is a change of every job that names it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::{Calendar, CalendarKey, Definition};
use crate::ids::JobUid;
use crate::job::{self, JobKey};
use crate::schedule::{Compiled, Context, Exclusion, SHORTEST_EVERY, Schedule};
use crate::time::Timestamp;
use crate::txn::{CalendarWrite, Change};
use crate::violation::Violations;

use super::batch::{Batch, Then};
use super::input::{Alert, RequestHandle};
use super::plan::Planned;
use super::request::{Answer, Refusal};
use super::requests::Decided;
use super::term::Term;

struct Entry {
    calendar: Calendar,
    exclusion: Arc<Exclusion>,
}

/// The calendars in memory.
#[derive(Default)]
pub(super) struct Calendars {
    by_key: BTreeMap<CalendarKey, Entry>,
}

impl Calendars {
    /// One whose dates cannot be understood any more excludes nothing; the violations say so.
    pub(super) fn insert(&mut self, calendar: Calendar) -> Result<(), Violations> {
        let exclusion = Arc::new(Exclusion::new(&calendar.definition.dates)?);
        self.by_key.insert(calendar.key.clone(), Entry { calendar, exclusion });
        Ok(())
    }

    /// These are all that there are. What a human must hear of them.
    pub(super) fn replace(&mut self, all: Vec<Calendar>) -> Vec<Alert> {
        let mut before = std::mem::take(&mut self.by_key);
        let mut alerts = Vec::new();
        for calendar in all {
            let key = calendar.key.clone();
            if let Some(known) = before.remove(&key).filter(|known| known.calendar == calendar) {
                self.by_key.insert(key, known);
            } else if let Err(why) = self.insert(calendar) {
                alerts.push(Alert::UnusableCalendar { calendar: key, why });
            }
        }
        alerts
    }

    pub(super) fn find(&self, key: &CalendarKey) -> Option<&Calendar> {
        self.by_key.get(key).map(|entry| &entry.calendar)
    }

    fn get(&self, key: &CalendarKey) -> Result<&Calendar, Refusal> {
        self.find(key).ok_or_else(|| Refusal::CalendarNotFound(key.clone()))
    }

    /// Compiles a job's schedule with the calendars that it names.
    pub(super) fn compile(
        &self,
        key: &JobKey,
        definition: &job::Definition,
        create_time: Timestamp,
        min_every: Duration,
    ) -> Result<Compiled, Violations> {
        let hash_key = key.to_string();
        let find = |name: &str| {
            let key = CalendarKey { namespace: key.namespace.clone(), calendar_id: name.to_owned() };
            self.by_key.get(&key).map(|entry| Arc::clone(&entry.exclusion))
        };
        let context = Context { hash_key: Some(&hash_key), create_time, min_every, calendars: &find };
        Compiled::new(&definition.schedule, &context)
    }

    /// The schedule of a job as the ledger has it. One that cannot be evaluated any more (the time zone data lost its zone)
    /// never fires, and a human is to be told why.
    pub(super) fn compile_stored(&self, job: &job::Job) -> (Compiled, Option<Violations>) {
        match self.compile(&job.key, &job.definition, job.create_time, SHORTEST_EVERY) {
            Ok(compiled) => (compiled, None),
            Err(why) => (never(), Some(why)),
        }
    }
}

/// The empty schedule.
fn never() -> Compiled {
    Compiled::new(&Schedule::default(), &Context::preview(Timestamp::MIN))
        .expect("because nothing is wrong with the empty schedule")
}

impl Term {
    pub(super) fn create_calendar(
        &mut self,
        handle: RequestHandle,
        key: CalendarKey,
        definition: Definition,
        validate_only: bool,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        if self.calendars.by_key.contains_key(&key) {
            return Err(Refusal::CalendarExists(key));
        }
        let now = self.now.wall;
        let calendar = Calendar { key, definition, revision: 1, change_seq: 0, create_time: now, update_time: now };
        self.put_calendar(handle, calendar, validate_only, batch)
    }

    #[expect(clippy::too_many_arguments, reason = "a command's parts")]
    pub(super) fn update_calendar(
        &mut self,
        handle: RequestHandle,
        key: CalendarKey,
        definition: Definition,
        etag: Option<&str>,
        validate_only: bool,
        author: &str,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        let old = self.calendars.get(&key)?;
        check_etag(old, etag)?;
        if old.definition == definition {
            return Ok(Decided::Now(Ok(Answer::Calendar(Box::new(old.clone())))));
        }
        let dates_change = old.definition.dates != definition.dates;
        let revision = old.revision + 1;
        let calendar = Calendar { definition, revision, update_time: self.now.wall, ..old.clone() };
        let decided = self.put_calendar(handle, calendar, validate_only, batch)?;
        if dates_change && !validate_only {
            for uid in self.jobs_that_name(&key) {
                self.reschedule_for_calendar(uid, &key, author, batch);
            }
        }
        Ok(decided)
    }

    fn put_calendar(
        &mut self,
        handle: RequestHandle,
        mut calendar: Calendar,
        validate_only: bool,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        Exclusion::new(&calendar.definition.dates).map_err(Refusal::Invalid)?;
        if validate_only {
            return Ok(Decided::Now(Ok(Answer::Calendar(Box::new(calendar)))));
        }
        self.last_change_seq += 1;
        calendar.change_seq = self.last_change_seq;
        let key = calendar.key.clone();
        self.calendars.insert(calendar.clone()).map_err(Refusal::Invalid)?;
        batch.calendars.push(CalendarWrite::Put(calendar));
        batch.then.push(Then::AnswerCalendar(handle, key.clone()));
        Ok(Decided::InBatch(key.to_string()))
    }

    pub(super) fn delete_calendar(
        &mut self,
        handle: RequestHandle,
        key: &CalendarKey,
        etag: Option<&str>,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        let calendar = self.calendars.get(key)?.clone();
        check_etag(&calendar, etag)?;
        if let Some(entry) = self.jobs_that_name(key).first().and_then(|uid| self.jobs.get(*uid)) {
            return Err(Refusal::CalendarInUse { calendar: key.clone(), job: entry.job.key.clone() });
        }
        self.calendars.by_key.remove(key);
        batch.calendars.push(CalendarWrite::Delete(key.clone()));
        batch.then.push(Then::Answer(handle, Box::new(Answer::Calendar(Box::new(calendar)))));
        Ok(Decided::InBatch(key.to_string()))
    }

    /// Jobs that are not deleted and whose schedule names the calendar.
    pub(super) fn jobs_that_name(&self, key: &CalendarKey) -> Vec<JobUid> {
        let names = |job: &job::Job| {
            job.key.namespace == key.namespace && job.definition.schedule.exclude_calendars.contains(&key.calendar_id)
        };
        self.jobs.live().filter(|entry| names(&entry.job)).map(|entry| entry.job.uid).collect()
    }

    fn reschedule_for_calendar(&mut self, uid: JobUid, key: &CalendarKey, author: &str, batch: &mut Batch) {
        let Some(job) = self.jobs.get(uid).map(|entry| entry.job.clone()) else { return };
        let min_every = self.config.min_every;
        let compiled = self.calendars.compile(&job.key, &job.definition, job.create_time, min_every);
        // One that cannot be evaluated any more does not fire; a human was told when the term began.
        let Some(compiled) = compiled.ok().or_else(|| self.jobs.get(uid).map(|entry| entry.compiled.clone())) else {
            return;
        };
        let note = format!("calendar {key} was changed");
        let planned = Planned { note, ..Planned::new(job, compiled, Change::Calendar) };
        self.carry_out(planned, author.to_owned(), batch);
    }
}

fn check_etag(calendar: &Calendar, etag: Option<&str>) -> Result<(), Refusal> {
    match etag {
        Some(etag) if etag != calendar.etag() => {
            Err(Refusal::StaleEtag { resource: format!("calendar {}", calendar.key), etag: calendar.etag() })
        }
        _ => Ok(()),
    }
}
