//! What servers say to people, by kind.

use scheduler_core::engine::{Alert, ClockJump, MachineClock};

pub(crate) fn kind_of_alert(alert: &Alert) -> &'static str {
    match alert {
        Alert::Deposed(_) => "Deposed",
        Alert::Resigned(_) => "Resigned",
        Alert::Suspended => "Suspended",
        Alert::Resumed => "Resumed",
        Alert::DoesNotStand(_) => "DoesNotStand",
        Alert::Disagreement(_) => "Disagreement",
        Alert::LedgerFails(_) => "LedgerFails",
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
