//! Every setting of `executor-agent` is a flag, a variable and a key of the file, and all three have the same effect.

use clap::{CommandFactory as _, Parser as _};
use executor_agent::settings::Flags;
use punctual_tests::{File, Flag, Key, Settings, hold};

const FLAGS: [Flag; 23] = [
    Flag::new("server", Key::List, ["http://one.example", "http://other.example"]),
    Flag::new("id", Key::Text, ["one", "other"]),
    Flag::new("label", Key::Table, ["zone=one", "zone=other"]),
    Flag::new("queue", Key::List, ["one", "other"]),
    Flag::new("slots", Key::Bare, ["1001", "1002"]),
    Flag::new("task-type", Key::List, ["noop", "process"]),
    Flag::new("pass-env", Key::List, ["ONE", "OTHER"]),
    Flag::new("secret-env", Key::List, ["ONE", "OTHER"]),
    Flag::new("secret-dir", Key::Text, ["one", "other"]),
    Flag::new("state-dir", Key::Text, ["one", "other"]),
    Flag::new("token-file", Key::Text, ["one", "other"]),
    Flag::new("tls-ca", Key::Text, ["one", "other"]),
    Flag::new("tls-cert", Key::Text, ["one", "other"]),
    Flag::new("tls-key", Key::Text, ["one", "other"]),
    Flag::new("tls-server-name", Key::Text, ["one", "other"]),
    Flag::new("run-as", Key::Text, ["one", "other"]),
    Flag::new("work-dir", Key::Text, ["one", "other"]),
    Flag::new("task-memory", Key::Text, ["512MiB", "1GiB"]),
    Flag::new("task-cpu-time", Key::Text, ["7s", "1m 8s"]),
    Flag::new("task-open-files", Key::Bare, ["1001", "1002"]),
    Flag::new("task-processes", Key::Bare, ["1001", "1002"]),
    Flag::switch("trust-tasks", &[]),
    Flag::new("log-format", Key::Text, ["json", "text"]),
];

fn read(call: &[String]) -> Result<String, String> {
    let flags = Flags::try_parse_from(call).map_err(|refusal| refusal.to_string())?;
    flags.resolve().map(|settings| format!("{settings:#?}")).map_err(|refusal| format!("{refusal:#}"))
}

#[test]
fn every_setting_is_a_flag_a_variable_and_a_key() {
    let settings = Settings {
        test: "every_setting_is_a_flag_a_variable_and_a_key",
        command: Flags::command(),
        prefix: "PUNCTUAL_AGENT_",
        call: &["executor-agent"],
        file: File::Config,
        read,
    };
    hold(&settings, &FLAGS);
}
