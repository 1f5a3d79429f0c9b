use std::str::FromStr;

use punctual_proto::v1;
use scheduler_core::agent::{
    Finished, FromAgent, Hello, Inventory, LogChunk, LogSource, Outcome, Report, ReportEvent, TaskType,
};
use scheduler_core::ids::{AgentId, AgentInstance, AttemptId, Epoch, RunId};
use scheduler_core::run::{Progress, TaskError};
use scheduler_core::time::Timestamp;
use v1::agent_message::Message;
use v1::report::finished::Outcome as WireOutcome;

use crate::from_wire;

/// Text of an agent that goes into the ledger is cut here: an error message is no log.
const MAX_TEXT: usize = 8 << 10;
/// A task's result is refused above this.
const MAX_RESULT: usize = 256 << 10;

/// A message that cannot be understood: the stream is closed with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

pub fn hello(hello: v1::Hello) -> Result<Hello, Malformed> {
    if hello.protocol_version != 1 {
        let version = hello.protocol_version;
        return Err(Malformed(format!("protocol version {version}: this server speaks version 1")));
    }
    if hello.agent_id.is_empty() || hello.queues.is_empty() || hello.task_types.is_empty() {
        return Err(Malformed("Hello lacks an agent_id, a queue or a task type".to_owned()));
    }
    let gone = hello.instances_proved_gone.iter().map(|text| parse::<AgentInstance>("instance", text));
    Ok(Hello {
        agent_id: AgentId(clean(hello.agent_id)),
        instance: parse("instance", &hello.instance)?,
        version: clean(hello.version),
        labels: hello.labels,
        queues: hello.queues,
        task_types: hello
            .task_types
            .into_iter()
            .map(|offered| TaskType { name: offered.name, payload_schema: offered.payload_schema })
            .collect(),
        slots: u32::try_from(hello.slots).ok().filter(|slots| *slots > 0).ok_or_else(|| slots_missing(hello.slots))?,
        highest_epoch_seen: Epoch(hello.highest_epoch_seen),
        instances_proved_gone: gone.collect::<Result<_, _>>()?,
    })
}

fn slots_missing(slots: i32) -> Malformed {
    Malformed(format!("{slots} slots: at least 1"))
}

/// `None`: a message of a kind that this version does not know, or that changes nothing.
pub fn from_agent(message: v1::AgentMessage) -> Result<Option<FromAgent>, Malformed> {
    let Some(message) = message.message else { return Ok(None) };
    Ok(Some(match message {
        Message::Hello(_) => return Err(Malformed("a second Hello".to_owned())),
        Message::Inventory(inventory) => FromAgent::Inventory(Inventory {
            held: inventory.held.iter().map(|held| attempt_id(&held.run_id, held.attempt)).collect::<Result<_, _>>()?,
            reports: reports(inventory.reports)?,
        }),
        Message::Heartbeat(beat) => FromAgent::Heartbeat {
            n: u64::try_from(beat.n).unwrap_or_default(),
            sent_time: beat.sent_time.as_ref().map(from_wire),
        },
        Message::Reports(batch) => FromAgent::Reports(reports(batch.reports)?),
        Message::LogChunks(batch) => {
            FromAgent::Logs(batch.chunks.into_iter().map(log_chunk).collect::<Result<_, _>>()?)
        }
        Message::Rejected(rejected) => {
            let attempt = attempt_id(&rejected.run_id, rejected.attempt)?;
            match rejected.reason() {
                // It did have the attempt: its report or its Inventory says what became of it.
                v1::rejected::Reason::AlreadySeen => return Ok(None),
                reason => {
                    let reason = format!("{}: {}", reason.as_str_name(), rejected.message);
                    FromAgent::Rejected { attempt, reason: text(reason) }
                }
            }
        }
        Message::Revoked(revoked) => FromAgent::Revoked {
            attempt: attempt_id(&revoked.run_id, revoked.attempt)?,
            not_started: revoked.not_started,
        },
        Message::Draining(_) => FromAgent::Draining,
    }))
}

fn reports(reports: Vec<v1::Report>) -> Result<Vec<Report>, Malformed> {
    reports.into_iter().filter_map(|one| report(one).transpose()).collect()
}

/// `None`: an event of a kind that this version does not know.
fn report(report: v1::Report) -> Result<Option<Report>, Malformed> {
    use v1::report::Event;
    let event = match report.event {
        Some(Event::Started(_)) => ReportEvent::Started,
        Some(Event::Progress(progress)) => ReportEvent::Progress(Progress {
            percent: if progress.percent.is_nan() { 0.0 } else { progress.percent.clamp(0.0, 100.0) },
            message: text(progress.message),
        }),
        Some(Event::Finished(end)) => ReportEvent::Finished(finished(end)),
        None => return Ok(None),
    };
    Ok(Some(Report {
        attempt: attempt_id(&report.run_id, report.attempt)?,
        sequence: u64::try_from(report.sequence).map_err(|_| Malformed("a negative sequence".to_owned()))?,
        time: report.time.as_ref().map_or(Timestamp::MIN, from_wire),
        event,
    }))
}

fn finished(end: v1::report::Finished) -> Finished {
    let (result, refused) = result(&end.result);
    let outcome = match end.outcome() {
        WireOutcome::Succeeded if refused.is_some() => Outcome::Failed,
        WireOutcome::Succeeded => Outcome::Succeeded,
        WireOutcome::TimedOut => Outcome::TimedOut,
        WireOutcome::Cancelled => Outcome::Cancelled,
        WireOutcome::Lost => Outcome::Lost,
        WireOutcome::Failed | WireOutcome::Unspecified => Outcome::Failed,
    };
    let error = end.error.map(|error| TaskError { code: text(error.code), message: text(error.message) });
    Finished {
        outcome,
        result,
        error: refused.or(error),
        exit_code: end.exit_code,
        retryable: end.retryable.unwrap_or(true),
        start_time: end.start_time.as_ref().map(from_wire),
    }
}

/// The result as JSON text, or what is wrong with it.
fn result(bytes: &[u8]) -> (Option<String>, Option<TaskError>) {
    if bytes.is_empty() {
        return (None, None);
    }
    let invalid = |message: String| (None, Some(TaskError { code: "RESULT_INVALID".to_owned(), message }));
    if bytes.len() > MAX_RESULT {
        return invalid(format!("the result has {} bytes, more than {MAX_RESULT}", bytes.len()));
    }
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(value) => (Some(clean(value.to_string())), None),
        Err(error) => invalid(format!("the result is no JSON: {error}")),
    }
}

fn log_chunk(chunk: v1::LogChunk) -> Result<LogChunk, Malformed> {
    Ok(LogChunk {
        attempt: attempt_id(&chunk.run_id, chunk.attempt)?,
        sequence: u64::try_from(chunk.sequence).map_err(|_| Malformed("a negative sequence".to_owned()))?,
        source: match chunk.stream() {
            v1::log_chunk::Stream::Stdout => LogSource::Stdout,
            v1::log_chunk::Stream::Stderr | v1::log_chunk::Stream::Unspecified => LogSource::Stderr,
        },
        time: chunk.time.as_ref().map_or(Timestamp::MIN, from_wire),
        data: chunk.data.to_vec(),
        cut_bytes: u64::try_from(chunk.truncated_bytes).unwrap_or_default(),
    })
}

fn attempt_id(run_id: &str, attempt: i32) -> Result<AttemptId, Malformed> {
    let number = u32::try_from(attempt).map_err(|_| Malformed(format!("attempt {attempt}")))?;
    Ok(AttemptId { run: parse::<RunId>("run_id", run_id)?, number })
}

fn parse<T: FromStr>(what: &str, text: &str) -> Result<T, Malformed> {
    text.parse().map_err(|_| Malformed(format!("{what} {text:?} is no UUID")))
}

fn text(text: String) -> String {
    let mut text = clean(text);
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
    }
    text
}

/// SQL text holds no NUL (PROTOCOL.md, rule 9).
fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}
