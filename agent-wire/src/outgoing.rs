use prost_types::Duration as WireDuration;
use punctual_proto::v1;
use scheduler_core::agent::{Ack, Assign, CancelReason, LogAck, ToAgent, Welcome};
use scheduler_core::ids::AttemptId;
use v1::server_message::Message;

use crate::credits::Credits;
use crate::{LOG_CREDITS, MAX_LOG_CHUNK_BYTES, MAX_MESSAGE_BYTES, REPORT_CREDITS, to_wire};

/// What an Assign takes besides its payload, at most.
const ASSIGN_OVERHEAD: usize = 1 << 10;

/// The engine's message as one or, where it would be too large, several of the wire's.
pub fn server_messages(message: ToAgent, node_id: &str, credits: &mut Credits) -> Vec<v1::ServerMessage> {
    let messages = match message {
        ToAgent::Welcome(welcome) => vec![Message::Welcome(wire_welcome(&welcome, node_id))],
        ToAgent::HeartbeatConfirmed { n, received_time, sent_time } => {
            vec![Message::HeartbeatConfirmed(v1::HeartbeatConfirmed {
                n: i64::try_from(n).unwrap_or(i64::MAX),
                received_time: Some(to_wire(received_time)),
                sent_time: Some(to_wire(sent_time)),
            })]
        }
        ToAgent::Assign(assignments) => assignment_batches(assignments),
        ToAgent::Cancel { attempt, reason } => vec![Message::Cancel(v1::Cancel {
            run_id: attempt.run.to_string(),
            attempt: number(attempt),
            reason: match reason {
                CancelReason::Requested => v1::cancel::Reason::Requested,
                CancelReason::Overlap => v1::cancel::Reason::Overlap,
                CancelReason::NotHeld => v1::cancel::Reason::NotHeld,
            }
            .into(),
        })],
        ToAgent::Ack(acks) => vec![Message::Acks(report_acks(&acks, credits))],
        ToAgent::LogAck(acks) => vec![Message::Acks(log_acks(&acks, credits))],
        ToAgent::Drain => vec![Message::Drain(v1::Drain {})],
    };
    messages.into_iter().map(|message| v1::ServerMessage { message: Some(message) }).collect()
}

fn wire_welcome(welcome: &Welcome, node_id: &str) -> v1::Welcome {
    v1::Welcome {
        epoch: welcome.epoch.map(|epoch| epoch.0),
        node_id: node_id.to_owned(),
        agent_ttl: duration(welcome.agent_ttl),
        heartbeat_interval: duration(welcome.heartbeat_interval),
        limits: Some(v1::welcome::Limits {
            max_message_bytes: i32::try_from(MAX_MESSAGE_BYTES).unwrap_or(i32::MAX),
            report_credits: REPORT_CREDITS,
            log_credits: LOG_CREDITS,
            max_log_chunk_bytes: MAX_LOG_CHUNK_BYTES,
        }),
        server_time: Some(to_wire(welcome.server_time)),
    }
}

fn assignment_batches(assignments: Vec<Assign>) -> Vec<Message> {
    let mut batches = Vec::new();
    let (mut batch, mut size) = (Vec::new(), 0);
    for assign in assignments {
        let more = assign.payload.0.len() + ASSIGN_OVERHEAD;
        if size + more > MAX_MESSAGE_BYTES && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            size = 0;
        }
        size += more;
        batch.push(wire_assign(assign));
    }
    batches.push(batch);
    batches.into_iter().map(|assignments| Message::Assignments(v1::Assignments { assignments })).collect()
}

fn wire_assign(assign: Assign) -> v1::Assign {
    v1::Assign {
        epoch: assign.epoch.0,
        instance: assign.instance.to_string(),
        run_id: assign.attempt.run.to_string(),
        attempt: number(assign.attempt),
        fencing_token: assign.fencing_token.0,
        slot: i32::try_from(assign.slot).unwrap_or(i32::MAX),
        namespace: assign.job.namespace,
        job_id: assign.job.job_id,
        task_type: assign.task_type,
        payload: assign.payload.0.as_bytes().to_vec().into(),
        scheduled_time: Some(to_wire(assign.scheduled_time)),
        start_at: assign.start_at.map(to_wire),
        timeout: duration(assign.timeout),
        kill_grace: duration(assign.kill_grace),
        trace_parent: String::new(),
    }
}

fn report_acks(acks: &[Ack], credits: &mut Credits) -> v1::Acks {
    let returned: usize = acks.iter().map(|ack| credits.return_reports(ack.attempt, ack.sequence)).sum();
    let reports = acks.iter().map(|ack| v1::Ack {
        run_id: ack.attempt.run.to_string(),
        attempt: number(ack.attempt),
        sequence: i64::try_from(ack.sequence).unwrap_or(i64::MAX),
        refused: ack.refused,
    });
    v1::Acks { reports: reports.collect(), report_credits: count(returned), ..v1::Acks::default() }
}

fn log_acks(acks: &[LogAck], credits: &mut Credits) -> v1::Acks {
    let returned: usize = acks.iter().map(|ack| credits.return_logs(ack.attempt, ack.sequence)).sum();
    let logs = acks.iter().map(|ack| v1::LogAck {
        run_id: ack.attempt.run.to_string(),
        attempt: number(ack.attempt),
        sequence: i64::try_from(ack.sequence).unwrap_or(i64::MAX),
    });
    v1::Acks { logs: logs.collect(), log_credits: count(returned), ..v1::Acks::default() }
}

fn count(items: usize) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

fn number(attempt: AttemptId) -> i32 {
    i32::try_from(attempt.number).unwrap_or(i32::MAX)
}

fn duration(duration: std::time::Duration) -> Option<WireDuration> {
    Some(WireDuration::try_from(duration).unwrap_or_default())
}
