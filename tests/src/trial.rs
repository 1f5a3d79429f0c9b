//! A cluster under load, whose story is audited in the end.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::{
    Audit, Clients, Cluster, Forgotten, Load, Parts, Random, Records, Rest, Run, Size, Verdict, Witness, folder, now,
    recorded, until,
};

/// How long an agent's silence may last: short, but longer than a leader in doubt takes to ask the ledger instead of etcd,
/// which is the 3 s of its lease.
const AGENT_TTL: &str = "--agent-ttl=6s";

/// Dropped in this order: the folder goes last.
pub struct Trial {
    pub cluster: Cluster,
    pub witness: Witness,
    pub random: Random,
    size: Size,
    load: Load,
    clients: Option<Clients>,
    records: Records,
    forgotten: Vec<Forgotten>,
    folder: TempDir,
}

impl Trial {
    /// `None` where etcd or Postgres is not on the machine.
    #[track_caller]
    pub fn start(parts: Parts, size: Size, mut random: Random) -> Option<Self> {
        let folder = folder();
        let cluster = Cluster::start(folder.path(), parts, &[AGENT_TTL])?;
        let witness = Witness::new(folder.path());
        let load = Load::create(&cluster.nodes[0].rest, &witness, size);
        let clients = Some(Clients::start(&cluster.rests(), &witness, size, &mut random));
        let (records, forgotten) = (Records::default(), Vec::new());
        let trial = Self { cluster, witness, random, size, load, clients, records, forgotten, folder };
        trial.load.await_success(trial.rest());
        Some(trial)
    }

    /// Any node answers for all.
    pub fn rest(&self) -> &Rest {
        &self.cluster.nodes[0].rest
    }

    /// Starts a task that writes down what it does and takes `seconds`, and answers its run once it runs.
    #[track_caller]
    pub fn run_task(&mut self, id: &str, seconds: u64) -> Run {
        self.run_script(id, &format!("sleep {seconds}"))
    }

    /// A job of every `every_ms` whose task writes down what it does and takes `seconds`.
    #[track_caller]
    pub fn repeat_task(&mut self, id: &str, every_ms: u32, seconds: u64) {
        let rest = self.cluster.nodes[0].rest.clone();
        let task = recorded(&self.witness, &format!("sleep {seconds}"));
        self.load.add(&rest, id, every_ms, task, serde_json::json!({}));
    }

    /// The same as [`Self::run_task`], and its output comes as fast as anybody takes it.
    #[track_caller]
    pub fn run_flood(&mut self, id: &str, seconds: u64) -> Run {
        self.run_script(id, &format!("timeout {seconds} yes 'a line of output' || :"))
    }

    #[track_caller]
    fn run_script(&mut self, id: &str, script: &str) -> Run {
        let rest = self.cluster.nodes[0].rest.clone();
        let task = recorded(&self.witness, script);
        let retry = serde_json::json!({ "maxAttempts": 5, "initialBackoff": "0.1s" });
        self.load.add(&rest, id, 0, task, serde_json::json!({ "retry": retry }));
        let run_id = rest.trigger(id, "").run_id;
        until("a task that runs", 30, || Some(rest.run(&run_id)).filter(|run| run.start_time.is_some()))
    }

    /// Waits until a run that was due after now has succeeded, as this node tells.
    #[track_caller]
    pub fn await_work(&self, asked: usize) {
        let rest = &self.cluster.nodes[asked].rest;
        let path = format!("/api/v1/scheduler/runs?states=SUCCEEDED&pageSize=1&scheduledAfter={}", instant(now()));
        until("runs", 60, || {
            let answer = rest.try_call("GET", &path, &[], None).ok().filter(|answer| answer.status == 200)?;
            answer.json()["runs"].as_array().filter(|runs| !runs.is_empty()).map(drop)
        });
    }

    /// All runs that were due after that.
    #[track_caller]
    pub fn runs_after(&self, after: DateTime<Utc>) -> Vec<Run> {
        self.rest().pages(&format!("/runs?pageSize=1000&scheduledAfter={}", instant(after)))
    }

    /// Each finishes what it has begun.
    pub fn stop_clients(&mut self) {
        if let Some(clients) = self.clients.take() {
            self.records = std::mem::take(&mut self.records).and(clients.stop());
        }
    }

    pub fn start_clients(&mut self) {
        let clients = Clients::start(&self.cluster.rests(), &self.witness, self.size, &mut self.random);
        self.clients = Some(clients);
    }

    /// What the ledger does not know any more is no fault.
    pub fn forgot(&mut self, forgotten: Forgotten) {
        self.forgotten.push(forgotten);
    }

    /// Closes the load and holds everything against each other. All nodes have to be there.
    #[track_caller]
    pub fn verdict(&mut self) -> Verdict {
        self.stop_clients();
        self.load.await_success(self.rest());
        let closed = self.load.close(self.rest());
        let Self { cluster, load, records, witness, forgotten, .. } = self;
        Audit { rest: &cluster.nodes[0].rest, load, records, witness, closed, forgotten }.verdict()
    }

    /// Keeps its logs, the witness and the ledger's text for somebody to look at, and says where.
    pub fn keep(&mut self) -> PathBuf {
        std::fs::write(self.folder.path().join("ledger.sql"), self.cluster.postgres.dump())
            .expect("because it is ours");
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Begins anew on the same cluster, after a verdict, with other jobs and an empty witness.
    #[track_caller]
    pub fn renew(&mut self) {
        self.load.delete(self.rest());
        self.records = Records::default();
        self.forgotten.clear();
        let own = tempfile::tempdir_in(self.folder.path()).expect("because the folder is the test's").keep();
        self.witness = Witness::new(&own);
        self.load = Load::create(self.rest(), &self.witness, self.size);
        self.start_clients();
        self.load.await_success(self.rest());
    }
}

/// For URLs.
fn instant(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

impl Cluster {
    /// When the first attempt of a later epoch was started.
    #[track_caller]
    pub fn next_dispatch(&self, asked: usize, epoch: i64, lost: DateTime<Utc>) -> DateTime<Utc> {
        let rest = &self.nodes[asked].rest;
        let since = instant(lost - TimeDelta::seconds(1));
        let is_later = |run: &Run| i64::try_from(run.fencing_token() >> 20).is_ok_and(|of| of > epoch);
        until("a dispatch by another leader", 60, || {
            let runs = rest.pages(&format!("/runs?scheduledAfter={since}&pageSize=1000"));
            runs.iter().filter(|run| is_later(run)).filter_map(|run| run.start_time).min()
        })
    }
}
