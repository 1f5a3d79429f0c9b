//! The jobs that are to survive: one for each way in which fires and attempts can fare, and as many as one likes that do
//! nothing.

mod clients;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{Heard, Rest, Witness, job, noop, now, shell, until};

#[cfg(test)]
pub(crate) use clients::Asked;
pub use clients::{Clients, Records};
pub(crate) use clients::{Edit, Pause, Trigger};

/// The job that clients trigger.
pub(crate) const MANUAL: &str = "manual";
/// The job whose definition clients change.
pub(crate) const EDITED: &str = "edited";
/// The job that clients pause and resume.
pub(crate) const PAUSED: &str = "paused";

/// How much a load asks of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Jobs that do nothing; each fires ten times a second.
    pub noops: usize,
    /// By how much longer than the shortest the periods are of jobs whose tasks are processes, and clients' rests.
    pub stretch: u32,
}

impl Size {
    /// Mostly processes: 25 fires of them a second, and 40 of tasks that do nothing.
    pub const ONE_SERVER: Self = Self { noops: 4, stretch: 1 };
    /// 200 fires a second of tasks that do nothing, and 6 of processes.
    pub const CLUSTER: Self = Self { noops: 20, stretch: 4 };
}

/// What is asked of a server or a cluster all the while.
#[derive(Debug, Default)]
pub struct Load {
    pub(crate) jobs: Vec<Job>,
}

/// A job as the test knows it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// Another one may have had the id before.
    pub(crate) uid: String,
    /// None: triggered only.
    pub(crate) every: Option<TimeDelta>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) max_instances: u64,
    /// How often a run of it may be started.
    pub(crate) max_starts: usize,
    /// Whether its tasks write down what they do.
    pub(crate) is_witnessed: bool,
}

impl Load {
    #[track_caller]
    pub fn create(rest: &Rest, witness: &Witness, size: Size) -> Self {
        let mut load = Self::default();
        let period = |ms: u32| ms * size.stretch;
        let task = |script: &str| recorded(witness, script);
        let retry = json!({ "maxAttempts": 3, "initialBackoff": "0.1s" });
        load.add(rest, "coalesced", period(200), task("sleep 0.02"), json!({ "misfireGraceTime": "0.3s" }));
        let queued = json!({ "coalesce": false, "overlapPolicy": "QUEUE", "maxQueued": 5, "maxInstances": 2 });
        load.add(rest, "queued", period(300), task("sleep 0.3"), queued);
        // Its first attempt fails, the next succeeds unless it is killed.
        let failing = task("[ $PUNCTUAL_ATTEMPT -gt 1 ] || exit 3");
        load.add(
            rest,
            "retried",
            period(500),
            failing,
            json!({ "coalesce": false, "maxInstances": 2, "retry": retry }),
        );
        let once = json!({ "onLost": "FAIL", "retry": retry, "maxInstances": 2 });
        load.add(rest, "fails-when-lost", period(500), task("sleep 0.2"), once);
        // Half of its runs outlive the next fire.
        let long = f64::from(period(1_000)) / 1_000.0;
        let slow_or_not = task(&format!("[ $((PUNCTUAL_FENCING_TOKEN % 2)) = 0 ] || sleep {long}"));
        load.add(rest, "cancelled", period(400), slow_or_not, json!({ "overlapPolicy": "CANCEL_RUNNING" }));
        load.add(rest, EDITED, period(300), edited(witness, 0), json!({ "coalesce": false, "maxInstances": 3 }));
        load.add(rest, PAUSED, period(200), task(""), json!({ "maxInstances": 3 }));
        load.add(rest, MANUAL, 0, task("sleep 0.05"), json!({ "maxInstances": 4, "retry": retry }));
        for number in 0..size.noops {
            let more = match number % 4 {
                // Those of which a busy machine misses many.
                0 => json!({ "misfireGraceTime": "0.05s", "maxInstances": 2 }),
                1 => json!({ "coalesce": false, "misfireGraceTime": "0.05s", "maxInstances": 2 }),
                2 => json!({ "coalesce": false, "overlapPolicy": "QUEUE", "maxQueued": 20 }),
                _ => json!({ "maxInstances": 3 }),
            };
            load.add(rest, &format!("noop-{number}"), 100, noop(), more);
        }
        load
    }

    /// A job of every `every_ms`, or, if that is 0, one that is only triggered. A task that does more than nothing has to
    /// be [`recorded`].
    #[track_caller]
    pub fn add(&mut self, rest: &Rest, id: &str, every_ms: u32, task: Value, mut more: Value) {
        if every_ms > 0 {
            more["schedule"] = json!({ "every": [format!("{}.{:03}s", every_ms / 1_000, every_ms % 1_000)] });
        }
        // More than any test enters: what retention has deleted cannot be accounted for.
        more["retention"] = json!({ "maxRuns": 10_000_000 });
        let is_witnessed = task != noop();
        // One that is asked for again is the same one.
        let (path, job) = (format!("/jobs?requestId={:x}", now().timestamp_micros()), job(id, task, more));
        let created = until("a job", 60, || match rest.ask("POST", &path, &job) {
            Heard::Done(created) => Some(created),
            Heard::NotDone | Heard::Nothing => None,
        });
        self.jobs.push(Job {
            id: id.to_owned(),
            uid: created["uid"].as_str().expect("because it is never absent").to_owned(),
            every: (every_ms > 0).then(|| TimeDelta::milliseconds(every_ms.into())),
            created: created["createTime"].as_str().expect("a time").parse().expect("RFC 3339"),
            max_instances: created["maxInstances"].as_u64().expect("because it is never absent"),
            max_starts: match created["onLost"].as_str() {
                Some("FAIL") => 1,
                _ => created["retry"]["maxAttempts"].as_u64().expect("because it is never absent") as usize,
            },
            is_witnessed,
        });
    }

    /// Waits until every job has run well once: on a busy machine hardly anything comes to an end between two faults.
    #[track_caller]
    pub fn await_success(&self, rest: &Rest) {
        let has_succeeded = |job: &Job| {
            let (id, created) = (&job.id, job.created.to_rfc3339_opts(SecondsFormat::Micros, true));
            let first = rest.get(&format!("/runs?jobId={id}&states=SUCCEEDED&pageSize=1&scheduledAfter={created}"));
            first["runs"].as_array().is_some_and(|runs| !runs.is_empty())
        };
        until("every job to have run well once", 60, || self.jobs.iter().all(has_succeeded).then_some(()));
    }

    /// Their ids are free again.
    #[track_caller]
    pub fn delete(&self, rest: &Rest) {
        for job in &self.jobs {
            rest.call("DELETE", &format!("/jobs/{}", job.id), None).ok();
        }
    }

    /// Lets nothing more fire, and waits for the end of all runs. Answers when that was asked for: what was due before has
    /// to be in the ledger.
    #[track_caller]
    pub fn close(&self, rest: &Rest) -> DateTime<Utc> {
        let closed = now();
        for job in self.jobs.iter().filter(|job| job.every.is_some()) {
            let path = format!("/jobs/{}/action", job.id);
            // The leader may change at any time; a pause can be repeated.
            until("a pause", 60, || match rest.ask("POST", &path, &json!({ "action": "pause" })) {
                Heard::Done(_) => Some(()),
                Heard::NotDone | Heard::Nothing => None,
            });
        }
        until("the end of all runs", 120, || {
            rest.pages("/runs?states=PENDING&states=RUNNING&pageSize=1000").is_empty().then_some(())
        });
        closed
    }
}

/// The task of a version of the edited job.
fn edited(witness: &Witness, version: u64) -> Value {
    shell(&format!("VERSION={version}; {}", script(witness, "sleep 0.1")))
}

/// A process task that writes down its start and its end, and whether it is alone in its slot.
pub fn recorded(witness: &Witness, what: &str) -> Value {
    shell(&script(witness, what))
}

/// The kernel lets go of a lock when the last process of a task is dead.
fn script(witness: &Witness, what: &str) -> String {
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
        {what}
        echo "end $PUNCTUAL_JOB_ID $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT" >> {path}
        "#
    )
}
