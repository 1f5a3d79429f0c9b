//! Why a command did not do what it was asked to, how that is said, and with which exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use scheduler_core::Violations;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::view;

/// What ended a command early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, a variable or the settings file is wrong.
    #[error("{0}")]
    Usage(String),
    /// What was given to the command is wrong; nothing was sent.
    #[error("{what}: {violations}")]
    Input { what: String, violations: Violations },
    /// A cron expression is wrong.
    #[error("the expression is not valid: {}", faults.join("; "))]
    Expression { text: String, faults: Vec<String> },
    /// Of several lines some were bad, each of which has been answered with the reason.
    #[error("{bad} of {all} lines were bad")]
    Lines { bad: usize, all: usize },
    /// A file could not be read or understood.
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    /// The server said no.
    #[error("{}", message(.0))]
    Refused(Box<Status>),
    /// The server has no such thing, as its answer shows.
    #[error("{0}")]
    Missing(String),
    /// Of several jobs some were refused, each of which has been reported.
    #[error("{failed} of {all} jobs were refused")]
    Partly { failed: usize, all: usize },
    /// Of a backfill that was waited for not all runs succeeded.
    #[error("{failed} of {all} fires have no run that succeeded")]
    Backfill { failed: i32, all: i32 },
    /// A run that was waited for ended otherwise than well.
    #[error("{0}")]
    Unsuccessful(String),
    /// What was asked about a job is not so.
    #[error("{0}")]
    Unhealthy(String),
    /// Nothing answers where the server should be.
    #[error(
        "no answer from {server} ({reason}); start a server with `scheduler-server dev`, or name one with --server"
    )]
    Unreached { server: String, reason: String },
    /// The answer could not be printed.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Says what happened, a line for the whole and one for each field, and answers the exit code.
    pub fn report(&self, out: &mut dyn Write) -> ExitCode {
        // Nobody is left to tell when standard error is closed too.
        let _ = self.write(out);
        match self {
            // The reader, `head` say, had enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Usage(_) => ExitCode::from(2),
            Self::Unreached { .. } => ExitCode::from(3),
            Self::Input { .. }
            | Self::Expression { .. }
            | Self::Lines { .. }
            | Self::File { .. }
            | Self::Refused(_)
            | Self::Missing(_)
            | Self::Partly { .. }
            | Self::Backfill { .. }
            | Self::Unsuccessful(_)
            | Self::Unhealthy(_)
            | Self::Output(_) => ExitCode::from(1),
        }
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Self::Input { what, violations } => {
                writeln!(out, "error: {what} is not valid")?;
                violations.0.iter().try_for_each(|violation| writeln!(out, "  {violation}"))
            }
            Self::Expression { text, faults } => {
                write!(out, "error: the expression is not valid\n{}", view::faults(text, faults))
            }
            Self::Refused(status) => {
                writeln!(out, "error: {self}")?;
                let fields = status.get_details_bad_request().map(|details| details.field_violations);
                let lines = fields.into_iter().flatten().map(|wrong| format!("{}: {}", wrong.field, wrong.description));
                // Of a single field the message says as much.
                lines.filter(|line| line != status.message()).try_for_each(|line| writeln!(out, "  {line}"))
            }
            Self::Usage(_)
            | Self::Lines { .. }
            | Self::File { .. }
            | Self::Missing(_)
            | Self::Partly { .. }
            | Self::Backfill { .. }
            | Self::Unsuccessful(_)
            | Self::Unhealthy(_)
            | Self::Unreached { .. }
            | Self::Output(_) => writeln!(out, "error: {self}"),
        }
    }
}

fn message(status: &Status) -> String {
    match (status.message(), status.code()) {
        ("", code) => code.description().to_owned(),
        (message, Code::Internal | Code::Unknown) => format!("the server failed: {message}"),
        (message, _) => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn said(failure: &Failure) -> String {
        let mut out = Vec::new();
        failure.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_field_violation_has_a_line_of_its_own() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("job.schedule.every[0]", "is below 100ms");
        details.add_bad_request_violation("job.task.type", "is missing");
        let status = Status::with_error_details(Code::InvalidArgument, "the job is not valid", details);
        assert_eq!(
            said(&Failure::Refused(Box::new(status))),
            "error: the job is not valid\n  job.schedule.every[0]: is below 100ms\n  job.task.type: is missing\n"
        );
    }

    #[test]
    fn what_the_message_says_is_not_said_twice() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("run_id", "is no UUID");
        let status = Status::with_error_details(Code::InvalidArgument, "run_id: is no UUID", details);
        assert_eq!(said(&Failure::Refused(Box::new(status))), "error: run_id: is no UUID\n");
    }

    #[test]
    fn a_status_without_a_message_still_says_something() {
        let said = said(&Failure::Refused(Box::new(Status::new(Code::PermissionDenied, ""))));
        assert!(said.len() > "error: \n".len(), "{said:?}");
    }

    #[test]
    fn a_closed_pipe_is_not_reported() {
        assert_eq!(said(&Failure::Output(io::Error::from(io::ErrorKind::BrokenPipe))), "");
    }
}
