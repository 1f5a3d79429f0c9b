//! Holds the settings of a program to one rule: a flag, its variable and its key in the file mean the same, and a flag
//! beats a variable beats the file.
//!
//! The flags are those of clap's own definition, so that a new one fails until its values are in the test's table.
//! Variables belong to a process, and tests run beside each other: so every reading is done by a child, which is the
//! same test again.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::folder;
use crate::process::undisturbed;

/// The arguments of a reading; a child has it.
const ARGUMENTS: &str = "PUNCTUAL_TEST_ARGUMENTS";
/// Where a child writes what it has read.
const ANSWER: &str = "answer";

/// How a value is written in TOML.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    Text,
    /// As it stands: a number, `true`.
    Bare,
    List,
    /// `key=value` of a flag.
    Table,
    /// It has none: it is about one call.
    None,
}

/// A flag, and what it can be set to.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    pub name: &'static str,
    pub key: Key,
    /// Two values that mean different things; the first one is not the default.
    pub values: [&'static str; 2],
    /// Flags without which this one has no effect.
    pub beside: &'static [&'static str],
}

impl Flag {
    pub const fn new(name: &'static str, key: Key, values: [&'static str; 2]) -> Self {
        Self { name, key, values, beside: &[] }
    }

    /// One that is on or off.
    pub const fn switch(name: &'static str, beside: &'static [&'static str]) -> Self {
        Self { name, key: Key::Bare, values: ["true", "false"], beside }
    }

    /// One that is about one call, and has no key.
    #[must_use]
    pub const fn of_a_call(self) -> Self {
        Self { key: Key::None, ..self }
    }

    fn line(&self, value: &str) -> String {
        let name = self.name;
        match self.key {
            Key::Text => format!("{name} = {}\n", json!(value)),
            Key::Bare => format!("{name} = {value}\n"),
            Key::List => format!("{name} = [{}]\n", json!(value)),
            Key::Table => {
                let (key, value) = value.split_once('=').expect("because a value of a table is written key=value");
                format!("{name} = {{ {key} = {} }}\n", json!(value))
            }
            Key::None => unreachable!("because nobody asks for a key that there is not"),
        }
    }
}

/// Where a program finds its file.
#[derive(Clone, Copy, Debug)]
pub enum File {
    /// Where the flag `--config` says.
    Config,
    /// At a path under the user's home.
    Home(&'static str),
}

/// A program, or one of its commands.
pub struct Settings<'a> {
    /// The name of the calling test.
    pub test: &'a str,
    /// What defines the flags.
    pub command: clap::Command,
    pub prefix: &'a str,
    /// What every call of it has: the program's name, a command, flags without which it does nothing.
    pub call: &'a [&'a str],
    pub file: File,
    /// All that holds for a call, or why it is refused.
    pub read: fn(&[String]) -> Result<String, String>,
}

/// What one reading is made of, beside what every call has.
#[derive(Default)]
struct Given<'a> {
    flag: Option<&'a str>,
    variable: Option<&'a str>,
    key: Option<&'a str>,
}

/// Fails unless each flag of the command has its variable and its key, and all three have the same effect.
pub fn hold(settings: &Settings<'_>, flags: &[Flag]) {
    if let Ok(arguments) = std::env::var(ARGUMENTS) {
        let arguments: Vec<String> = serde_json::from_str(&arguments).expect("because the parent writes JSON");
        let answer = (settings.read)(&arguments).unwrap_or_else(|refusal| format!("refused: {refusal}"));
        return std::fs::write(ANSWER, answer).expect("because the folder is the test's");
    }
    settings.names(flags);
    for flag in flags {
        settings.effect(flag);
    }
}

impl Settings<'_> {
    /// Every flag is in the table, and every variable has the flag's name.
    fn names(&self, flags: &[Flag]) {
        let mut known: BTreeSet<&str> = flags.iter().map(|flag| flag.name).collect();
        assert_eq!(known.len(), flags.len(), "a flag stands in the table twice");
        for arg in self.command.get_arguments() {
            let id = arg.get_id().as_str();
            if ["help", "version"].contains(&id) {
                continue;
            }
            let name = arg.get_long().unwrap_or_else(|| panic!("{id} has no long name"));
            let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
            assert_eq!(variable, Some(self.variable(name)), "the variable of --{name}");
            let is_file = matches!(self.file, File::Config) && name == "config";
            assert!(known.remove(name) || is_file, "--{name} is new: give it two values in the table of {}", self.test);
        }
        assert!(known.is_empty(), "there is no flag any more for {known:?}");
    }

    fn variable(&self, flag: &str) -> String {
        format!("{}{}", self.prefix, flag.to_uppercase().replace('-', "_"))
    }

    fn effect(&self, flag: &Flag) {
        let name = flag.name;
        let [one, other] = flag.values;
        let read = |given: Given<'_>| self.read(flag, &given);
        let default = read(Given::default());
        let as_one = read(Given { flag: Some(one), ..Given::default() });
        let as_other = read(Given { flag: Some(other), ..Given::default() });
        assert!(!as_one.starts_with("refused"), "--{name}={one}: {as_one}");
        assert_ne!(as_one, default, "--{name}={one} has no effect");
        assert_ne!(as_one, as_other, "--{name}={one} and --{name}={other} mean the same");
        if other == "false" {
            assert_eq!(read(Given { flag: Some(""), ..Given::default() }), as_one, "--{name} alone");
        }
        let cases = [
            ("its variable", Given { variable: Some(one), ..Given::default() }, &as_one),
            ("its key", Given { key: Some(one), ..Given::default() }, &as_one),
            ("its variable against its key", Given { variable: Some(other), key: Some(one), flag: None }, &as_other),
            ("itself against its variable", Given { flag: Some(other), variable: Some(one), key: None }, &as_other),
            ("itself against its key", Given { flag: Some(other), key: Some(one), variable: None }, &as_other),
        ];
        let has_key = !matches!(flag.key, Key::None);
        for (what, given, expected) in cases.into_iter().filter(|(_, given, _)| has_key || given.key.is_none()) {
            assert_eq!(read(given), *expected, "--{name}: {what}");
        }
    }

    /// What holds for the call, as a child reads it.
    fn read(&self, flag: &Flag, given: &Given<'_>) -> String {
        let folder = folder();
        let mut call = self.call.iter().chain(flag.beside).map(|part| (*part).to_owned()).collect::<Vec<_>>();
        call.retain(|part| !part.starts_with(&format!("--{}=", flag.name)));
        match given.flag {
            Some("") => call.push(format!("--{}", flag.name)),
            Some(value) => call.push(format!("--{}={value}", flag.name)),
            None => {}
        }
        let mut child = Command::new(std::env::current_exe().expect("because the system knows which program runs"));
        undisturbed(&mut child, folder.path());
        if let Some(value) = given.key {
            let path = match self.file {
                File::Config => "settings.toml",
                File::Home(path) => path,
            };
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("because the folder is the test's");
            std::fs::write(&path, flag.line(value)).expect("because the folder is the test's");
            if matches!(self.file, File::Config) {
                // So that this variable is held to its flag, too.
                child.env(self.variable("config"), path);
            }
        }
        if let Some(value) = given.variable {
            child.env(self.variable(flag.name), value);
        }
        child.env(ARGUMENTS, json!(call).to_string()).current_dir(folder.path());
        let output = child.args([self.test, "--exact", "--nocapture"]).output().expect("because it runs already");
        let answer = std::fs::read_to_string(folder.path().join(ANSWER));
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}: {output:?}", self.test));
        // Each child has a folder of its own, and some settings name it.
        answer.replace(&folder.path().display().to_string(), "FOLDER")
    }
}
