//! The reports of one attempt: made, sent, kept until acknowledged.
//!
//! Numbers are given when a report is first sent, so that what overtakes nothing costs nothing: a task that ends at once is
//! one report, and progress that nobody has read yet is replaced.

use std::collections::VecDeque;
use std::time::Duration;

use prost_types::Timestamp;
use punctual_proto::v1::report::{Event, Finished, Started};
use punctual_proto::v1::{Progress, Report};

use crate::time::Boot;

/// How long `started` waits for the end of its task, to travel with it.
const STARTED_WAITS: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Reports {
    run_id: String,
    attempt: i32,
    fencing_token: i64,
    next_sequence: i64,
    /// With the instant until which it waits; none when it waits no more.
    started: Option<(Timestamp, Option<Boot>)>,
    progress: Option<(Timestamp, Progress)>,
    finished: Option<(Timestamp, Box<Finished>)>,
    /// Sent, not acknowledged; at most one of each kind.
    unacknowledged: VecDeque<Report>,
}

impl Reports {
    pub(super) fn new(run_id: String, attempt: i32, fencing_token: i64) -> Self {
        Self {
            run_id,
            attempt,
            fencing_token,
            next_sequence: 1,
            started: None,
            progress: None,
            finished: None,
            unacknowledged: VecDeque::new(),
        }
    }

    pub(super) fn started(&mut self, time: Timestamp, now: Boot) {
        self.started = Some((time, Some(now + STARTED_WAITS)));
    }

    pub(super) fn progress(&mut self, time: Timestamp, progress: Progress) {
        self.progress = Some((time, progress));
    }

    pub(super) fn finished(&mut self, time: Timestamp, finished: Finished) {
        self.finished = Some((time, Box::new(finished)));
    }

    /// When `started` is sent even though its task goes on.
    pub(super) fn started_due(&self) -> Option<Boot> {
        self.started.and_then(|(_, due)| due)
    }

    /// Lets `started` wait no more if its instant has come. True when it did.
    pub(super) fn release_started(&mut self, now: Boot) -> bool {
        let Some((_, waits)) = &mut self.started else { return false };
        waits.take_if(|due| *due <= now).is_some()
    }

    /// Whether the last report was made and has not been sent.
    pub(super) fn is_finish_unsent(&self) -> bool {
        self.finished.is_some()
    }

    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = &Report> {
        self.unacknowledged.iter()
    }

    /// The next report to send, if its time has come. The last one waits until the attempt's log is sent.
    pub(super) fn take_unsent(&mut self, now: Boot, logs_sent: bool) -> Option<Report> {
        // One progress at a time is under way, so that a talkative task costs no more than its acknowledgements.
        let progress_waits = self.unacknowledged.iter().any(|report| matches!(report.event, Some(Event::Progress(_))));
        let sends_progress = self.progress.is_some() && !progress_waits;
        if self.finished.is_some() && logs_sent && !sends_progress {
            let (time, mut finished) = self.finished.take()?;
            self.progress = None;
            finished.start_time = self.started.take().map(|(time, _)| time);
            return Some(self.number(time, Event::Finished(*finished)));
        }
        if let Some((time, due)) = self.started
            && (due.is_none_or(|due| due <= now) || sends_progress)
        {
            self.started = None;
            return Some(self.number(time, Event::Started(Started {})));
        }
        if !sends_progress {
            return None;
        }
        let (time, progress) = self.progress.take()?;
        Some(self.number(time, Event::Progress(progress)))
    }

    /// Everything up to this report is durable or refused. True when that was the last.
    pub(super) fn acknowledge(&mut self, sequence: i64) -> bool {
        let mut was_last = false;
        while let Some(report) = self.unacknowledged.pop_front_if(|report| report.sequence <= sequence) {
            was_last |= matches!(report.event, Some(Event::Finished(_)));
        }
        was_last
    }

    fn number(&mut self, time: Timestamp, event: Event) -> Report {
        let report = Report {
            run_id: self.run_id.clone(),
            attempt: self.attempt,
            fencing_token: self.fencing_token,
            sequence: self.next_sequence,
            time: Some(time),
            event: Some(event),
        };
        self.next_sequence += 1;
        self.unacknowledged.push_back(report.clone());
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Reports {
        Reports::new("run".to_owned(), 1, 7)
    }

    fn progress(percent: f64) -> Progress {
        Progress { percent, message: String::new() }
    }

    fn kinds(reports: &mut Reports, now: Boot) -> Vec<(i64, &'static str)> {
        std::iter::from_fn(|| reports.take_unsent(now, true))
            .map(|report| {
                let kind = match report.event.expect("set") {
                    Event::Started(_) => "started",
                    Event::Progress(_) => "progress",
                    Event::Finished(_) => "finished",
                };
                (report.sequence, kind)
            })
            .collect()
    }

    #[test]
    fn a_task_that_ends_at_once_is_one_report_with_its_start() {
        let mut reports = reports();
        reports.started(Timestamp { seconds: 5, nanos: 0 }, Boot(0));
        assert!(kinds(&mut reports, Boot(0)).is_empty(), "started waits a little");
        reports.finished(Timestamp::default(), Finished::default());
        assert_eq!(kinds(&mut reports, Boot(0)), [(1, "finished")]);
        let report = reports.unacknowledged().next().expect("kept");
        let Some(Event::Finished(finished)) = &report.event else { panic!("{report:?}") };
        assert_eq!(finished.start_time, Some(Timestamp { seconds: 5, nanos: 0 }));
        assert!(reports.acknowledge(1));
    }

    #[test]
    fn progress_is_merged_and_never_first_nor_last() {
        let mut reports = reports();
        reports.started(Timestamp::default(), Boot(0));
        reports.progress(Timestamp::default(), progress(10.0));
        reports.progress(Timestamp::default(), progress(20.0));
        assert_eq!(kinds(&mut reports, Boot(0)), [(1, "started"), (2, "progress")]);
        reports.progress(Timestamp::default(), progress(30.0));
        assert!(kinds(&mut reports, Boot(0)).is_empty(), "the one before is not acknowledged");
        assert!(!reports.acknowledge(2));
        reports.finished(Timestamp::default(), Finished::default());
        assert_eq!(kinds(&mut reports, Boot(0)), [(3, "progress"), (4, "finished")]);
    }

    #[test]
    fn the_end_waits_for_the_log() {
        let mut reports = reports();
        reports.finished(Timestamp::default(), Finished::default());
        assert_eq!(reports.take_unsent(Boot(0), false), None);
        assert!(reports.is_finish_unsent());
        assert!(reports.take_unsent(Boot(0), true).is_some());
    }
}
