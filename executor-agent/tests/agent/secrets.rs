//! Tasks that look for their agent's token, with all the rights of the user that their agent runs as.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use punctual_proto::v1::log_chunk::Stream;
use rustix::process::geteuid;
use serde_json::json;
use tempfile::TempDir;

use crate::fake::{Fake, Peer};
use crate::machine::{Agent, command_of};

/// Not root's: those of these tests.
const USER: u32 = 54323;
const TOKEN: &str = "pct_found_in_the_file";
const VARIABLE: &str = "found-in-the-environment";

/// An agent with a token, of `user` where the test may choose, and the file with its token.
fn start(fake: &Fake, user: Option<u32>, flags: &[&str]) -> (Agent, PathBuf) {
    let folder = TempDir::with_prefix("agent").expect("a folder");
    // Where the build is, others may have no way to.
    let program = folder.path().join("executor-agent");
    fs::copy(env!("CARGO_BIN_EXE_executor-agent"), &program).expect("copied");
    let token = folder.path().join("secrets/token");
    fs::create_dir(folder.path().join("secrets")).expect("made");
    fs::create_dir(folder.path().join("open")).expect("made");
    fs::write(&token, TOKEN).expect("written");
    fs::write(folder.path().join("secrets/other"), "beside it\n").expect("written");
    fs::set_permissions(&token, Permissions::from_mode(0o600)).expect("its own");
    let mut command = command_of(&program, folder.path(), &fake.url);
    command.arg("--token-file").arg(&token).args(flags).env("SOME_PASSWORD", VARIABLE);
    if let Some(user) = user {
        for path in ["", "secrets", "open", "secrets/token", "secrets/other"] {
            chown(folder.path().join(path), Some(user), Some(user)).expect("root may");
        }
        command.uid(user).gid(user);
    }
    (Agent::spawn(folder, &mut command), token)
}

/// Who agents can be run as here: the user of the tests, and, if that is root, somebody else.
fn users() -> Vec<Option<u32>> {
    if geteuid().is_root() { vec![Some(USER), None] } else { vec![None] }
}

/// What a shell says and complains of.
async fn told(peer: &mut Peer, line: &str) -> (String, String) {
    let assign = peer.assign("process", &json!({"shell": line}));
    peer.give(&assign).await;
    peer.finished().await;
    (peer.text(&assign, Stream::Stdout), peer.text(&assign, Stream::Stderr))
}

/// Whatever the agent and those between it and the task have in memory.
fn look_into_processes(agent: u32) -> String {
    format!(
        "for p in {agent} $PPID; do
            tr '\\0' '\\n' < /proc/$p/cmdline; cat /proc/$p/environ; head -c 1 /proc/$p/mem
            cat /proc/$p/root$TOKEN_FILE
        done"
    )
}

fn is_found(said: &(String, String)) -> bool {
    [&said.0, &said.1].iter().any(|text| text.contains(TOKEN) || text.contains(VARIABLE))
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

#[tokio::test]
async fn no_task_reads_its_agents_token_though_it_is_the_same_user() {
    for user in users() {
        let mut fake = Fake::start().await;
        let (agent, token) = start(&fake, user, &[]);
        let (mut peer, _) = fake.welcomed(1).await;
        let folder = agent.folder.path();
        let t = quoted(&token);

        let by_name = format!("cat {t}; cp {t} copy; ln -s {t} link; cat link; dd if={t} status=none; echo looked");
        let said = told(&mut peer, &format!("cd {}/open; {by_name}", folder.display())).await;
        assert!(!is_found(&said) && said.0 == "looked\n", "{user:?}: {said:?}");
        assert_eq!(said.1.matches("ermission denied").count(), 4, "{user:?}: {}", said.1);

        let look = look_into_processes(agent.pid()).replace("$TOKEN_FILE", &t);
        let said = told(&mut peer, &look).await;
        assert!(!said.0.contains(TOKEN) && said.0.contains("--token-file"), "{user:?}: {said:?}");
        assert_eq!(said.1.matches("/mem' for reading: Permission denied").count(), 2, "{user:?}: {}", said.1);
        // Newer kernels show root the variables of every process (CAP_PERFMON), and nobody else.
        if user.is_some() || !geteuid().is_root() {
            assert_eq!(said.1.matches("ermission denied").count(), 6, "{user:?}: {}", said.1);
            assert!(!is_found(&said), "{user:?}: {said:?}");
        }

        // Under other names, and for tasks that come later.
        let secrets = folder.join("secrets");
        let renamed = format!("cd {} && ln token hard; mv token moved; cat hard moved", secrets.display());
        let elsewhere = "mv moved ../open/; cat ../open/moved; mv ../secrets ../renamed; cat ../renamed/*d";
        for line in [&format!("{renamed}; {elsewhere}"), &format!("cat {}/*/*d", folder.display())] {
            let said = told(&mut peer, line).await;
            assert!(!is_found(&said) && said.1.contains("ermission denied"), "{user:?}: {said:?}");
        }
    }
}

#[tokio::test]
async fn a_new_token_is_hidden_from_a_task_that_runs_already() {
    for user in users() {
        let mut fake = Fake::start().await;
        let (agent, token) = start(&fake, user, &[]);
        let (mut peer, _) = fake.welcomed(1).await;
        let open = agent.folder.path().join("open");
        let line = format!(
            "cd {}; touch runs; until [ -e go ]; do sleep 0.02; done; cat {}; echo looked",
            open.display(),
            quoted(&token)
        );
        let assign = peer.assign("process", &json!({"shell": line}));
        peer.give(&assign).await;
        crate::machine::until("the task", || open.join("runs").exists()).await;
        let next = token.with_file_name("next");
        fs::write(&next, TOKEN).expect("written");
        chown(&next, user, user).expect("root may");
        fs::rename(&next, &token).expect("replaced");
        fs::write(open.join("go"), "").expect("written");
        peer.finished().await;
        let said = (peer.text(&assign, Stream::Stdout), peer.text(&assign, Stream::Stderr));
        assert!(!is_found(&said) && said.0 == "looked\n", "{user:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_task_of_an_agent_with_a_token_works_as_any_other() {
    for user in users() {
        let mut fake = Fake::start().await;
        let (agent, _) = start(&fake, user, &["--task-open-files", "64"]);
        let (mut peer, _) = fake.welcomed(1).await;
        let line = format!(
            "cd {}/open && cat ../secrets/other && echo new > new && cat new && mkdir sub && mv new sub/ && cat sub/new \
             && ln sub/new again && head -c 3 /dev/zero | wc -c && echo 7 > \"$PUNCTUAL_RESULT_FILE\" && ulimit -n && \
             (kill -0 $$ && cat /proc/$$/environ | wc -l) && cat",
            agent.folder.path().display()
        );
        let assign = peer.assign("process", &json!({"shell": line, "stdin": "typed\n"}));
        peer.give(&assign).await;
        let finished = peer.finished().await;
        let (out, err) = (peer.text(&assign, Stream::Stdout), peer.text(&assign, Stream::Stderr));
        assert_eq!(out, "beside it\nnew\nnew\n3\n64\n0\ntyped\n", "{user:?}: {err}");
        assert_eq!(&finished.result[..], b"7\n");
    }
}

/// The token's file is all that is opened: the agent's memory stays closed.
#[tokio::test]
async fn a_trusted_task_reads_the_file_and_not_the_agents_memory() {
    let Some(user) = users().into_iter().find(|user| user.is_some() || !geteuid().is_root()) else { return };
    let mut fake = Fake::start().await;
    let (agent, token) = start(&fake, user, &["--trust-tasks"]);
    let (mut peer, _) = fake.welcomed(1).await;
    let (out, _) = told(&mut peer, &format!("cat {}", quoted(&token))).await;
    assert_eq!(out, TOKEN);
    let pid = agent.pid();
    let (out, err) = told(&mut peer, &format!("cat /proc/{pid}/environ /proc/{pid}/mem; ls /proc/{pid}/fd")).await;
    assert!(out.is_empty() && err.matches("ermission denied").count() == 3, "{out} {err}");
}
