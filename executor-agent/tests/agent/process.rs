//! Process tasks, and that they die with their agent.

use std::path::Path;

use punctual_proto::v1::Cancel;
use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::log_chunk::Stream;
use punctual_proto::v1::report::Event;
use punctual_proto::v1::report::finished::Outcome;
use punctual_proto::v1::server_message::Message as ToAgent;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::fake::{Fake, Peer};
use crate::machine::{Agent, lives, parent, pid_in, until};

/// A task that leaves a grandchild in a session of its own, with an empty environment, and then sleeps.
fn with_escapee(folder: &Path) -> serde_json::Value {
    let (task, escapee) = (folder.join("task"), folder.join("escapee"));
    let inner = format!("echo $$ > {}; exec sleep 600", escapee.display());
    let line = format!(
        "trap '' TERM; (env -i /usr/bin/setsid /bin/sh -c '{inner}' &) ; echo $$ > {}; while :; do sleep 1; done",
        task.display()
    );
    json!({"shell": line})
}

/// Starts such a task: the ids of its first process and of the one that tries to get away.
async fn escaping(peer: &mut Peer, folder: &Path) -> (i32, i32) {
    peer.give(&peer.assign("process", &with_escapee(folder))).await;
    peer.started().await;
    (pid_in(&folder.join("task")).await, pid_in(&folder.join("escapee")).await)
}

#[tokio::test]
async fn output_result_progress_and_variables_get_through() {
    let mut fake = Fake::start().await;
    let _agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let line = r#"cat; echo "err $OWN" >&2; echo "$PUNCTUAL_JOB_ID $PUNCTUAL_FENCING_TOKEN ${RUST_LOG-unset}"
        echo '50 half way' >> "$PUNCTUAL_PROGRESS_FILE"; echo '{"rows":3}' > "$PUNCTUAL_RESULT_FILE"; exit 4"#;
    let payload = json!({"shell": line, "stdin": "typed\n", "env": {"OWN": "mine"}, "success_exit_codes": [4]});
    let assign = peer.assign("process", &payload);
    peer.give(&assign).await;
    let mut progress = None;
    let finished = loop {
        let FromAgent::Reports(reports) = peer.next().await else { continue };
        let mut end = None;
        for report in reports.reports {
            peer.ack(&report).await;
            match report.event {
                Some(Event::Progress(given)) => progress = Some(given),
                Some(Event::Finished(finished)) => end = Some(finished),
                _ => {}
            }
        }
        if let Some(end) = end {
            break end;
        }
    };
    assert_eq!((finished.outcome(), finished.exit_code), (Outcome::Succeeded, Some(4)), "{finished:?}");
    assert_eq!(&finished.result[..], b"{\"rows\":3}\n");
    let progress = progress.expect("reported");
    assert_eq!((progress.percent, progress.message.as_str()), (50.0, "half way"));
    // Logs come before the last report.
    assert_eq!(peer.text(&assign, Stream::Stdout), "typed\njob 7 unset\n");
    assert_eq!(peer.text(&assign, Stream::Stderr), "err mine\n");
}

#[tokio::test]
async fn every_way_to_fail_has_its_code() {
    let mut fake = Fake::start().await;
    let _agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let cases = [
        (json!({"command": ["sh", "-c", "exit 3"]}), "EXIT_3", true),
        (json!({"command": ["sh", "-c", "kill -9 $$"]}), "SIGNAL_9", true),
        (json!({"command": ["no-such-program"]}), "SPAWN_FAILED", false),
        (json!({"command": ["true"], "working_dir": "/no/such"}), "SPAWN_FAILED", false),
        (json!({"shell": "echo '{' > $PUNCTUAL_RESULT_FILE"}), "RESULT_INVALID", true),
        (json!({"cmd": ["true"]}), "PAYLOAD_INVALID", false),
    ];
    for (payload, code, retryable) in cases {
        peer.give(&peer.assign("process", &payload)).await;
        let finished = peer.finished().await;
        let error = finished.error.clone().expect("failed");
        assert_eq!((error.code.as_str(), finished.retryable), (code, Some(retryable)), "{payload}: {finished:?}");
        assert_eq!(finished.outcome(), Outcome::Failed);
    }
}

#[tokio::test]
async fn a_cancelled_task_may_end_in_its_own_way() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let ready = agent.folder.path().join("ready");
    let line = format!("trap 'echo bye; exit 0' TERM; echo $$ > {}; while :; do sleep 0.05; done", ready.display());
    let assign = peer.assign("process", &json!({"shell": line}));
    peer.give(&assign).await;
    pid_in(&ready).await;
    peer.send(ToAgent::Cancel(Cancel { run_id: assign.run_id.clone(), attempt: 1, reason: 1 })).await;
    let finished = peer.finished().await;
    assert_eq!((finished.outcome(), finished.exit_code), (Outcome::Cancelled, Some(0)));
    assert_eq!(peer.text(&assign, Stream::Stdout), "bye\n");
}

#[tokio::test]
async fn a_task_past_its_timeout_is_killed_with_all_that_it_started() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let folder = agent.folder.path();
    let assign = punctual_proto::v1::Assign {
        timeout: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        kill_grace: Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 }),
        ..peer.assign("process", &with_escapee(folder))
    };
    peer.give(&assign).await;
    let escapee = pid_in(&folder.join("escapee")).await;
    let finished = peer.finished().await;
    assert_eq!(finished.outcome(), Outcome::TimedOut);
    assert_eq!(finished.error.expect("says why").code, "TIMEOUT");
    assert!(!lives(escapee), "what the task started outlived its report");
}

#[tokio::test]
async fn what_a_task_leaves_behind_is_dead_before_its_end_is_reported() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let left = agent.folder.path().join("left");
    let line = format!(
        "setsid sh -c 'echo $$ > {0}; exec sleep 600' & while ! test -s {0}; do sleep 0.01; done",
        left.display()
    );
    peer.give(&peer.assign("process", &json!({"shell": line}))).await;
    assert_eq!(peer.finished().await.outcome(), Outcome::Succeeded);
    assert!(!lives(pid_in(&left).await));
}

#[tokio::test]
async fn a_killed_agent_takes_its_tasks_with_it_and_the_next_instance_proves_it() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let (task, escapee) = escaping(&mut peer, agent.folder.path()).await;
    let first = peer.instance.clone();
    let folder = agent.killed();
    let _agent = Agent::start_in(folder, &fake, &[]);
    let (mut peer, hello) = fake.greeted().await;
    assert_eq!(hello.instances_proved_gone, std::slice::from_ref(&first));
    assert!(!lives(task) && !lives(escapee), "the proof is wrong: a task of the instance lives");
    assert_ne!(hello.instance, first);
    peer.welcome(Some(1)).await;
    assert!(matches!(peer.next().await, FromAgent::Inventory(_)));
    drop(peer);
    let (_, hello) = fake.greeted().await;
    assert_eq!(hello.instances_proved_gone, [first], "the leader may have died with it");
}

#[tokio::test]
async fn a_killed_supervisor_is_noticed_and_its_task_is_dead_before_the_report() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let (task, escapee) = escaping(&mut peer, agent.folder.path()).await;
    // Another task must not be taken for what the dead supervisor left.
    let bystander = agent.folder.path().join("bystander");
    let line = format!("echo $$ > {}; exec sleep 600", bystander.display());
    peer.give(&peer.assign("process", &json!({"shell": line}))).await;
    peer.started().await;
    let bystander = pid_in(&bystander).await;
    kill_process(Pid::from_raw(parent(task)).expect("a supervisor"), Signal::KILL).expect("it lives");
    let finished = peer.finished().await;
    assert_eq!(finished.error.expect("failed").code, "SUPERVISOR_DIED");
    assert!(!lives(task) && !lives(escapee));
    assert!(lives(bystander));
}

#[tokio::test]
async fn tasks_of_a_frozen_agent_die_when_its_right_to_run_ends() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let (task, escapee) = escaping(&mut peer, agent.folder.path()).await;
    agent.signal(Signal::STOP);
    until("the task of a frozen agent is dead", || !lives(task) && !lives(escapee)).await;
    agent.signal(Signal::CONT);
    // Its stream may have ended meanwhile; the report is in the next Inventory then.
    drop(peer);
    let (mut peer, inventory) = fake.welcomed(2).await;
    let reported = inventory.reports.into_iter().find_map(|report| match report.event {
        Some(Event::Finished(finished)) => Some(finished),
        _ => None,
    });
    let finished = match reported {
        Some(finished) => finished,
        None => peer.finished().await,
    };
    assert_eq!(finished.outcome(), Outcome::Lost);
}

#[tokio::test]
async fn an_agent_that_nobody_confirms_stops_its_tasks_in_time_and_reports_them_lost() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let (task, escapee) = escaping(&mut peer, agent.folder.path()).await;
    peer.confirms = false;
    assert_eq!(peer.finished().await.outcome(), Outcome::Lost);
    assert!(!lives(task) && !lives(escapee));
    peer.give(&peer.assign("noop", &json!({}))).await;
    let FromAgent::Rejected(rejected) = peer.next().await else { panic!("there is no right to run") };
    assert_eq!(rejected.reason(), punctual_proto::v1::rejected::Reason::NoRightToRun);
}
