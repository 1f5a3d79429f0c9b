//! The command line as a whole: the global flags and the groups of commands.

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::{
    agent, audit, calendar, completions, cron, job, lock, man, run, status, step_down, task_type, token, upcoming,
};
use crate::failure::Failure;
use crate::settings::{Flags, Settings};

/// Creates, watches and steers the jobs of a Punctual scheduler.
///
/// Every global flag has a variable (PUNCTUAL_SERVER, …) and a key in ~/.config/punctual.toml (server = "…"); a flag
/// beats a variable, a variable beats the file.
#[derive(Debug, Parser)]
#[command(
    name = "punctual",
    version,
    after_help = "Exit codes: 0 done, 1 the server or the input said no, 2 usage, 3 server not reached."
)]
pub struct App {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create jobs, look at them, steer them
    #[command(subcommand)]
    Job(job::Command),
    /// Look at runs and at what their tasks wrote
    #[command(subcommand)]
    Run(run::Command),
    /// Look at the agents, keep work from them
    #[command(subcommand)]
    Agent(agent::Command),
    /// Keep calendars: days on which jobs do not fire
    #[command(subcommand)]
    Calendar(calendar::Command),
    /// Look at the kinds of work that agents offer
    #[command(subcommand)]
    TaskType(task_type::Command),
    /// Look at the slots of jobs that are held
    #[command(subcommand)]
    Lock(lock::Command),
    /// Create and revoke the tokens that people, programs and agents sign in with
    #[command(subcommand)]
    Token(token::Command),
    /// See who changed what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check cron expressions and list their fires, without a server
    #[command(subcommand)]
    Cron(cron::Command),
    /// List the next fires of all jobs, soonest first
    Upcoming(upcoming::Args),
    /// Look at namespaces
    #[command(subcommand)]
    Namespace(upcoming::Namespaces),
    /// Show how the cluster is doing
    Status,
    /// Have the leader hand over to another node
    StepDown(step_down::Args),
    /// Write the manual pages, one a command
    Man(man::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
}

impl App {
    /// What the program was called with; with a mistake in it, or asked for help, the process ends here.
    pub fn called() -> Self {
        let matches = shown_once(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|mistake| mistake.exit())
    }

    pub async fn run(self) -> Result<(), Failure> {
        let settings = Settings::load(self.flags)?;
        match self.command {
            Command::Job(command) => job::run(command, &settings).await,
            Command::Run(command) => run::run(command, &settings).await,
            Command::Agent(command) => agent::run(command, &settings).await,
            Command::Calendar(command) => calendar::run(command, &settings).await,
            Command::TaskType(command) => task_type::run(command, &settings).await,
            Command::Lock(command) => lock::run(command, &settings).await,
            Command::Token(command) => token::run(command, &settings).await,
            Command::Audit(command) => audit::run(command, &settings).await,
            Command::StepDown(args) => step_down::run(args, &settings).await,
            Command::Man(args) => man::run(&args),
            Command::Cron(command) => cron::run(command, &settings),
            Command::Upcoming(args) => upcoming::run(args, &settings).await,
            Command::Namespace(command) => upcoming::namespaces(command, &settings).await,
            Command::Status => status::run(&settings).await,
            Command::Completions(args) => completions::run(&args),
        }
    }
}

/// The global flags are in the help of `punctual` itself, and the help of each command says so. Completions and the pages of
/// the manual have them everywhere.
fn shown_once(mut program: clap::Command) -> clap::Command {
    // This hands them down to the commands.
    program.build();
    program.mut_subcommands(without_global_flags)
}

fn without_global_flags(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let is_global = arg.is_global_set();
            if is_global { arg.hide(true) } else { arg }
        })
        .after_help("Global options, as --server, --namespace and --output, are listed by punctual --help.")
        .mut_subcommands(without_global_flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_flags_contradict_each_other() {
        App::command().debug_assert();
    }

    #[test]
    fn global_flags_are_in_one_help_and_hold_everywhere() {
        let mut program = shown_once(App::command());
        assert!(program.render_help().to_string().contains("--token-file"));
        let refused = program.try_get_matches_from_mut(["punctual", "job", "create", "--help"]).unwrap_err();
        let help = refused.to_string();
        assert!(help.contains("--max-instances") && help.contains("punctual --help"), "{help}");
        assert!(!help.contains("--token-file"), "{help}");
        for line in
            ["punctual --output json job list", "punctual job list --output json", "punctual job --output json list"]
        {
            let matches = program.try_get_matches_from_mut(line.split(' ')).unwrap();
            let app = App::from_arg_matches(&matches).unwrap();
            assert_eq!(app.flags.output, Some(crate::settings::Output::Json), "{line}");
        }
    }

    #[test]
    fn every_command_and_flag_is_explained() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {} has no help", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&App::command());
    }

    #[test]
    fn a_job_comes_from_flags_or_from_a_file_but_not_from_both() {
        let parse = |line: &str| App::try_parse_from(line.split(' '));
        assert!(parse("punctual job create a --every 1h30m --every 5s --task noop --payload {}").is_ok());
        assert!(parse("punctual job create -f jobs.yaml").is_ok());
        for wrong in [
            "punctual job create",
            "punctual job create a",
            "punctual job create a --task noop -f jobs.yaml",
            "punctual job create -f jobs.yaml --timeout 5s",
            "punctual job create --every 5s --task noop",
            "punctual job create a --task noop --every 5",
            "punctual job create a --task noop --payload [1]",
            "punctual job trigger a --label novalue",
            "punctual run list --state DONE",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
