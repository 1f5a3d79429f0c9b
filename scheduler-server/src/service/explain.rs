//! ExplainFire: what became of one instant of a job, and why, from the ledger alone.
//!
//! A row tells by itself. Where there is none, the definition that held at the instant is asked: an active job owes a
//! row for every instant up to the watermark, so that the absence of one has a reason.

mod row;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ledger::{FireRecord, Revision};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::job::Pause;
use scheduler_core::schedule::Compiled;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Change;
use v1::explain_fire_response::Outcome;

use super::{Error, Service, lists, view};

const TICK: Duration = Duration::from_micros(1);

impl Service {
    pub async fn explain_fire(&self, request: v1::ExplainFireRequest) -> Result<v1::ExplainFireResponse, Error> {
        let mut violations = Violations::default();
        let key = job_spec::job_key(&request.namespace, &request.job_id, "", &mut violations);
        if request.time.is_none() {
            violations.add("time", "is required");
        }
        let time = lists::instant("time", request.time.as_ref(), &mut violations).unwrap_or_default();
        violations.or(()).map_err(Error::Invalid)?;
        let record = self.ledger.fire(&key, time).await?.ok_or(Error::JobNotFound(key))?;
        let revisions = record.revision.iter().chain(&record.row_revision);
        let schedules =
            revisions.map(|revision| (record.job.key.namespace.as_str(), &revision.job.definition.schedule));
        let calendars = self.calendars_of(schedules).await?;
        let compile = |revision: &Revision| {
            let namespace = revision.job.key.namespace.as_str();
            // A calendar that an earlier revision named may be gone.
            job_spec::compile(&revision.job, &|name| {
                calendars.find(namespace, name).or_else(|| job_spec::any_calendar(name))
            })
        };
        let question = Question {
            held: record.revision.as_ref().and_then(compile),
            decided: record.row_revision.as_ref().and_then(compile),
            record: &record,
            time,
            now: self.now(),
        };
        Ok(question.response())
    }
}

/// What became of the instant, before it is dressed as an answer.
struct Answer {
    outcome: Outcome,
    words: String,
    pause: Option<Pause>,
    calendar_id: String,
}

impl Answer {
    fn new(outcome: Outcome, words: impl Into<String>) -> Self {
        Self { outcome, words: words.into(), pause: None, calendar_id: String::new() }
    }
}

struct Question<'r> {
    record: &'r FireRecord,
    /// The schedule that held at the instant.
    held: Option<Compiled>,
    /// The schedule that the row was decided by.
    decided: Option<Compiled>,
    time: Timestamp,
    now: Timestamp,
}

impl Question<'_> {
    fn response(&self) -> v1::ExplainFireResponse {
        let row = self.record.row.as_ref().filter(|stored| self.is_of(stored.run.scheduled_time));
        let Answer { outcome, mut words, pause, calendar_id } = match row {
            Some(stored) => self.of_row(stored),
            None => self.without_row(),
        };
        if let Some(stored) = &self.record.backfilled
            && let Some(backfill) = stored.run.backfill_id
        {
            words += &format!(" Backfill {backfill} made run {} of it, which is {}.", stored.run.id, stored.run.state);
        }
        let revision = self.record.revision.as_ref().map_or(0, |revision| revision.job.revision);
        v1::ExplainFireResponse {
            outcome: outcome.into(),
            explanation: words,
            run: row.map(view::run),
            pause: pause.as_ref().map(job_spec::pause),
            calendar_id,
            job_revision: i32::try_from(revision).unwrap_or(i32::MAX),
        }
    }

    /// Whether the instant is one of those that a row decides: its last, or a fire before that.
    fn is_of(&self, last: Timestamp) -> bool {
        let fires = |compiled: &Option<Compiled>| compiled.as_ref().is_some_and(|compiled| self.fires(compiled));
        self.time == last || fires(&self.held) || fires(&self.decided)
    }

    fn fires(&self, compiled: &Compiled) -> bool {
        compiled.next(self.time.saturating_sub(TICK)) == Some(self.time)
    }

    fn without_row(&self) -> Answer {
        let job = &self.record.job;
        let Some(held) = &self.record.revision else {
            let words = format!("Job {} did not exist yet: it was created at {}.", job.key, job.create_time);
            return Answer::new(Outcome::NotCreated, words);
        };
        if held.change == Change::Delete {
            let words = format!("Job {} was deleted at {} by {}.", job.key, held.job.update_time, held.author);
            return Answer::new(Outcome::Deleted, words);
        }
        let Some(compiled) = &self.held else {
            let words = "This version cannot evaluate the schedule that held then, so that it has no instants.";
            return Answer::new(Outcome::NotAnInstant, words);
        };
        if let Some(calendar) = compiled.excluded_by(self.time) {
            let words = format!("Calendar {calendar} excludes it.{}", self.calendar_note());
            return Answer { calendar_id: calendar.to_owned(), ..Answer::new(Outcome::Excluded, words) };
        }
        if !self.fires(compiled) {
            return Answer::new(Outcome::NotAnInstant, not_an_instant(held, compiled, self.time));
        }
        if !held.job.definition.enabled {
            return Answer::new(Outcome::Disabled, self.disabled());
        }
        if let Some(pause) = &held.job.pause {
            return Answer { pause: Some(pause.clone()), ..Answer::new(Outcome::Paused, self.paused(pause)) };
        }
        self.of_an_active_job(held, compiled)
    }

    /// It is an instant, and nothing stood against it.
    fn of_an_active_job(&self, held: &Revision, compiled: &Compiled) -> Answer {
        let key = &self.record.job.key;
        if let Some(max) = self.is_beyond_max_fires(held, compiled) {
            let words = format!("The schedule has max_fires {max}, and as many instants come before it.");
            return Answer::new(Outcome::MaxFiresReached, words);
        }
        if self.time > self.now {
            return Answer::new(
                Outcome::Upcoming,
                format!("It has not come: it is {} from now.", length(self.time.since(self.now))),
            );
        }
        if self.time > self.record.watermark {
            let words = format!(
                "It is due since {}, and has not been decided yet: a leader does that within a second.",
                length(self.now.since(self.time))
            );
            return Answer::new(Outcome::Undecided, words);
        }
        let has_calendars = !held.job.definition.schedule.exclude_calendars.is_empty();
        let may_be_excluded = self.record.calendar_change.is_some() && has_calendars;
        if may_be_excluded && self.keeps_what_was() {
            let words = format!("A calendar of the job excluded it.{}", self.calendar_note());
            return Answer::new(Outcome::Excluded, words);
        }
        let or = if may_be_excluded { ", or a calendar excluded it" } else { "" };
        let words = format!(
            "The record of what job {key} did then is gone: it was purged, or is older than the job keeps runs{or}."
        );
        Answer::new(Outcome::NoRecord, words)
    }

    /// Whether rows of the time before the instant are there, or there never were any.
    fn keeps_what_was(&self) -> bool {
        let FireRecord { job, first_covered, .. } = self.record;
        job.counts.fires == 0 || first_covered.is_some_and(|first| first < self.time)
    }

    fn calendar_note(&self) -> String {
        let changed = self.record.calendar_change;
        changed.map_or_else(String::new, |time| {
            format!(" Its calendars have been changed since, at {time}; what they said before is not kept.")
        })
    }

    fn disabled(&self) -> String {
        let key = &self.record.job.key;
        let by = self.record.disabled_by.as_ref().map_or_else(String::new, |change| {
            format!(", since {} by {}{}", change.job.update_time, change.author, noted(&change.note))
        });
        if self.time > self.now {
            format!("Job {key} is disabled{by}: it fires only if it is enabled before.")
        } else {
            format!("Job {key} was disabled{by}.")
        }
    }

    fn paused(&self, pause: &Pause) -> String {
        let key = &self.record.job.key;
        let since = format!("since {} by {}{}", pause.time, pause.author, noted(&pause.note));
        match &self.record.next {
            _ if self.time > self.now => {
                format!("Job {key} is paused, {since}: it fires only if it is resumed before.")
            }
            Some(next) if next.change != Change::Resume => format!(
                "Job {key} was paused, {since}. {} changed it at {}, and what had passed is not made up.",
                next.author, next.job.update_time
            ),
            Some(next) => format!(
                "Job {key} was paused, {since}. {} resumed it at {} and did not ask for what had passed.",
                next.author, next.job.update_time
            ),
            None => format!("Job {key} was paused, {since}. Resume it with catch_up, and it is made up."),
        }
    }

    /// `max_fires`, if that many instants are decided, or come, before this one.
    fn is_beyond_max_fires(&self, held: &Revision, compiled: &Compiled) -> Option<u32> {
        let max = held.job.definition.schedule.max_fires?;
        let decided = self.record.job.counts.fires;
        let last = match self.record.last_covered {
            // The rows are gone, and with them which instants were the ones.
            None if decided > 0 && self.time <= self.record.watermark => return None,
            last => last.unwrap_or(Timestamp::MIN),
        };
        let left = u64::from(max).saturating_sub(decided);
        let after = last.max(held.job.effective_from);
        let is_beyond = self.time > last && compiled.count(after, self.time, left + 1).fires > left;
        is_beyond.then_some(max)
    }
}

fn not_an_instant(held: &Revision, compiled: &Compiled, time: Timestamp) -> String {
    if let Some(delay) = compiled.after_completion() {
        return format!("The job fires {} after each run's end, and no run was due at this instant.", length(delay));
    }
    if compiled.is_empty() {
        return "The job has no schedule: it runs when it is triggered.".to_owned();
    }
    let around = match (compiled.prev(time), compiled.next(time)) {
        (Some(before), Some(after)) => format!("those around it are {before} and {after}"),
        (Some(before), None) => format!("the last is {before}"),
        (None, Some(after)) => format!("the first is {after}"),
        (None, None) => "it has none".to_owned(),
    };
    format!("It is no instant of the schedule as revision {} has it: {around}.", held.job.revision)
}

fn noted(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" ({note})") }
}

/// In whole milliseconds.
fn length(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match (millis / 1_000, millis % 1_000) {
        (0, millis) => format!("{millis} ms"),
        (seconds @ ..60, millis) => format!("{seconds}.{} s", millis / 100),
        (seconds @ ..3_600, _) => format!("{} min {} s", seconds / 60, seconds % 60),
        (seconds @ ..86_400, _) => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        (seconds, _) => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}
