//! What the ledger refuses for its data (rule 9): it is parted until what is bad stands alone, and costs no more than
//! itself. The bad report fails its run, a refused change answers its client, a refused fire takes its job out of
//! service.
//!
//! What stands alone is one job, of which a transaction may hold several things. Memory ran ahead of the ledger by
//! it, so the job is read anew, and from then on *doubted*: each of its transactions holds one thing only. What is
//! refused then is what is bad.

use std::collections::BTreeSet;

use crate::agent::{Ack, ReportEvent};
use crate::ids::{AgentInstance, AttemptId, JobUid, RunId};
use crate::job::Pause;
use crate::run::{Reason, RunEvent};
use crate::txn::{CallId, Change};

use super::attempts::{AUTHOR, End};
use super::batch::{Batch, Cause, InFlight, Then};
use super::commits::Over;
use super::inbox::Event;
use super::input::{Alert, Effect};
use super::parts::{Part, Parts};
use super::plan::Planned;
use super::reload::Reload;
use super::request::{Command, Refusal};
use super::term::Term;

/// The ledger's words are for the history; the rest of them is in its own log.
const LONGEST_WHY: usize = 300;

/// A run that cannot be stored as it would have become.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Spoilt {
    pub(super) run: RunId,
    /// The report that brought it about.
    pub(super) ack: Option<(AgentInstance, Ack)>,
    pub(super) why: String,
}

/// A job whose fires cannot be stored.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct OutOfService {
    pub(super) job: JobUid,
    /// Whether its undecided fires become a row: that may be what is refused.
    pub(super) with_row: bool,
    pub(super) why: String,
}

impl Term {
    /// A transaction that is refused for its data goes on in halves.
    pub(super) fn refused(&mut self, id: CallId, why: &str, out: &mut Vec<Effect>) -> Result<(), Over> {
        let Some(flight) = self.in_flight.remove(&id) else { return Ok(()) };
        let parts = Parts::of(&flight);
        let mut first = parts.all(&flight);
        if first.len() > 1 {
            let middle = *first.iter().nth(first.len() / 2).expect("because it has a second");
            let second = first.split_off(&middle);
            for half in [first, second] {
                self.launch(parts.only(&flight, &half), out);
            }
            return Ok(());
        }
        let why = shortened(why);
        match first.pop_first() {
            Some(Part::Job(uid)) => self.judge(uid, flight, &why, out),
            Some(Part::Late(attempt) | Part::Log(attempt)) => {
                let what = format!("what attempt {} of run {} said", attempt.number, attempt.run);
                out.push(Effect::Alert(Alert::RefusedByLedger { what, why }));
                // It is gone; the agent need not keep it.
                self.follow_up(&flight, out);
            }
            Some(Part::Shared) | None => {
                for (_, cause) in flight.causes {
                    if let Cause::Request(pending) = cause {
                        out.push(Effect::Answer(pending.handle, Err(Refusal::RefusedByLedger(why.clone()))));
                    }
                }
                return Err(Over::Disagreement(why));
            }
        }
        Ok(())
    }

    /// The ledger has another row for a fire. The first time everything is loaded anew (rule 3); if that has not
    /// helped, the row is refused like any other.
    pub(super) fn conflicted(
        &mut self,
        id: CallId,
        fire: (JobUid, crate::time::Timestamp),
        why: &str,
        out: &mut Vec<Effect>,
    ) -> Result<(), Over> {
        if self.conflicts.insert(fire) {
            return Err(Over::Disagreement(why.to_owned()));
        }
        let Some(flight) = self.in_flight.remove(&id) else { return Ok(()) };
        let parts = Parts::of(&flight);
        let mut others = parts.all(&flight);
        let part = parts.job(fire.0);
        if part == Part::Shared {
            return Err(Over::Disagreement(why.to_owned()));
        }
        others.remove(&part);
        if !others.is_empty() {
            self.launch(parts.only(&flight, &others), out);
        }
        self.judge(fire.0, parts.only(&flight, &BTreeSet::from([part])), &shortened(why), out);
        Ok(())
    }

    /// One job's rows are refused: the job is read anew, and goes on with one thing at a time.
    fn judge(&mut self, uid: JobUid, mut flight: InFlight, why: &str, out: &mut Vec<Effect>) {
        let mut reload = Reload::new(uid, &flight);
        let is_doubted = self.jobs.get(uid).is_some_and(|entry| entry.doubted);
        let creates = |cause: &Cause| matches!(cause, Cause::Request(p) if matches!(p.request.command, Command::CreateJob { .. }));
        let mut causes = std::mem::take(&mut flight.causes).into_iter().map(|(_, cause)| cause).collect::<Vec<_>>();
        for cause in &causes {
            if let Cause::Request(pending) = cause
                && let Some(key) = &pending.request.key
            {
                self.numbers.forget(key);
            }
        }
        if let Some(place) = causes.iter().position(creates) {
            // A job that is not there cannot be doubted.
            let bad = causes.remove(place);
            self.condemn(Some(bad), &flight, why, &mut reload, out);
        } else if is_doubted {
            let bad = if causes.is_empty() { None } else { Some(causes.remove(0)) };
            self.condemn(bad, &flight, why, &mut reload, out);
        }
        for cause in causes {
            match cause {
                Cause::Request(pending) => reload.requests.push(*pending),
                Cause::Event(event) => reload.events.push(event),
            }
        }
        self.read_anew(reload, out);
    }

    /// What becomes of the one thing that the ledger refuses.
    fn condemn(
        &mut self,
        bad: Option<Cause>,
        flight: &InFlight,
        why: &str,
        reload: &mut Reload,
        out: &mut Vec<Effect>,
    ) {
        let why = why.to_owned();
        let out_of_service = |with_row| OutOfService { job: reload.job, with_row, why: why.clone() };
        let enters = !flight.transaction.entered.is_empty();
        match bad {
            Some(Cause::Request(pending)) => {
                out.push(Effect::Answer(pending.handle, Err(Refusal::RefusedByLedger(why))));
            }
            Some(Cause::Event(Event::Report(from, report))) => {
                let run = report.attempt.run;
                let is_end = matches!(report.event, ReportEvent::Finished(_));
                debug_assert!(is_end, "because what comes before the end waits for it in memory");
                let ack = Ack { attempt: report.attempt, sequence: report.sequence, refused: false };
                reload.events.push(Event::Spoilt(Spoilt { run, ack: Some((from, ack)), why }));
            }
            Some(Cause::Event(Event::End(AttemptId { run, .. }, _) | Event::Due(run) | Event::Expired(run))) => {
                reload.events.push(Event::Spoilt(Spoilt { run, ack: None, why }));
            }
            // Its end may bring the job's next run.
            Some(Cause::Event(Event::Spoilt(spoilt))) if enters => {
                reload.events.push(Event::OutOfService(out_of_service(true)));
                reload.events.push(Event::Spoilt(spoilt));
                self.tell_out_of_service(reload.job, &why, out);
            }
            Some(Cause::Event(Event::Spoilt(Spoilt { run, .. }))) => {
                // Nothing can be written of it. Its agent, if there was one, keeps its report for a later leader.
                self.out_of_reach.insert(run);
                out.push(Effect::Alert(Alert::RefusedByLedger { what: format!("the end of run {run}"), why }));
            }
            Some(Cause::Event(Event::OutOfService(OutOfService { with_row: true, .. }))) => {
                reload.events.push(Event::OutOfService(out_of_service(false)));
            }
            Some(Cause::Event(Event::OutOfService(OutOfService { with_row: false, .. }))) => {
                reload.pause = Some(self.pause_for(&why));
            }
            None if enters && flight.transaction.entered.iter().all(|run| run.backfill_id.is_some()) => {
                reload.without_backfills = true;
                let what = format!("the next run of a backfill of job {}", reload.job);
                out.push(Effect::Alert(Alert::RefusedByLedger { what, why }));
            }
            None if enters => {
                reload.events.push(Event::OutOfService(out_of_service(true)));
                self.tell_out_of_service(reload.job, &why, out);
            }
            None => {
                let assigned = flight.then.iter().find_map(|then| match then {
                    Then::Assign(attempt) => Some(attempt.run),
                    _ => None,
                });
                match assigned {
                    Some(run) => reload.events.push(Event::Spoilt(Spoilt { run, ack: None, why })),
                    // An attempt's progress: it is left out, and the end will say all.
                    None => {
                        let what = format!("what runs of job {} said on their way", reload.job);
                        out.push(Effect::Alert(Alert::RefusedByLedger { what, why }));
                    }
                }
            }
        }
    }

    fn tell_out_of_service(&self, uid: JobUid, why: &str, out: &mut Vec<Effect>) {
        if let Some(entry) = self.jobs.get(uid) {
            let (job, why) = (entry.job.key.clone(), why.to_owned());
            out.push(Effect::Alert(Alert::JobOutOfService { job, why }));
        }
    }

    fn pause_for(&self, why: &str) -> Pause {
        let note = format!("out of service (INTERNAL): the ledger refuses its fires: {why}");
        Pause { note, author: AUTHOR.to_owned(), time: self.now.wall }
    }

    /// A job out of service is paused, for all to see, until somebody resumes it.
    pub(super) fn take_out_of_service(&mut self, order: &OutOfService, batch: &mut Batch) {
        let Some(entry) = self.jobs.get(order.job).filter(|entry| entry.job.fires()) else { return };
        let pause = self.pause_for(&order.why);
        let job = crate::job::Job { pause: Some(pause.clone()), ..entry.job.clone() };
        let planned = Planned {
            note: pause.note,
            missed: order.with_row.then_some(Reason::Internal),
            ..Planned::new(job, entry.compiled.clone(), Change::Pause)
        };
        self.carry_out(planned, AUTHOR.to_owned(), batch);
    }

    /// Ends a run without what the ledger refuses of it.
    pub(super) fn end_spoilt(&mut self, spoilt: &Spoilt, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&spoilt.run) else { return };
        if let Some((instance, ack)) = spoilt.ack {
            batch.then.push(Then::Ack(instance, ack));
        }
        match live.unended_attempt().map(|attempt| attempt.number) {
            Some(number) => {
                let id = AttemptId { run: spoilt.run, number };
                self.end_attempt(id, &End::Spoilt(spoilt.why.clone()), batch);
            }
            None => {
                live.run.reason_message.clone_from(&spoilt.why);
                self.end_waiting(spoilt.run, RunEvent::Failed, Reason::RefusedByLedger, batch);
            }
        }
    }
}

fn shortened(why: &str) -> String {
    why.chars().take(LONGEST_WHY).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
