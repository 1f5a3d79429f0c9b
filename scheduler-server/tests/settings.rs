//! Every setting of `scheduler-server` is a flag, a variable and a key of the file, and all three have the same effect.

use clap::{CommandFactory as _, Parser as _};
use punctual_tests::{File, Flag, Key, Settings, hold};
use scheduler_server::settings::{Command, Program, TokenCommand};

/// A ledger that nobody opens.
const LEDGER: &str = "--database-url=sqlite://ledger.db";

const ETCD: &[&str] = &[AT_ETCD];
const AT_ETCD: &str = "--etcd=http://one.example";
const CA: &str = "--etcd-ca=ca.pem";

/// What all ways to run a server share.
const NODE: [Flag; 12] = [
    Flag::new("listen", Key::Text, ["127.0.0.1:1", "127.0.0.1:2"]),
    Flag::new("node-id", Key::Text, ["one", "other"]),
    Flag::new("agent-ttl", Key::Text, ["7s", "1m 8s"]),
    Flag::new("min-every", Key::Text, ["3s", "250ms"]),
    Flag::new("audit-retention", Key::Text, ["30days", "60days"]),
    Flag { beside: &["--tls-key=key.pem"], ..Flag::new("tls-cert", Key::Text, ["one", "other"]) },
    Flag { beside: &["--tls-cert=cert.pem"], ..Flag::new("tls-key", Key::Text, ["one", "other"]) },
    Flag {
        beside: &["--tls-cert=cert.pem", "--tls-key=key.pem"],
        ..Flag::new("tls-client-ca", Key::Text, ["one", "other"])
    },
    Flag {
        beside: &["--tls-cert=cert.pem", "--tls-key=key.pem", "--tls-client-ca=ca.pem"],
        ..Flag::new("client-cert-for", Key::List, ["admin", "agent"])
    },
    Flag::new("max-connections", Key::Bare, ["1001", "1002"]),
    Flag::new("max-connections-per-address", Key::Bare, ["1001", "1002"]),
    Flag::new("log-format", Key::Text, ["json", "text"]),
];

fn read(call: &[String]) -> Result<String, String> {
    let program = Program::try_parse_from(call).map_err(|refusal| refusal.to_string())?;
    let settings = match program.command {
        Command::Dev(flags) => flags.resolve().map(|settings| format!("{settings:#?}")),
        Command::Serve(flags) => flags.resolve().map(|settings| format!("{settings:#?}")),
        Command::Migrate(flags) => flags.resolve().map(|settings| format!("{settings:#?}")),
        Command::Move(flags) => flags.resolve().map(|settings| format!("{settings:#?}")),
        Command::Token(TokenCommand::Bootstrap(flags)) => flags.resolve().map(|settings| format!("{settings:#?}")),
    };
    settings.map_err(|refusal| format!("{refusal:#}"))
}

fn settings<'a>(test: &'a str, call: &'a [&'a str]) -> Settings<'a> {
    let names = call[1..].iter().filter(|part| !part.starts_with("--"));
    let command = names.fold(Program::command(), |command, name| {
        command.find_subcommand(name).expect("because the test names a command").clone()
    });
    Settings { test, command, prefix: "PUNCTUAL_NODE_", call, file: File::Config, read }
}

#[test]
fn every_setting_of_dev_is_a_flag_a_variable_and_a_key() {
    let own =
        [Flag::new("data-dir", Key::Text, ["one", "other"]), Flag::switch("no-agent", &[]), Flag::switch("tls", &[])];
    hold(
        &settings("every_setting_of_dev_is_a_flag_a_variable_and_a_key", &["scheduler-server", "dev"]),
        &[&NODE[..], &own].concat(),
    );
}

#[test]
fn every_setting_of_serve_is_a_flag_a_variable_and_a_key() {
    let own = [
        Flag::new("database-url", Key::Text, ["sqlite://one.db", "sqlite://other.db"]),
        Flag::new("etcd", Key::List, ["http://one.example", "http://other.example"]),
        Flag { beside: ETCD, ..Flag::new("cluster", Key::Text, ["one", "other"]) },
        Flag { beside: ETCD, ..Flag::new("etcd-ca", Key::Text, ["one", "other"]) },
        Flag { beside: &[AT_ETCD, CA, "--etcd-key=key.pem"], ..Flag::new("etcd-cert", Key::Text, ["one", "other"]) },
        Flag { beside: &[AT_ETCD, CA, "--etcd-cert=cert.pem"], ..Flag::new("etcd-key", Key::Text, ["one", "other"]) },
        Flag { beside: &[AT_ETCD, "--etcd-password-file=p"], ..Flag::new("etcd-user", Key::Text, ["one", "other"]) },
        Flag { beside: &[AT_ETCD, "--etcd-user=u"], ..Flag::new("etcd-password-file", Key::Text, ["one", "other"]) },
        Flag { beside: ETCD, ..Flag::new("peer-ca", Key::Text, ["one", "other"]) },
        Flag { beside: ETCD, ..Flag::new("peer-secret-file", Key::Text, ["one", "other"]) },
        Flag { beside: ETCD, ..Flag::new("lock-idle", Key::Text, ["7s", "1m 8s"]) },
        Flag { beside: ETCD, ..Flag::new("idle-locks-per-agent", Key::Bare, ["7", "8"]) },
        Flag { beside: ETCD, ..Flag::new("idle-locks", Key::Bare, ["7", "8"]) },
        Flag::new("advertise", Key::Text, ["http://one.example", "http://other.example"]),
        Flag {
            beside: &["--listen=192.0.2.1:1", "--insecure"],
            ..Flag::new("host", Key::List, ["one.example", "other.example"])
        },
        // Elsewhere than on loopback, for that is what it allows.
        Flag::switch("insecure", &["--listen=192.0.2.1:1"]),
        Flag::switch("sign-in", &[]),
        Flag::new("token-rate", Key::Bare, ["7", "8"]),
        Flag::switch("no-migrate", &[]),
    ];
    hold(
        &settings("every_setting_of_serve_is_a_flag_a_variable_and_a_key", &["scheduler-server", "serve", LEDGER]),
        &[&NODE[..], &own].concat(),
    );
}

#[test]
fn every_setting_of_migrate_is_a_flag_a_variable_and_a_key() {
    let own = [
        Flag::new("database-url", Key::Text, ["sqlite://one.db", "sqlite://other.db"]),
        Flag::switch("restored", &[]).of_a_call(),
    ];
    let call = ["scheduler-server", "migrate", LEDGER];
    hold(&settings("every_setting_of_migrate_is_a_flag_a_variable_and_a_key", &call), &own);
}

#[test]
fn every_setting_of_move_is_a_flag_and_a_variable() {
    let own = ["from", "to"]
        .map(|name| Flag::new(name, Key::Text, ["sqlite://one.db", "postgres://me@one.example/other"]).of_a_call());
    let call = ["scheduler-server", "move", "--from=sqlite://from.db", "--to=postgres://me@to.example/ledger"];
    hold(&settings("every_setting_of_move_is_a_flag_and_a_variable", &call), &own);
}

#[test]
fn every_setting_of_token_bootstrap_is_a_flag_and_a_variable() {
    let own = [
        Flag::new("database-url", Key::Text, ["sqlite://one.db", "sqlite://other.db"]),
        Flag::new("name", Key::Text, ["one", "other"]).of_a_call(),
        Flag::new("expires-in", Key::Text, ["1h", "2h"]).of_a_call(),
        Flag::switch("another", &[]).of_a_call(),
        Flag::new("out", Key::Text, ["one", "other"]).of_a_call(),
    ];
    let call = ["scheduler-server", "token", "bootstrap", LEDGER];
    hold(&settings("every_setting_of_token_bootstrap_is_a_flag_and_a_variable", &call), &own);
}

#[test]
fn the_help_says_where_settings_come_from() {
    let help = Program::command().render_long_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in ["PUNCTUAL_NODE_LISTEN", "--config", "flag beats a variable"] {
        assert!(help.contains(said), "{said} is not in {help}");
    }
}
