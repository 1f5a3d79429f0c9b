//! Process tasks that are kept away from their agent, and within bounds. Most of it is for root to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use punctual_proto::v1::log_chunk::Stream;
use punctual_proto::v1::report::Finished;
use punctual_proto::v1::report::finished::Outcome;
use punctual_proto::v1::{Assign, Cancel, server_message};
use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::fake::{Fake, Peer};
use crate::machine::{Agent, lives, pid_in};

/// Nobody's processes but those of these tests.
const USER: &str = "54321:54321";

fn is_root(test: &str) -> bool {
    if !geteuid().is_root() {
        eprintln!("SKIPPED {test}: only root can run tasks as another user");
    }
    geteuid().is_root()
}

/// An agent whose tasks run as another user, which may pass through the test's folder.
fn start_as(fake: &Fake, user: &str, flags: &[&str]) -> Agent {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).expect("its own");
    let work = folder.path().join("tasks").display().to_string();
    Agent::start_in(folder, fake, &[&["--run-as", user, "--work-dir", &work], flags].concat())
}

async fn done(peer: &mut Peer, payload: &Value) -> (Assign, Finished) {
    let assign = peer.assign("process", payload);
    peer.give(&assign).await;
    let finished = peer.finished().await;
    (assign, finished)
}

fn code(finished: &Finished) -> &str {
    finished.error.as_ref().map_or("", |error| error.code.as_str())
}

/// What is left of attempts' folders.
fn left(folder: &Path) -> usize {
    let instances = fs::read_dir(folder.join("tasks")).expect("the agent made it");
    instances.map(|instance| fs::read_dir(instance.expect("read").path()).expect("a folder").count()).sum()
}

#[tokio::test]
async fn a_task_of_another_user_reads_nothing_of_its_agents() {
    if !is_root("a_task_of_another_user_reads_nothing_of_its_agents") {
        return;
    }
    let mut fake = Fake::start().await;
    let agent = start_as(&fake, "nobody", &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let folder = agent.folder.path();
    let token = folder.join("token");
    fs::write(&token, "secret").expect("written");
    fs::set_permissions(&token, Permissions::from_mode(0o600)).expect("its own");
    let (token, state) = (token.display(), folder.join("state"));
    let state = state.display();
    let line = format!(
        "cat {token} {state}/lock {state}/instance; ls {state} {state}/instances; cat /proc/$PPID/environ
        echo seen by name > /dev/stdout; echo \"$(id -u) $(id -G | wc -w) $USER\"; pwd; touch mine && ls -A
        echo '{{\"as\":\"nobody\"}}' > \"$PUNCTUAL_RESULT_FILE\""
    );
    let (assign, finished) = done(&mut peer, &json!({"shell": line})).await;
    assert_eq!(finished.outcome(), Outcome::Succeeded, "{finished:?} {}", peer.text(&assign, Stream::Stderr));
    assert_eq!(&finished.result[..], b"{\"as\":\"nobody\"}\n");
    let (out, err) = (peer.text(&assign, Stream::Stdout), peer.text(&assign, Stream::Stderr));
    let lines: Vec<&str> = out.lines().collect();
    let nobody = nix_nobody();
    assert_eq!(lines[..2], ["seen by name", &format!("{nobody} 1 nobody")], "{out}");
    assert!(lines[2].starts_with(&folder.join("tasks").display().to_string()) && lines[2].ends_with("/work"), "{out}");
    assert_eq!(lines[3..], ["mine"], "the folder is fresh");
    assert_eq!(err.matches("ermission denied").count(), 6, "{err}");
    assert_eq!(left(folder), 0, "the folder goes with the attempt");
}

fn nix_nobody() -> String {
    let users = fs::read_to_string("/etc/passwd").expect("every system has it");
    let line = users.lines().find(|line| line.starts_with("nobody:")).expect("every system has it");
    line.split(':').nth(2).expect("a number").to_owned()
}

#[tokio::test]
async fn a_task_cannot_make_its_agent_read_for_it_nor_wait() {
    if !is_root("a_task_cannot_make_its_agent_read_for_it_nor_wait") {
        return;
    }
    let mut fake = Fake::start().await;
    let agent = start_as(&fake, USER, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let secret = agent.folder.path().join("secret.json");
    fs::write(&secret, "\"secret\"").expect("written");
    for line in [
        format!("ln -s {} \"$PUNCTUAL_RESULT_FILE\"", secret.display()),
        "mkfifo \"$PUNCTUAL_RESULT_FILE\" \"$PUNCTUAL_PROGRESS_FILE\"".to_owned(),
        "mkdir \"$PUNCTUAL_RESULT_FILE\"".to_owned(),
    ] {
        let (_, finished) = done(&mut peer, &json!({"shell": line})).await;
        assert_eq!((code(&finished), &finished.result[..]), ("RESULT_INVALID", &b""[..]), "{line}");
    }
}

#[tokio::test]
async fn a_task_of_another_user_is_killed_like_any_other() {
    if !is_root("a_task_of_another_user_is_killed_like_any_other") {
        return;
    }
    let mut fake = Fake::start().await;
    let _agent = start_as(&fake, USER, &["--task-open-files", "64"]);
    let (mut peer, _) = fake.welcomed(1).await;
    let shared = tempfile::tempdir().expect("a folder");
    fs::set_permissions(shared.path(), Permissions::from_mode(0o777)).expect("its own");
    let pid = shared.path().join("pid");
    let line = format!("trap '' TERM; setsid sh -c 'echo $$ > {}; sleep 600' & sleep 600", pid.display());
    let assign = Assign {
        kill_grace: Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 }),
        ..peer.assign("process", &json!({"shell": line}))
    };
    peer.give(&assign).await;
    let pid = pid_in(&pid).await;
    let cancel = Cancel { run_id: assign.run_id.clone(), attempt: 1, reason: 1 };
    peer.send(server_message::Message::Cancel(cancel)).await;
    assert_eq!(peer.finished().await.outcome(), Outcome::Cancelled);
    assert!(!lives(pid));
}

#[tokio::test]
async fn each_attempt_starts_in_an_empty_folder_of_its_own() {
    let mut fake = Fake::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let work = folder.path().join("tasks").display().to_string();
    let agent = Agent::start_in(folder, &fake, &["--work-dir", &work]);
    let (mut peer, _) = fake.welcomed(1).await;
    for _ in 0..2 {
        let (assign, finished) = done(&mut peer, &json!({"shell": "ls -A; touch mine; pwd"})).await;
        assert_eq!(finished.outcome(), Outcome::Succeeded);
        let out = peer.text(&assign, Stream::Stdout);
        assert!(out.lines().count() == 1 && out.starts_with(&work), "{out}");
    }
    let (assign, _) = done(&mut peer, &json!({"shell": "pwd", "working_dir": "/"})).await;
    assert_eq!(peer.text(&assign, Stream::Stdout), "/\n", "a payload may choose another");
    assert_eq!(left(agent.folder.path()), 0);
}

#[tokio::test]
async fn a_task_that_takes_more_than_it_may_fails_and_says_why() {
    let mut fake = Fake::start().await;
    let limits = ["--task-memory", "64MiB", "--task-cpu-time", "1s", "--task-open-files", "32"];
    let _agent = Agent::start(&fake, &limits);
    let (mut peer, _) = fake.welcomed(1).await;

    let (_, finished) = done(&mut peer, &json!({"shell": "while :; do :; done"})).await;
    assert_eq!(code(&finished), "CPU_TIME_EXCEEDED", "{finished:?}");

    let dd = |size: &str| json!({"command": ["dd", "if=/dev/zero", "of=/dev/null", "count=1", format!("bs={size}")]});
    let (_, finished) = done(&mut peer, &dd("16M")).await;
    assert_eq!(finished.outcome(), Outcome::Succeeded, "{finished:?}");
    let (assign, finished) = done(&mut peer, &dd("128M")).await;
    let err = peer.text(&assign, Stream::Stderr);
    assert!(code(&finished) == "EXIT_1" && err.contains("memory exhausted"), "{finished:?} {err}");

    let (assign, _) = done(&mut peer, &json!({"shell": "ulimit -n; cat", "stdin": "typed\n"})).await;
    assert_eq!(peer.text(&assign, Stream::Stdout), "32\ntyped\n");
    let (_, finished) = done(&mut peer, &json!({"command": ["/no/such/program"]})).await;
    let error = finished.error.expect("it failed");
    assert!(error.code == "SPAWN_FAILED" && error.message.contains("there is no program"), "{error:?}");
}

#[tokio::test]
async fn limits_of_another_user_cannot_be_raised_and_count_its_processes() {
    if !is_root("limits_of_another_user_cannot_be_raised_and_count_its_processes") {
        return;
    }
    let mut fake = Fake::start().await;
    let _agent = start_as(&fake, "54322:54322", &["--task-processes", "8", "--task-open-files", "32"]);
    let (mut peer, _) = fake.welcomed(1).await;
    let line = "ulimit -n 33 || echo no; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; echo all";
    let (assign, finished) = done(&mut peer, &json!({"shell": line})).await;
    assert_eq!(finished.outcome(), Outcome::Failed, "{finished:?}");
    let (out, err) = (peer.text(&assign, Stream::Stdout), peer.text(&assign, Stream::Stderr));
    assert!(!out.contains("all") && err.contains("fork"), "{out} {err}");
}

#[tokio::test]
async fn what_cannot_be_isolated_is_refused_at_the_start() {
    let fake = Fake::start().await;
    for (flags, said) in [
        (&["--run-as", "nobody"][..], "--run-as"),
        (&["--run-as", "no-such-user-here", "--work-dir", "w"], "--run-as"),
        (&["--task-processes", "5"], "--run-as"),
        (&["--task-memory", "1KiB"], "--task-memory"),
        (&["--task-memory", "much"], "--task-memory"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let output = crate::machine::command(folder.path(), &fake.url).args(flags).output().expect("the program runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && err.contains(said), "{flags:?}: {err}");
    }
}
