//! How answers look: canonical JSON, or text for people.

mod agent;
mod audit;
mod calendar;
mod cluster;
mod explanation;
mod faults;
mod fires;
mod job;
pub(crate) mod json;
mod lock;
mod revision;
mod run;
mod table;
mod task_type;
mod token;
mod when;

pub(crate) use agent::{agent, agents};
pub(crate) use audit::audit_events;
pub(crate) use calendar::{calendar, calendars};
pub(crate) use cluster::status;
pub(crate) use explanation::explanation;
pub(crate) use faults::faults;
pub(crate) use fires::{change_ahead, fires, preview};
pub(crate) use job::{job, jobs, schedule};
pub(crate) use lock::locks;
pub(crate) use revision::{namespaces, revision, revisions, upcoming};
pub(crate) use run::{Whose, ended, run, run_line, runs};
pub(crate) use task_type::{task_type, task_types};
pub(crate) use token::tokens;
pub(crate) use when::relative;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Utc};

use crate::clock;
use crate::failure::Failure;
use crate::settings::Output;
use json::Described;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const BUSY: Style = AnsiColor::Cyan.on_default();
const ODD: Style = AnsiColor::Yellow.on_default();
const PLAIN: Style = Style::new();

/// What text depends on beside the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) now: DateTime<Utc>,
    /// Columns of the terminal; none when the text goes elsewhere and need not fit.
    pub(crate) width: Option<usize>,
}

impl Scene {
    fn new() -> Self {
        let width = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
        Self { now: clock::now(), width }
    }
}

/// Prints an answer as `output` asks for, with `text` as the form for people.
pub(crate) fn show<M: Described>(
    output: Output,
    answer: &M,
    text: impl FnOnce(&M, &Scene) -> String,
) -> Result<(), Failure> {
    match output {
        Output::Json => value(&json::of(answer)),
        Output::Table => {
            // Colours are kept on a terminal and taken out elsewhere.
            let mut out = anstream::stdout().lock();
            out.write_all(text(answer, &Scene::new()).as_bytes())?;
            Ok(out.flush()?)
        }
    }
}

/// Prints JSON that is not one answer of the server.
pub(crate) fn value(value: &serde_json::Value) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Prints text whose colours are for terminals only.
pub(crate) fn styled(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints text that is the same wherever it goes.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
