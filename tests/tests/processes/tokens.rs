//! Signing in, with the programs that people run: the first token, those made with it, and an agent whose tasks do not find
//! its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use punctual_tests::{Agent, Cli, Said, Server, folder, job, program, shell, until};
use serde_json::json;

fn bootstrap(folder: &Path, flags: &[&str]) -> Said {
    let mut command = std::process::Command::new(program("scheduler-server"));
    let ledger = format!("--database-url=sqlite://{}/ledger.db", folder.display());
    command.args(["token", "bootstrap", &ledger]).args(flags).current_dir(folder);
    Said::of(&mut command)
}

fn file(folder: &Path, name: &str, token: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, token).expect("because the folder is the test's");
    path.to_str().expect("because it is UTF-8").to_owned()
}

#[test]
fn the_first_token_lets_in_who_makes_the_others_and_no_task_finds_the_agents() {
    let folder = folder();
    let folder = folder.path();
    let first = bootstrap(folder, &["--name", "root"]).ok();
    assert!(
        first.starts_with("pct_") && first.lines().count() == 1,
        "the token alone: {} lines",
        first.lines().count()
    );
    let mut server = Server::signed_in(folder);

    let refused = bootstrap(folder, &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("there is an admin already, root") && refused.out.is_empty(), "{refused:?}");
    let another = bootstrap(folder, &["--another", "--out", "another"]);
    assert_eq!((another.code, another.out.as_str()), (Some(0), ""), "{another:?}");
    let mode = fs::metadata(folder.join("another")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let cli = Cli::new(folder, &server.url());
    let nobody = cli.call(&["job", "list"]);
    assert_eq!((nobody.code, nobody.err.contains("sign in with a token")), (Some(1), true), "{nobody:?}");
    let root = file(folder, "root", &first);
    let ok = |args: &[&str]| cli.ok(&[args, &["--token-file", &root]].concat());
    assert_eq!(cli.call(&["job", "list", "--token-file", "another"]).code, Some(0), "made while the server ran");
    // An address of this machine that is not known to be: what goes there may go anywhere.
    let elsewhere = server.url().replace("127.0.0.1", "0.0.0.0");
    let warned = Cli::new(folder, &elsewhere).call(&["job", "list", "--token-file", &root]);
    assert!(warned.err.contains("unencrypted"), "{warned:?}");
    assert!(!cli.call(&["job", "list", "--token-file", &root]).err.contains("unencrypted"));
    let agents = ok(&["token", "create", "--role", "agent", "--name", "the agents", "--agent", "w1"]);

    let token = file(folder, "agent-token", &agents);
    fs::set_permissions(&token, fs::Permissions::from_mode(0o640)).expect("because it is the test's");
    let mut careless = Agent::start(folder, "w3", &server, &["--token-file", &token, "--server", &elsewhere]);
    for warning in ["unencrypted", "chmod 600"] {
        until(warning, 20, || careless.process.log().contains(warning).then_some(()));
    }
    careless.process.kill();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("because it is the test's");
    let mut wrong = Agent::start(folder, "w2", &server, &["--token-file", &token]);
    until("the agent of another id to be told", 20, || {
        wrong.process.log().contains("not good for an agent").then_some(())
    });
    wrong.process.kill();
    let _agent = Agent::start(folder, "w1", &server, &["--token-file", &token]);
    until("the agent to connect", 20, || ok(&["agent", "list"]).contains("ALIVE").then_some(()));
    let log = fs::read_to_string(folder.join("agent-w1.log")).unwrap_or_default();
    assert!(!log.contains("unencrypted") && !log.contains("chmod 600"), "{log}");
    // It goes on with what it has read.
    fs::remove_file(&token).expect("because it is there");

    // What it was started with, and all that those have who started it.
    let look = "env; p=$$; while [ $p -gt 1 ]; do \
                for f in environ cmdline; do tr '\\0' '\\n' < /proc/$p/$f; done 2>/dev/null | grep -a 'p[c]t_'; \
                for f in /proc/$p/fd/*; do readlink $f; done 2>/dev/null | grep -a 'agent-[t]oken'; \
                p=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$p/status); done;                 echo looked";
    let definition = file(folder, "job.json", &job("spy", shell(look), json!({})).to_string());
    ok(&["job", "create", "-f", &definition]);
    let said = ok(&["job", "trigger", "spy", "--wait"]);
    assert!(said.contains("looked"), "{said}");
    let secret = agents.trim().rsplit_once('_').expect("a token has parts").1;
    assert!(!said.contains(secret) && !said.contains("pct_") && !said.contains("agent-token"), "{said}");

    let listed = ok(&["token", "list"]);
    assert!(listed.contains("the agents") && !listed.contains(secret), "{listed}");
    let events = ok(&["audit", "export", "--namespace", "-"]);
    for method in ["TokenBootstrap", "TokenService/CreateToken", "JobService/CreateJob", "JobService/TriggerJob"] {
        assert!(events.contains(method), "{method}: {events}");
    }
    assert!(events.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{events}");
    let logs = [server.log(), fs::read_to_string(folder.join("agent-w1.log")).unwrap_or_default()].concat();
    for leak in [first.trim(), agents.trim(), secret, "echo looked"] {
        assert!(!events.contains(leak) && !logs.contains(leak), "a secret got where it does not belong");
    }
    server.process().signal(rustix::process::Signal::TERM);
    assert_eq!(server.process().exit(15).code(), Some(0));
}

#[test]
fn a_token_that_calls_too_often_is_told_when_it_may_again() {
    let folder = folder();
    let token = bootstrap(folder.path(), &[]).ok();
    let server = Server::serving(folder.path(), &["--sign-in", "--token-rate", "2"]);
    let authorization = format!("Bearer {}", token.trim());
    let headers = [("authorization", authorization.as_str())];
    let call = || server.rest.try_call("GET", "/api/v1/scheduler/jobs", &headers, None).expect("an answer");
    let refused = until("a refusal", 20, || Some(call()).filter(|answer| answer.status != 200));
    assert_eq!((refused.status, refused.retry_after.as_deref()), (429, Some("1")), "{}", refused.text);
    let error = refused.json()["error"].clone();
    let details = error["details"].as_array().cloned().unwrap_or_default();
    let is_limited = details.iter().any(|detail| detail["reason"] == "RATE_LIMITED");
    assert!(error["status"] == "RESOURCE_EXHAUSTED" && is_limited, "{error}");
    until("the token to be let in again", 20, || (call().status == 200).then_some(()));
}
