//! A ledger that is not what it was: restored from a backup.

use punctual_tests::{Forgotten, Process, Trial, until};

use super::{PARTS, trial};

/// The greatest fencing token that the ledger knows.
const GREATEST_TOKEN: &str = "SELECT max(token) FROM (SELECT first_fencing_token AS token FROM runs \
                              UNION ALL SELECT fencing_token FROM attempts) tokens";

#[track_caller]
fn greatest_token(trial: &Trial) -> u64 {
    trial.cluster.postgres.answer(GREATEST_TOKEN).parse().expect("a token")
}

/// Scenario 38.
#[test]
fn nothing_fires_twice_on_a_clusters_ledger_that_was_restored_from_a_backup() {
    let Some(mut trial) = trial(PARTS) else { return };
    // What is acknowledged to clients between the backup and the restore is lost: that is what backups are.
    trial.stop_clients();
    let backup = trial.cluster.postgres.dump();
    let begun = || trial.witness.lines().iter().filter(|line| line[0] == "start").count();
    let known = begun();
    until("tasks that the backup does not know", 30, || (begun() > known + 5).then_some(()));
    for node in &mut trial.cluster.nodes {
        node.kill();
    }
    trial.cluster.postgres.restore(&backup);
    let after = greatest_token(&trial);
    let url = trial.cluster.postgres.url();
    let folder = trial.cluster.nodes[0].folder().to_owned();
    let args = ["migrate", "--restored", "--database-url", &url];
    let mut told = Process::start("restored", &folder, "scheduler-server", &args);
    assert!(told.exit(60).success(), "{}", told.log());
    for node in &mut trial.cluster.nodes {
        node.launch();
    }
    for node in &mut trial.cluster.nodes {
        node.wait_until_ready();
    }
    trial.await_work(0);
    let before = trial.cluster.leader(0).epoch.cast_unsigned() << 20;
    trial.forgot(Forgotten { after, before });
    trial.start_clients();
    trial.await_work(1);
    let verdict = trial.verdict();
    verdict.assert_right();
    assert!(verdict.forgotten() > 0, "nothing was executed between the backup and the restore");
}
