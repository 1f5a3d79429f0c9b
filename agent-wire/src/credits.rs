//! How many reports and log chunks of a stream are neither acknowledged nor refused: what an Ack gives back.

use std::collections::BTreeMap;

use scheduler_core::agent::{FromAgent, Report};
use scheduler_core::ids::AttemptId;

/// Unacknowledged items of one stream, by attempt and sequence; a resent one counts again.
#[derive(Default, Debug)]
pub struct Credits {
    reports: BTreeMap<AttemptId, Vec<u64>>,
    logs: BTreeMap<AttemptId, Vec<u64>>,
}

impl Credits {
    /// A message came in.
    pub fn spend(&mut self, message: &FromAgent) {
        match message {
            FromAgent::Inventory(inventory) => self.spend_reports(&inventory.reports),
            FromAgent::Reports(reports) => self.spend_reports(reports),
            FromAgent::Logs(chunks) => {
                for chunk in chunks {
                    self.logs.entry(chunk.attempt).or_default().push(chunk.sequence);
                }
            }
            FromAgent::Heartbeat { .. }
            | FromAgent::Rejected { .. }
            | FromAgent::Revoked { .. }
            | FromAgent::Draining => {}
        }
    }

    fn spend_reports(&mut self, reports: &[Report]) {
        for report in reports {
            self.reports.entry(report.attempt).or_default().push(report.sequence);
        }
    }

    /// How many reports an acknowledgement of this and all before it gives back.
    pub fn return_reports(&mut self, attempt: AttemptId, up_to: u64) -> usize {
        take(&mut self.reports, attempt, up_to)
    }

    /// As [`Self::return_reports`], for log chunks.
    pub fn return_logs(&mut self, attempt: AttemptId, up_to: u64) -> usize {
        take(&mut self.logs, attempt, up_to)
    }
}

fn take(spent: &mut BTreeMap<AttemptId, Vec<u64>>, attempt: AttemptId, up_to: u64) -> usize {
    let Some(sequences) = spent.get_mut(&attempt) else { return 0 };
    let before = sequences.len();
    sequences.retain(|sequence| *sequence > up_to);
    let returned = before - sequences.len();
    if sequences.is_empty() {
        spent.remove(&attempt);
    }
    returned
}

#[cfg(test)]
mod tests {
    use scheduler_core::agent::ReportEvent;
    use scheduler_core::ids::RunId;
    use scheduler_core::time::Timestamp;

    use super::*;

    #[test]
    fn an_ack_gives_back_what_was_spent_up_to_it_and_no_more() {
        let attempt = AttemptId { run: RunId::at(Timestamp::from_secs(1), 7), number: 1 };
        let report = |sequence| Report { attempt, sequence, time: Timestamp::MIN, event: ReportEvent::Started };
        let mut credits = Credits::default();
        credits.spend(&FromAgent::Reports(vec![report(1), report(2), report(2), report(3)]));
        assert_eq!(credits.return_reports(attempt, 2), 3);
        assert_eq!(credits.return_reports(attempt, 2), 0);
        assert_eq!(credits.return_reports(attempt, 3), 1);
        assert_eq!(credits.return_logs(attempt, 3), 0);
    }
}
