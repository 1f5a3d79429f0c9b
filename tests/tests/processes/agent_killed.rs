//! `kill -9` of an agent: its tasks die with it, and only then may another start them (promises 3 and 7, rule 26).

use punctual_tests::{Agent, Run, Server, Witness, folder, job, lives, shell, until};
use serde_json::{Value, json};

/// Its first attempt leaves processes of every kind that tries to get away, and does not end. Its second looks which
/// of those there still are. Lines: attempt, pid, and `ALIVE` for a pid that should be gone.
fn task(witness: &Witness) -> Value {
    shell(&format!(
        r#"
        witness={}
        if [ "$PUNCTUAL_ATTEMPT" != 1 ]; then
            for pid in $(grep '^1 ' "$witness" | cut -d' ' -f2 | sort -u); do
                grep -qs '^State:[[:space:]]*[^ZX]' /proc/$pid/status && echo "$PUNCTUAL_ATTEMPT $pid ALIVE" >> "$witness"
            done
            echo "$PUNCTUAL_ATTEMPT $$ done" >> "$witness"
            exit 0
        fi
        beat='while true; do echo "1 $$ beat" >> '"$witness"'; sleep 0.1; done'
        setsid sh -c "$beat" &
        (setsid sh -c "$beat" & ) &
        nohup sh -c "$beat" > /dev/null 2>&1 &
        ( ( sh -c "$beat" & ) & )
        exec sh -c "$beat"
        "#,
        witness.path()
    ))
}

/// Waits until the first attempt has spread, and answers the pids it consists of.
#[track_caller]
fn spread(witness: &Witness) -> Vec<u32> {
    until("the first attempt to have spread", 20, || {
        let mut pids: Vec<u32> = witness.lines().iter().map(|line| line[1].parse().expect("a pid")).collect();
        pids.sort_unstable();
        pids.dedup();
        (pids.len() == 5).then_some(pids)
    })
}

#[track_caller]
fn assert_retried(server: &Server, run_id: &str, witness: &Witness, seconds: u64) -> Run {
    let ended = until("the run to end", seconds, || Some(server.rest.run(run_id)).filter(Run::ended));
    assert_eq!((ended.state.as_str(), ended.attempt), ("SUCCEEDED", 2), "{ended:?}");
    assert_eq!((ended.attempts[0].number, ended.attempts[0].state.as_str()), (1, "LOST"), "{ended:?}");
    let lines = witness.lines();
    let second = lines.iter().position(|line| line[0] == "2").expect("because the second attempt has ended");
    assert_eq!(lines.len(), second + 1, "after the second attempt began, nothing of the first was there: {lines:?}");
    ended
}

#[test]
fn tasks_and_their_grandchildren_are_gone_before_the_retry_starts_elsewhere() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let server = Server::bare(folder.path(), &["--agent-ttl", "3s"]);
    let mut first = Agent::start(folder.path(), "first", &server, &[]);
    server.has_agents(1);
    let retry = json!({ "retry": { "maxAttempts": 2, "initialBackoff": "0.1s" } });
    server.rest.create(&job("stubborn", task(&witness), retry));
    let run_id = server.rest.trigger("stubborn", "").run_id;
    let pids = spread(&witness);
    let _second = Agent::start(folder.path(), "second", &server, &[]);
    server.has_agents(2);

    first.process.kill();
    until("all that the agent had started to die", 5, || (!pids.iter().any(|&pid| lives(pid))).then_some(()));
    let ended = assert_retried(&server, &run_id, &witness, 20);
    assert_eq!((ended.attempts[0].agent_id.as_str(), ended.agent_id.as_str()), ("first", "second"), "{ended:?}");
}

#[test]
fn a_new_instance_that_proves_the_old_one_gone_spares_the_wait_for_its_lease() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let server = Server::bare(folder.path(), &["--agent-ttl", "60s"]);
    let mut agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let retry = json!({ "retry": { "maxAttempts": 2, "initialBackoff": "0.1s" } });
    server.rest.create(&job("stubborn", task(&witness), retry));
    let run_id = server.rest.trigger("stubborn", "").run_id;
    spread(&witness);

    agent.process.kill();
    let _next = Agent::start(folder.path(), "worker", &server, &[]);
    let ended = assert_retried(&server, &run_id, &witness, 20);
    assert_eq!(ended.agent_id, "worker", "{ended:?}");
}

#[test]
fn a_run_of_a_job_with_one_attempt_fails_when_its_agent_is_lost() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let server = Server::bare(folder.path(), &["--agent-ttl", "2s"]);
    let mut first = Agent::start(folder.path(), "first", &server, &[]);
    server.has_agents(1);
    server.rest.create(&job("once", task(&witness), json!({})));
    let run_id = server.rest.trigger("once", "").run_id;
    spread(&witness);
    let _second = Agent::start(folder.path(), "second", &server, &[]);
    server.has_agents(2);

    first.process.kill();
    let ended = until("the run to end", 20, || Some(server.rest.run(&run_id)).filter(Run::ended));
    assert_eq!((ended.state.as_str(), ended.attempt), ("FAILED", 1), "{ended:?}");
    assert!(witness.lines().iter().all(|line| line[0] == "1"), "nobody else may start it");
}
