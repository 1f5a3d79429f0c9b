//! Very many jobs that are due in one second.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::TimeDelta;
use punctual_tests::{Cli, Cluster, Parts, Run, folder, now, until};

use super::is_long;

/// One in so many has a higher priority.
const URGENT: usize = 10;

#[test]
fn very_many_jobs_that_are_due_in_one_second_run_once_each_and_the_urgent_ones_first() {
    let (count, lead, patience) = if is_long() { (100_000, 900, 900) } else { (2_000, 25, 60) };
    let folder = folder();
    let Some(cluster) = Cluster::start(folder.path(), Parts::default(), &[]) else { return };
    let due = now() + TimeDelta::seconds(lead);
    let at = due.format("%Y-%m-%dT%H:%M:%SZ");
    let mut file = String::new();
    for number in 0..count {
        let priority = if number % URGENT == 0 { 5 } else { 0 };
        writeln!(
            file,
            "- {{jobId: due-{number}, schedule: {{at: [\"{at}\"]}}, priority: {priority}, task: {{type: noop}}}}"
        )
        .expect("because a string takes all");
    }
    let path = folder.path().join("jobs.yaml");
    std::fs::write(&path, file).expect("because the folder is the test's");
    Cli::new(folder.path(), &cluster.nodes[0].url()).ok(&["job", "apply", "--file", &path.display().to_string()]);
    assert!(now() < due, "it took longer than {lead} s to make them");
    let rest = &cluster.nodes[0].rest;
    until("all to be done", lead.cast_unsigned() + patience, || {
        let stats = rest.get("/runs/stats");
        let succeeded = stats["counts"].as_array()?.iter().find(|count| count["state"] == "SUCCEEDED")?;
        (succeeded["runs"].as_str()?.parse().ok() == Some(count)).then_some(())
    });
    let mut runs = rest.pages("/runs?pageSize=1000");
    assert_eq!(runs.len(), count, "a run each");
    assert_eq!(runs.iter().map(|run| &run.job_id).collect::<BTreeSet<_>>().len(), count, "a run of each");
    runs.sort_by_key(|run| run.start_time);
    let places: Vec<usize> = (0..count).filter(|place| is_urgent(&runs[*place])).collect();
    // Half of all, if nobody cared. Some begin before all are entered.
    let middle = places.iter().sum::<usize>() / places.len();
    println!("{count} runs; in the middle, the urgent ones were number {middle}");
    assert!(middle < count / 3, "in the middle, the urgent ones were number {middle} of {count}");
}

fn is_urgent(run: &Run) -> bool {
    run.job_id
        .strip_prefix("due-")
        .and_then(|number| number.parse().ok())
        .is_some_and(|number: usize| number.is_multiple_of(URGENT))
}
