//! Programs that cannot do what they are asked to say so in a line that helps, and end.

use std::path::Path;

use punctual_tests::{Agent, Cli, Port, Process, Server, folder, until};

/// Starts a program that cannot do its work, and answers the one line it said.
#[track_caller]
fn refused(name: &str, folder: &Path, program: &str, args: &[&str]) -> String {
    let mut process = Process::start(name, folder, program, args);
    let status = process.exit(20);
    let log = process.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert_eq!(log.lines().filter(|line| !line.contains(r#""level":"INFO""#)).count(), 1, "one line: {log}");
    log
}

#[test]
fn a_second_server_on_a_ledger_ends_and_names_the_first() {
    let folder = folder();
    let mut first = Server::bare(folder.path(), &[]);
    let pid = first.process().pid().to_string();
    let other = format!("127.0.0.1:{}", Port::free().number());

    let said = refused("second", folder.path(), "scheduler-server", &["dev", "--listen", &other, "--data-dir", "data"]);
    assert!(said.contains(&pid) && said.contains(&first.address()), "{said}");
    let ledger = "sqlite://data/ledger.db";
    let said =
        refused("third", folder.path(), "scheduler-server", &["serve", "--listen", &other, "--database-url", ledger]);
    assert!(said.contains(&pid), "{said}");
    assert_eq!(first.rest.call("GET", "/status", None).status, 200, "the first goes on");
}

#[test]
fn a_ledger_in_a_folder_that_is_not_there_is_refused_once_and_in_words() {
    let folder = folder();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let args = [command, &["--database-url", "sqlite://nowhere/ledger.db"]].concat();
        let said = refused(command[0], folder.path(), "scheduler-server", &args);
        assert!(said.contains("there is no folder nowhere; make it first"), "{said}");
        assert_eq!(said.matches("ledger.db").count(), 1, "{said}");
    }
}

#[test]
fn a_port_in_use_is_named_together_with_the_flag_that_changes_it() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let said = refused(
        "second",
        folder.path(),
        "scheduler-server",
        &["dev", "--listen", &server.address(), "--data-dir", "other"],
    );
    assert!(said.contains(&server.address()) && said.contains("--listen"), "{said}");
}

#[test]
fn a_ledger_that_cannot_be_made_is_named() {
    let folder = folder();
    // Permissions do not stop root; a file where a folder should be does.
    std::fs::write(folder.path().join("file"), "").expect("because the folder is the test's");
    let said = refused(
        "dev",
        folder.path(),
        "scheduler-server",
        &["dev", "--listen", "127.0.0.1:0", "--data-dir", "file/data"],
    );
    assert!(said.contains("--data-dir file/data"), "{said}");
    let url = "sqlite://file/ledger.db";
    let said = refused(
        "serve",
        folder.path(),
        "scheduler-server",
        &["serve", "--listen", "127.0.0.1:0", "--database-url", url],
    );
    assert!(said.contains("file/ledger.db"), "{said}");
}

#[test]
fn a_server_without_sign_in_does_not_listen_beyond_this_machine() {
    let folder = folder();
    let said = refused("dev", folder.path(), "scheduler-server", &["dev", "--listen", "0.0.0.0:0"]);
    assert!(said.contains("loopback"), "{said}");
    let url = "sqlite://ledger.db";
    let said =
        refused("serve", folder.path(), "scheduler-server", &["serve", "--listen", "0.0.0.0:0", "--database-url", url]);
    assert!(said.contains("--insecure"), "{said}");
}

#[test]
fn the_command_line_without_a_server_ends_with_3_and_a_line() {
    let folder = folder();
    let port = Port::free();
    let url = format!("http://127.0.0.1:{}", port.number());
    for args in [&["status"][..], &["job", "list"], &["job", "trigger", "any"]] {
        let said = Cli::new(folder.path(), &url).call(args);
        assert_eq!((said.code, said.err.lines().count(), said.out.as_str()), (Some(3), 1, ""), "{said:?}");
        assert!(said.err.contains(&url) && said.err.contains("--server"), "{said:?}");
    }
}

#[test]
fn an_agent_without_a_server_says_so_once_and_is_there_when_the_server_comes() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    server.kill();
    let mut agent = Agent::start(folder.path(), "early", &server, &[]);
    let warnings = |agent: &Agent| {
        let log = agent.process.log();
        log.lines().filter(|line| line.contains(r#""level":"WARN""#)).map(str::to_owned).collect::<Vec<_>>()
    };
    until("the agent to say that there is no server", 10, || (!warnings(&agent).is_empty()).then_some(()));
    server.start();
    server.has_agents(1);
    assert!(agent.process.status().is_none());
    let said = warnings(&agent);
    assert!(said.len() == 1 && said[0].contains(&server.url()), "{said:?}");
}

#[test]
fn an_agent_that_cannot_keep_its_state_is_told_where() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), "").expect("because the folder is the test's");
    let args = ["--id", "worker", "--server", "http://127.0.0.1:1", "--state-dir", "file/state"];
    let said = refused("agent", folder.path(), "executor-agent", &args);
    assert!(said.contains("file/state"), "{said}");
}
