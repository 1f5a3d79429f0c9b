//! The program `punctual`, called as a user would.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::undisturbed;
use crate::program;

pub struct Cli {
    folder: PathBuf,
    server: String,
    variables: Vec<(String, String)>,
}

/// What a call said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Cli {
    pub fn new(folder: &Path, server: &str) -> Self {
        Self { folder: folder.to_owned(), server: server.to_owned(), variables: Vec::new() }
    }

    /// The same with a variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn call(&self, args: &[&str]) -> Said {
        Said::of(&mut self.command(args))
    }

    /// A call that the test starts itself.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("punctual"));
        undisturbed(&mut command, &self.folder);
        command.args(args).current_dir(&self.folder).env("PUNCTUAL_SERVER", &self.server);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What a call prints that must succeed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.call(args).ok()
    }

    /// What a call prints with `--output json`.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let out = self.ok(&[args, &["--output", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: no JSON ({error}): {out}"))
    }
}

impl Said {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}
