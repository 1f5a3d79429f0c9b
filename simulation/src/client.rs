//! Clients: they write at the worst moments, with and without a number, give up, ask again elsewhere, and remember what
//! they were told.

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler_core::audit::Origin;
use scheduler_core::engine::{Answer, Away, Command, Refusal, Request, RequestHandle};
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Definition, JobKey};
use scheduler_core::txn::{PurgeFilter, RequestKey};

use crate::event::Event;
use crate::jobs;
use crate::promise::Promise;
use crate::server::Arrival;
use crate::trace::tell;
use crate::world::World;

/// A number of a write as the client means it, however often it is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct WriteId(pub(crate) u64);

/// What a client knows of one of its writes.
pub(crate) struct Write {
    pub(crate) command: Command,
    pub(crate) numbered: bool,
    pub(crate) is_bad: bool,
    sends: u32,
    /// Every send so far was refused for certain.
    pub(crate) only_refused: bool,
    pub(crate) is_open: bool,
    pub(crate) answer: Option<Result<Answer, Refusal>>,
}

#[derive(Default)]
pub(crate) struct Clients {
    pub(crate) writes: BTreeMap<WriteId, Write>,
    waiting: BTreeMap<RequestHandle, (usize, WriteId, usize, u32)>,
    next_write: u64,
    next_handle: u64,
    pub(crate) have_stopped: bool,
}

impl Clients {
    pub(crate) fn open(&self) -> usize {
        self.waiting.len()
    }

    /// The write that an author's name stands for.
    pub(crate) fn write_of(author: &str) -> Option<WriteId> {
        author.strip_prefix('w').and_then(|number| number.parse().ok()).map(WriteId)
    }

    pub(crate) fn handle_of(&self, author: &str) -> Option<RequestHandle> {
        let write = Self::write_of(author)?;
        self.waiting.iter().find(|(_, (_, waiting, _, _))| *waiting == write).map(|(handle, _)| *handle)
    }

    pub(crate) fn write_of_handle(&self, handle: RequestHandle) -> Option<WriteId> {
        self.waiting.get(&handle).map(|(_, write, _, _)| *write)
    }
}

/// The client that directed cases speak through.
pub(crate) const DIRECTOR: usize = usize::MAX;
const PATIENCE: Duration = Duration::from_secs(4);
const SENDS: u32 = 6;

impl World {
    pub(crate) fn client_acts(&mut self, client: usize) {
        if self.clients.have_stopped {
            return;
        }
        let wait = self.profile.client_every.mul_f64(self.random.below(2_000) as f64 / 1_000.0);
        self.queue.plan(self.now.after(wait), Event::ClientActs { client });
        let (command, is_bad) = self.any_command();
        let numbered = self.random.chance(0.6);
        let server = self.servers_guess();
        self.begin_write(client, server, command, numbered, is_bad);
    }

    /// Where a client would send its write: mostly to the leader.
    fn servers_guess(&mut self) -> usize {
        let leader = (0..self.servers.len()).find(|s| self.servers[*s].is_leading());
        match leader {
            Some(leader) if self.random.chance(0.85) => leader,
            _ => self.random.index(self.servers.len()),
        }
    }

    fn any_command(&mut self) -> (Command, bool) {
        let job = jobs::key(self.random.index(self.profile.jobs));
        let note = self.random.pick(&["", "for now"]).to_owned();
        let definition = self.any_definition();
        let mut is_bad = false;
        let command = match self.random.below(29) {
            0..=4 => Command::CreateJob { job, definition, validate_only: false },
            5 => Command::CreateJob { job, definition, validate_only: true },
            6 => {
                is_bad = true;
                let mut definition = definition;
                definition.schedule.every = vec![Duration::from_millis(1)];
                Command::CreateJob { job, definition, validate_only: false }
            }
            7..=8 => Command::UpdateJob { job, definition, etag: None, validate_only: false },
            9..=10 => match self.with_another_description(&job) {
                Some(definition) => Command::UpdateJob { job, definition, etag: None, validate_only: false },
                None => Command::CreateJob { job, definition, validate_only: false },
            },
            11..=12 => Command::PauseJob { job, note },
            13..=14 => Command::ResumeJob { job, catch_up: self.random.chance(0.5), note },
            15 => Command::DisableJob { job, note },
            16..=17 => Command::EnableJob { job, note },
            18 => Command::DeleteJob { job, etag: None },
            24..=25 => self.some_calendar(),
            26 => Command::UndeleteJob { job },
            27 => Command::RestoreJobRevision { job, definition, etag: None, note, validate_only: false },
            28 => self.any_purge(),
            19 => self.cancel_some_run().unwrap_or(Command::Status),
            20 => self.any_backfill(job),
            // A hand-over and an outage at once are more than promise 6 is given for.
            21 if self.random.chance(0.2) && !self.profile.must_outlive => Command::StepDown { node: None },
            _ => Command::TriggerJob { job, payload: None, labels: BTreeMap::new(), not_before: None },
        };
        (command, is_bad)
    }

    /// A span of the last seconds; of a dense schedule it has too many fires, and is refused.
    fn any_backfill(&mut self, job: JobKey) -> Command {
        let end_time = self.now.wall().saturating_sub(self.random.millis(0, 5_000));
        Command::BackfillJob {
            job,
            start_time: end_time.saturating_sub(self.random.millis(1, 20_000)),
            end_time,
            max_runs: 30,
            concurrency: self.random.pick(&[1, 1, 2, 5]),
            validate_only: self.random.chance(0.1),
        }
    }

    fn any_purge(&mut self) -> Command {
        let filter = PurgeFilter {
            namespace: "default".to_owned(),
            job_id: None,
            states: Vec::new(),
            ended_before: self.now.wall().saturating_sub(self.random.millis(0, 60_000)),
        };
        Command::PurgeRuns { filter, most: 100 }
    }

    /// The one calendar there is is made and changed, and never taken away.
    fn some_calendar(&mut self) -> Command {
        let calendar = jobs::calendar_key();
        let definition = Box::new(jobs::calendar(self.random.pick(&["2023-11-14", "2023-12-24"])));
        match self.random.below(3) {
            0 => Command::CreateCalendar { calendar, definition, validate_only: false },
            _ => Command::UpdateCalendar { calendar, definition, etag: None, validate_only: false },
        }
    }

    fn any_definition(&mut self) -> Box<Definition> {
        self.edits += 1;
        let now = self.now.wall();
        Box::new(jobs::any(&mut self.random, now, self.edits, self.profile.schedules))
    }

    fn with_another_description(&mut self, key: &JobKey) -> Option<Box<Definition>> {
        self.edits += 1;
        let job = self.ledger.tables.jobs.values().find(|job| job.key == *key && job.delete_time.is_none())?;
        let mut definition = (*job.definition).clone();
        definition.description = format!("edit {}", self.edits);
        definition.max_instances = self.random.pick(&[1, 2, 3, definition.max_instances]);
        Some(Box::new(definition))
    }

    fn cancel_some_run(&mut self) -> Option<Command> {
        let unended: Vec<_> =
            self.ledger.tables.runs.values().rev().take(20).filter(|run| !run.state.is_ended()).map(|r| r.id).collect();
        let run = *unended.get(self.random.index(unended.len().max(1)))?;
        Some(Command::CancelRun { namespace: "default".to_owned(), run, note: String::new() })
    }

    /// Begins a write and sends it for the first time.
    pub(crate) fn begin_write(
        &mut self,
        client: usize,
        server: usize,
        mut command: Command,
        numbered: bool,
        is_bad: bool,
    ) -> WriteId {
        self.clients.next_write += 1;
        let id = WriteId(self.clients.next_write);
        if let Command::TriggerJob { labels, .. } = &mut command {
            labels.insert("write".to_owned(), id.0.to_string());
        }
        self.tally.count("command", kind(&command));
        let write = Write { command, numbered, is_bad, sends: 0, only_refused: true, is_open: true, answer: None };
        self.clients.writes.insert(id, write);
        self.send_write(client, id, server);
        id
    }

    fn send_write(&mut self, client: usize, id: WriteId, server: usize) {
        self.clients.next_handle += 1;
        let handle = RequestHandle(self.clients.next_handle);
        let Some(write) = self.clients.writes.get_mut(&id) else { return };
        write.sends += 1;
        let key = write.numbered.then(|| RequestKey {
            namespace: "default".to_owned(),
            method: kind(&write.command).to_owned(),
            request_id: id.0.to_string(),
        });
        let request = Request {
            key,
            is_new: false,
            digest: format!("{}", id.0),
            author: format!("w{}", id.0),
            origin: Some(Origin::default()),
            command: write.command.clone(),
        };
        let generation = self.servers[server].generation;
        self.clients.waiting.insert(handle, (client, id, server, generation));
        let delay = self.network_delay();
        let arrival = Arrival::Request(handle, Box::new(request));
        self.queue.plan(self.now.after(delay), Event::Server { server, generation, arrival });
        let patience = if client == DIRECTOR { PATIENCE * 5 } else { PATIENCE };
        self.queue.plan(self.now.after(patience), Event::ClientTires { client, handle });
    }

    /// The engine answers: what it says must be true by now.
    /// The jobs that are told to be changed.
    pub(crate) fn answer(&mut self, s: usize, handle: RequestHandle, answer: Result<Answer, Refusal>) -> Vec<JobUid> {
        let mut changed = Vec::new();
        if let Some(write) = self.clients.write_of_handle(handle) {
            self.check_answer(write, &answer);
            changed = self.witness_answer(write, &answer);
        }
        tell!(self, "server {s} answers request {}: {}", handle.0, said(&answer));
        let at = self.now.after(self.network_delay());
        self.queue.plan(at, Event::Answered { handle, answer: Box::new(answer) });
        changed
    }

    pub(crate) fn answered(&mut self, handle: RequestHandle, answer: Result<Answer, Refusal>) {
        let Some((client, id, ..)) = self.clients.waiting.remove(&handle) else { return };
        let Some(write) = self.clients.writes.get_mut(&id) else { return };
        self.tally.count("answer", if let Err(refusal) = &answer { kind_of_refusal(refusal) } else { "done" });
        match &answer {
            Err(Refusal::OutcomeUnknown) => {
                write.only_refused = false;
                return self.ask_again(client, id);
            }
            Err(Refusal::Unavailable(_)) if client != DIRECTOR => {
                return self.ask_again(client, id);
            }
            Err(_) => {}
            Ok(_) => write.only_refused = false,
        }
        write.answer = Some(answer);
        self.close_write(id);
    }

    pub(crate) fn client_tires(&mut self, client: usize, handle: RequestHandle) {
        let Some((_, id, server, generation)) = self.clients.waiting.remove(&handle) else { return };
        self.tally.count("answer", "none in time");
        if let Some(write) = self.clients.writes.get_mut(&id) {
            write.only_refused = false;
        }
        self.arrive(server, generation, Arrival::Abandoned(handle));
        self.ask_again(client, id);
    }

    /// A numbered write is sent again, to whoever may lead now.
    fn ask_again(&mut self, client: usize, id: WriteId) {
        let Some(write) = self.clients.writes.get(&id) else { return };
        if !write.numbered || write.sends >= SENDS || self.clients.have_stopped {
            return self.close_write(id);
        }
        self.tally.count("answer", "asked again");
        let server = self.servers_guess();
        self.send_write(client, id, server);
    }

    fn close_write(&mut self, id: WriteId) {
        let Some(write) = self.clients.writes.get_mut(&id) else { return };
        write.is_open = false;
        if write.only_refused && self.witness.done_by(id) > 0 {
            let (promise, what) = if write.is_bad {
                (Promise::P8, "bad input was refused")
            } else {
                (Promise::P5, "a write was refused for certain")
            };
            self.broken(promise, format!("{what}, and it is in the ledger: write {}", id.0));
        }
    }
}

pub(crate) fn kind(command: &Command) -> &'static str {
    match command {
        Command::CreateJob { .. } => "CreateJob",
        Command::UpdateJob { .. } => "UpdateJob",
        Command::DeleteJob { .. } => "DeleteJob",
        Command::UndeleteJob { .. } => "UndeleteJob",
        Command::RestoreJobRevision { .. } => "RestoreJobRevision",
        Command::PauseJob { .. } => "PauseJob",
        Command::ResumeJob { .. } => "ResumeJob",
        Command::EnableJob { .. } => "EnableJob",
        Command::DisableJob { .. } => "DisableJob",
        Command::TriggerJob { .. } => "TriggerJob",
        Command::RetryRun { .. } => "RetryRun",
        Command::CancelRun { .. } => "CancelRun",
        Command::BackfillJob { .. } => "BackfillJob",
        Command::CreateCalendar { .. } => "CreateCalendar",
        Command::UpdateCalendar { .. } => "UpdateCalendar",
        Command::DeleteCalendar { .. } => "DeleteCalendar",
        Command::PurgeRuns { .. } => "PurgeRuns",
        Command::Status => "Status",
        Command::Agents => "Agents",
        Command::Locks(_) => "Locks",
        Command::Upcoming { .. } => "Upcoming",
        Command::CordonAgent { .. } => "CordonAgent",
        Command::UncordonAgent { .. } => "UncordonAgent",
        Command::DrainAgent { .. } => "DrainAgent",
        Command::StepDown { .. } => "StepDown",
    }
}

fn kind_of_refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unavailable(Away::Suspended) => "suspended",
        Refusal::Unavailable(_) => "unavailable",
        Refusal::AnotherLeads { .. } | Refusal::NobodyElseStands => "does not step down",
        Refusal::OutcomeUnknown => "outcome unknown",
        Refusal::Invalid(_) => "invalid",
        Refusal::JobNotFound(_) | Refusal::JobDeleted(_) => "not found",
        Refusal::CalendarNotFound(_) | Refusal::AgentNotFound(_) => "not found",
        Refusal::AgentAway(_) => "agent away",
        Refusal::JobExists(_) | Refusal::CalendarExists(_) => "exists",
        Refusal::JobDisabled(_) => "disabled",
        Refusal::NothingToBackfill(_) => "nothing to backfill",
        Refusal::StaleEtag { .. } => "stale etag",
        Refusal::RunNotLive(_) => "run not live",
        Refusal::CalendarInUse { .. } => "calendar in use",
        Refusal::RequestIdReused(_) => "request id reused",
        Refusal::RefusedByLedger(_) => "refused by the ledger",
    }
}

fn said(answer: &Result<Answer, Refusal>) -> String {
    match answer {
        Ok(Answer::Job(job)) => format!("{} r{}", job.key, job.revision),
        Ok(Answer::Run(run)) => format!("run {}", run.id),
        Ok(Answer::Backfill(backfill)) => format!("backfill {}", backfill.id),
        Ok(other) => format!("{other:?}"),
        Err(refusal) => refusal.to_string(),
    }
}
