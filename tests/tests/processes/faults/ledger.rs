//! A ledger that is not what it was: restored from a backup, or a copy in place of another.

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
    trial.forgot(Forgotten { after, before, may_run_again: false });
    trial.start_clients();
    trial.await_work(1);
    let verdict = trial.verdict();
    verdict.assert_right();
    assert!(verdict.forgotten() > 0, "nothing was executed between the backup and the restore");
}

/// Scenario 42.
#[test]
fn a_leader_notices_that_postgres_failed_over_to_a_copy_without_the_last_commits() {
    let Some(mut trial) = trial(PARTS) else { return };
    // What is acknowledged to clients meanwhile is lost: that is what such copies are.
    trial.stop_clients();
    // One is always under way, and the next may not begin beside it.
    trial.repeat_task("long", 1_000, 6);
    let old = trial.cluster.leader(0);
    let begun = |job: &str| trial.witness.lines().iter().filter(|line| line[0] == "start" && line[1] == job).count();
    until("a long task", 30, || (begun("long") > 0).then_some(()));
    trial.cluster.postgres.copy();
    let known = begun("long");
    until("a long task that the copy does not know", 30, || (begun("long") > known).then_some(()));
    trial.cluster.postgres.fail_over();
    let new = until("a term on the copy", 60, || Some(trial.cluster.leader(0)).filter(|new| new.epoch > old.epoch));
    let noticed = trial.cluster.nodes.iter().filter(|node| node.log().contains("has lost transaction")).count();
    assert_eq!(noticed, 1, "it was not the leader that noticed");

    let before = new.epoch.cast_unsigned() << 20;
    let of_before = format!("{GREATEST_TOKEN} WHERE token < {before}");
    let after = trial.cluster.postgres.answer(&of_before).parse().expect("a token");
    trial.forgot(Forgotten { after, before, may_run_again: true });
    trial.start_clients();
    trial.await_work(1);
    let verdict = trial.verdict();
    verdict.assert_right();
    assert!(verdict.forgotten() > 0, "nothing was executed between the copy and the fail-over");
}
