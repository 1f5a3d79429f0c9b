//! Secrets of tasks: the agent has them, and nothing that it sends to the server does.

use std::fs;
use std::path::Path;

use punctual_tests::{Agent, Run, Server, folder, job, until};
use serde_json::json;

const SECRET: &str = "correct-horse-battery-staple";

/// Every file below a folder in which the secret stands.
fn files_with_the_secret(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("because it is there") {
        let path = entry.expect("because it is there").path();
        if path.is_dir() {
            found.extend(files_with_the_secret(&path));
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_reaches_its_task_and_not_the_ledger_nor_a_log() {
    let folder = folder();
    let secrets = folder.path().join("secrets");
    fs::create_dir(&secrets).expect("because the folder is the test's");
    fs::write(secrets.join("token"), format!("{SECRET}\n")).expect("because the folder is the test's");
    let server = Server::bare(folder.path(), &[]);
    let flags = ["--secret-dir", "secrets", "--secret-env", "PATH"];
    let _agent = Agent::start(folder.path(), "keeper", &server, &flags);
    server.has_agents(1);

    // It writes the secret wherever a task can, and its length into a file of its own.
    let length = folder.path().join("length");
    let script = format!(
        "printf %s \"$TOKEN\" | wc -c > {}; echo \"out $TOKEN\"; echo \"err $TOKEN\" >&2; cat; \
         echo \"50 at $TOKEN\" > $PUNCTUAL_PROGRESS_FILE; echo \"[\\\"$TOKEN\\\"]\" > $PUNCTUAL_RESULT_FILE",
        length.display()
    );
    let payload = json!({ "shell": script, "env": { "TOKEN": "${file:token}" }, "stdin": "in ${file:token}\n" });
    server.rest.create(&job("told", json!({ "type": "process", "payload": payload }), json!({})));
    let run_id = server.rest.trigger("told", "").run_id;
    let run = until("the run to end", 20, || Some(server.rest.run(&run_id)).filter(Run::ended));
    assert!(run.succeeded(), "{run:?}");
    let told = fs::read_to_string(&length).expect("because the task wrote it");
    assert_eq!(told.trim(), SECRET.len().to_string(), "the task has the secret itself");
    assert_eq!(server.rest.get(&format!("/runs/{run_id}"))["result"], json!(["[secret]"]));
    let log = server.rest.logs(&run_id);
    for line in ["out [secret]\n", "err [secret]\n", "in [secret]\n"] {
        assert!(log.contains(line), "{log}");
    }

    // The server answers with the path that it was asked for.
    let url = format!("{}/api/v1/scheduler/jobs/${{file:token}}", server.url());
    server.rest.create(&job("asked", json!({ "type": "http", "payload": { "url": url } }), json!({})));
    let run_id = server.rest.trigger("asked", "").run_id;
    let run = until("the run to end", 20, || Some(server.rest.run(&run_id)).filter(Run::ended));
    assert_eq!(run.state, "FAILED");
    assert!(server.rest.logs(&run_id).contains("[secret]"), "{}", server.rest.logs(&run_id));

    drop(server);
    assert_eq!(files_with_the_secret(folder.path()), [secrets.join("token").display().to_string()]);
}

#[test]
fn a_secret_that_the_agent_does_not_give_out_fails_the_run_for_good() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let payload = json!({ "command": ["true"], "env": { "A": "${env:PATH}" } });
    let retry = json!({ "retry": { "maxAttempts": 3, "initialBackoff": "0.1s" } });
    server.rest.create(&job("refused", json!({ "type": "process", "payload": payload }), retry));
    let run_id = server.rest.trigger("refused", "").run_id;
    let run = until("the run to end", 20, || Some(server.rest.run(&run_id)).filter(Run::ended));
    assert_eq!((run.state.as_str(), run.attempt), ("FAILED", 1), "{run:?}");
    let error = server.rest.get(&format!("/runs/{run_id}"))["error"].clone();
    assert_eq!(error["code"], "SECRET_UNAVAILABLE", "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("env.A: ${env:PATH}")), "{error}");
}
