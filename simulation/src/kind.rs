//! What the tally calls that which passes between a server's engine and the rest.

use scheduler_core::agent::{FromAgent, ToAgent};
use scheduler_core::engine::{Alert, ClockJump, Effect, MachineClock, Publication};
use scheduler_core::txn::Call;

pub(crate) fn kind_from_agent(message: &FromAgent) -> &'static str {
    match message {
        FromAgent::Inventory(_) => "Inventory",
        FromAgent::Heartbeat { .. } => "Heartbeat",
        FromAgent::Reports(_) => "Reports",
        FromAgent::Logs(_) => "Logs",
        FromAgent::Rejected { .. } => "Rejected",
        FromAgent::Revoked { .. } => "Revoked",
        FromAgent::Draining => "Draining",
    }
}

pub(crate) fn kind_to_agent(message: &ToAgent) -> &'static str {
    match message {
        ToAgent::Welcome(_) => "Welcome",
        ToAgent::HeartbeatConfirmed { .. } => "HeartbeatConfirmed",
        ToAgent::Assign(_) => "Assign",
        ToAgent::Cancel { .. } => "Cancel",
        ToAgent::Ack(_) => "Ack",
        ToAgent::LogAck(_) => "LogAck",
        ToAgent::Drain => "Drain",
    }
}

pub(crate) fn kind_of_effect(effect: &Effect) -> &'static str {
    match effect {
        Effect::Campaign(_) => "Campaign",
        Effect::KeepAlive(..) => "KeepAlive",
        Effect::Resign(_) => "Resign",
        Effect::Bury(_) => "Bury",
        Effect::Quit(_) => "Quit",
        Effect::ProveLeadership(..) => "ProveLeadership",
        Effect::LendLease(..) => "LendLease",
        Effect::ReadLocks(..) => "ReadLocks",
        Effect::TakeLocks(..) => "TakeLocks",
        Effect::ReleaseLocks(..) => "ReleaseLocks",
        Effect::Call(_, Call::Survey) => "Survey",
        Effect::Call(_, Call::LoadChanges { .. }) => "LoadChanges",
        Effect::Call(_, Call::TakeOver(_)) => "TakeOver",
        Effect::Call(_, Call::Load { known: None, .. }) => "Load",
        Effect::Call(_, Call::Load { .. }) => "Load what has changed",
        Effect::Call(_, Call::LoadJob { .. }) => "LoadJob",
        Effect::Call(_, Call::FindRequests(_)) => "FindRequests",
        Effect::Call(_, Call::Commit(_)) => "Commit",
        Effect::Call(_, Call::Purge { .. }) => "Purge",
        Effect::Send(..) => "Send",
        Effect::Close(..) => "Close",
        Effect::Answer(_, Ok(_)) => "Answer",
        Effect::Answer(_, Err(_)) => "Answer with a refusal",
        Effect::Publish(Publication { committed: None, .. }) => "Publish a term",
        Effect::Publish(_) => "Publish",
        Effect::Alert(_) => "Alert",
    }
}

pub(crate) fn kind_of_alert(alert: &Alert) -> &'static str {
    match alert {
        Alert::Deposed(_) => "Deposed",
        Alert::Resigned(_) => "Resigned",
        Alert::Suspended => "Suspended",
        Alert::Resumed => "Resumed",
        Alert::DoesNotStand(_) => "DoesNotStand",
        Alert::Disagreement(_) => "Disagreement",
        Alert::LedgerFails(_) => "LedgerFails",
        Alert::MemoryDiffers => "MemoryDiffers",
        Alert::TookOver { .. } => "TookOver",
        Alert::UnusableSchedule { .. } => "UnusableSchedule",
        Alert::UnusableCalendar { .. } => "UnusableCalendar",
        Alert::AgentLost { .. } => "AgentLost",
        Alert::ClockJumped(ClockJump::Doubted(_)) => "ClockJumped, doubted",
        Alert::ClockJumped(ClockJump::Ahead(_)) => "ClockJumped, ahead",
        Alert::ClockJumped(ClockJump::Back(_)) => "ClockJumped, back",
        Alert::MachineClock(MachineClock::Wrong(_)) => "MachineClock, wrong",
        Alert::MachineClock(MachineClock::Right) => "MachineClock, right",
        Alert::Unreadable { .. } => "Unreadable",
        Alert::RefusedByLedger { .. } => "RefusedByLedger",
        Alert::JobOutOfService { .. } => "JobOutOfService",
    }
}
