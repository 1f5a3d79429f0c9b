//! A schedule in words, from its compiled form: what is said is what fires, however it was written.

mod days;
mod shape;
mod times;

use super::compiled::Compiled;
use super::cron::Cron;
use super::words;
use crate::time::Timestamp;

/// More one-shots than this are summed up.
const MOST_INSTANTS: usize = 3;

impl Compiled {
    /// In words: `at 02:00, Monday to Friday, Europe/Paris`.
    pub fn describe(&self) -> String {
        let mut sources: Vec<_> = self.crons.iter().map(cron).collect();
        sources.extend(self.every.iter().map(|every| format!("every {}", words::period(every.period()))));
        sources.extend(at(&self.at));
        sources.extend(self.after_completion.map(|delay| {
            if delay.is_zero() {
                "as soon as the last run has ended".to_owned()
            } else {
                format!("{} after the last run has ended", words::duration(delay))
            }
        }));
        if sources.is_empty() {
            return "manual only".into();
        }
        let mut text = sources.join("; ");
        if self.start > Timestamp::MIN {
            text += &format!(", from {}", self.start);
        }
        if self.end < Timestamp::MAX {
            text += &format!(", until {}", self.end);
        }
        if !self.calendars.is_empty() {
            let names: Vec<_> = self.calendars.iter().map(|calendar| calendar.name()).collect();
            text += &format!(", except on dates of {}", words::list(&names, "and"));
        }
        if !self.jitter.is_zero() {
            text += &format!(", each up to {} later", words::duration(self.jitter));
        }
        text
    }
}

fn cron(cron: &Cron) -> String {
    let mut parts = vec![times::describe(&cron.clock)];
    parts.extend(days::describe(&cron.days.fields));
    parts.push(cron.zone.name().to_owned());
    parts.join(", ")
}

fn at(instants: &[Timestamp]) -> Option<String> {
    match instants {
        [] => None,
        [.., last] if instants.len() > MOST_INSTANTS => {
            Some(format!("at {} instants from {} to {last}", instants.len(), instants[0]))
        }
        _ => {
            let instants: Vec<_> = instants.iter().map(Timestamp::to_string).collect();
            Some(format!("once at {}", words::list(&instants, "and")))
        }
    }
}
