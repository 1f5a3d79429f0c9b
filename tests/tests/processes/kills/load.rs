//! The jobs that are to survive: one for each way in which fires and attempts can fare.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Rest, Witness, job, noop, now, shell};
use serde_json::{Value, json};

/// The job that clients trigger.
pub(super) const MANUAL: &str = "manual";
/// The job whose definition clients change.
pub(super) const EDITED: &str = "edited";
/// The job that clients pause and resume.
pub(super) const PAUSED: &str = "paused";

const NOOPS: usize = 4;

pub(super) struct Load {
    pub(super) jobs: Vec<Job>,
}

/// A job as the test knows it.
pub(super) struct Job {
    pub(super) id: String,
    /// None: triggered only.
    pub(super) every: Option<TimeDelta>,
    pub(super) created: DateTime<Utc>,
    pub(super) max_instances: u64,
    /// How often a run of it may be started.
    pub(super) max_starts: usize,
    /// Whether its tasks write down what they do.
    pub(super) is_witnessed: bool,
}

impl Load {
    pub(super) fn create(rest: &Rest, witness: &Witness) -> Self {
        let mut load = Self { jobs: Vec::new() };
        let task = |script: &str| shell(&recorded(witness, script));
        let retry = json!({ "maxAttempts": 3, "initialBackoff": "0.1s" });
        load.add(rest, "coalesced", 200, task("sleep 0.02"), json!({ "misfireGraceTime": "0.3s" }));
        let queued = json!({ "coalesce": false, "overlapPolicy": "QUEUE", "maxQueued": 5, "maxInstances": 2 });
        load.add(rest, "queued", 300, task("sleep 0.3"), queued);
        // Its first attempt fails, the next succeeds unless it is killed.
        let failing = task("[ $PUNCTUAL_ATTEMPT -gt 1 ] || exit 3");
        load.add(rest, "retried", 500, failing, json!({ "coalesce": false, "maxInstances": 2, "retry": retry }));
        let once = json!({ "onLost": "FAIL", "retry": retry, "maxInstances": 2 });
        load.add(rest, "fails-when-lost", 500, task("sleep 0.2"), once);
        let slow_or_not = task("[ $((PUNCTUAL_FENCING_TOKEN % 2)) = 0 ] || sleep 1");
        load.add(rest, "cancelled", 400, slow_or_not, json!({ "overlapPolicy": "CANCEL_RUNNING" }));
        load.add(rest, EDITED, 300, edited(witness, 0), json!({ "coalesce": false, "maxInstances": 3 }));
        load.add(rest, PAUSED, 200, task(""), json!({ "maxInstances": 3 }));
        load.add(rest, MANUAL, 0, task("sleep 0.05"), json!({ "maxInstances": 4, "retry": retry }));
        for number in 0..NOOPS {
            let more = json!({ "coalesce": number % 2 == 0, "misfireGraceTime": "0.05s", "maxInstances": 2 });
            load.add(rest, &format!("noop-{number}"), 100, noop(), more);
        }
        load
    }

    fn add(&mut self, rest: &Rest, id: &str, every_ms: i64, task: Value, mut more: Value) {
        if every_ms > 0 {
            more["schedule"] = json!({ "every": [format!("0.{every_ms:03}s")] });
        }
        let is_witnessed = task != noop();
        let created = rest.create(&job(id, task, more));
        self.jobs.push(Job {
            id: id.to_owned(),
            every: (every_ms > 0).then(|| TimeDelta::milliseconds(every_ms)),
            created: created["createTime"].as_str().expect("a time").parse().expect("RFC 3339"),
            max_instances: created["maxInstances"].as_u64().expect("because it is never absent"),
            max_starts: match created["onLost"].as_str() {
                Some("FAIL") => 1,
                _ => created["retry"]["maxAttempts"].as_u64().expect("because it is never absent") as usize,
            },
            is_witnessed,
        });
    }

    pub(super) fn have_all_succeeded(&self, rest: &Rest) -> bool {
        let has_succeeded = |job: &Job| {
            let id = &job.id;
            let first = rest.get(&format!("/runs?jobId={id}&states=SUCCEEDED&pageSize=1"));
            first["runs"].as_array().is_some_and(|runs| !runs.is_empty())
        };
        self.jobs.iter().all(has_succeeded)
    }

    /// Lets nothing more fire. Answers when that was asked for: what was due before has to be in the ledger.
    pub(super) fn close(&self, rest: &Rest) -> DateTime<Utc> {
        let closed = now();
        for job in self.jobs.iter().filter(|job| job.every.is_some()) {
            rest.act(&job.id, "pause");
        }
        closed
    }
}

/// The task of a version of the edited job.
pub(super) fn edited(witness: &Witness, version: u64) -> Value {
    shell(&format!("VERSION={version}; {}", recorded(witness, "sleep 0.1")))
}

/// A script that writes down its start and its end, and whether it is alone in its slot: the kernel lets go of a lock
/// when the last process of a task is dead.
fn recorded(witness: &Witness, script: &str) -> String {
    let path = witness.path();
    format!(
        r#"
        lock="{path}.$PUNCTUAL_JOB_ID.$PUNCTUAL_SLOT"
        exec 9>> "$lock"
        flock -n 9 || {{
            for fd in /proc/[0-9]*/fd/9; do
                [ "$(readlink $fd)" = "$lock" ] || continue
                echo "$(cat ${{fd%/fd/9}}/stat) $(tr '\0' ' ' < ${{fd%/fd/9}}/environ)" >> {path}.beside
            done
            echo "beside $PUNCTUAL_JOB_ID $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT" >> {path}
        }}
        echo "start $PUNCTUAL_JOB_ID $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT $PUNCTUAL_SCHEDULED_TIME" \
            "$PUNCTUAL_FENCING_TOKEN $PUNCTUAL_SLOT ${{VERSION:-0}}" >> {path}
        {script}
        echo "end $PUNCTUAL_JOB_ID $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT" >> {path}
        "#
    )
}
