//! Sequences 1 to 3 and 5 to 11.

use scheduler_core::job::{Definition, OverlapPolicy, Retention};
use scheduler_core::run::{Reason, Run, RunState};
use scheduler_core::schedule::Schedule;
use simulation::script::{Script, delete, pause, resume, update};

use super::{every, manual, millis, secs};

/// Sequence 1. The witness sees to it that the spans of rows do not overlap, and that the watermark passes none.
#[test]
fn a_coalesced_run_is_not_covered_again_by_the_next_leader() {
    let mut script = Script::begin(2, 1);
    script.create(0, every(secs(1)));
    script.run_for(millis(2_500));
    let leader = script.leader().expect("a leader");
    script.cut_from_ledger(leader);
    script.run_for(millis(3_200));
    script.join_ledger(leader);
    script.until("fires were coalesced", |script| script.scheduled(0).iter().any(|run| run.coalesced_count > 1));
    script.kill_server(leader);
    script.until("another leads", |script| script.leader().is_some_and(|other| other != leader));
    script.run_for(secs(3));
    script.end();
}

/// Sequence 2.
#[test]
fn a_run_in_the_ledger_is_not_missed_by_a_leader_that_finds_it_late() {
    let mut script = Script::begin(2, 1);
    script.create(0, Definition { misfire_grace_time: secs(1), ..every(secs(20)) });
    script.until("a fire is entered", |script| !script.scheduled(0).is_empty());
    let entered = script.scheduled(0);
    script.kill_leader();
    script.until("another leads", |script| script.leader().is_some());
    script.run_for(secs(5));
    let now = script.scheduled(0);
    script.check(now.len() == 1 && now[0].id == entered[0].id, "the fire has the one row");
    script.check(now[0].state == RunState::Succeeded && script.starts(&now[0]) == 1, "it ran once");
    script.end();
}

/// Sequence 3: the change arrives while nobody leads, and finds a fire undecided that came due before it.
#[test]
fn a_change_records_the_fires_that_no_leader_decided_and_nothing_runs() {
    let edited = Definition { schedule: every(secs(3_600)).schedule, ..manual() };
    for change in [pause(0), update(0, edited), delete(0)] {
        let mut script = Script::begin(2, 1);
        let at = script.wall().saturating_add(secs(4));
        let schedule = Schedule { at: vec![at, at.saturating_add(secs(3_600))], ..Schedule::default() };
        script.create(0, Definition { schedule, ..manual() });
        script.run_for(secs(2));
        let leader = script.kill_leader();
        script.until("the fire is due", |script| script.wall() > at);
        script.check(script.leader().is_none(), "nobody leads");
        // Not numbered: a number would first be looked up, and the fire be decided meanwhile.
        let asked = script.ask_of(1 - leader, change, false);
        script.until("the change is answered", |script| script.answer(asked).is_some());
        script.check(matches!(script.answer(asked), Some(Ok(_))), "the change is done");
        script.run_for(secs(2));
        let runs = script.runs(0);
        let missed = runs.len() == 1
            && (runs[0].state, runs[0].reason) == (RunState::Missed, Some(Reason::JobChanged))
            && (runs[0].scheduled_time, runs[0].coalesced_count) == (at, 1);
        script.check(missed, "there is one row, MISSED with the reason JOB_CHANGED");
        script.check(script.met("task", "started") == 0, "nothing ran");
        script.end();
    }
}

/// Sequence 5.
#[test]
fn a_paused_span_is_made_up_once_though_the_leader_dies_with_its_answer() {
    let mut script = Script::begin(2, 1);
    script.create(0, Definition { coalesce: false, max_instances: 3, ..every(secs(1)) });
    script.run_for(millis(2_500));
    script.done(pause(0));
    script.run_for(secs(5));
    let asked = script.ask(resume(0, true));
    script.until("the resume is answered", |script| script.answer(asked).is_some());
    script.kill_leader();
    script.until("another leads", |script| script.leader().is_some());
    script.run_for(secs(10));
    let made_up = script.met("check", "paused span made up");
    script.check(made_up == 1, "the span is made up once");
    let runs = script.scheduled(0);
    let mut instants: Vec<_> = runs.iter().map(|run| run.scheduled_time).collect();
    instants.sort_unstable();
    let gaps = instants.windows(2).filter(|pair| pair[1].since(pair[0]) != secs(1)).count();
    script.check(gaps == 0, "each second has a run of its own, or is part of a coalesced one");
    script.end();
}

/// Sequence 6, without look-ahead: one instant that is just past, one that comes at once.
#[test]
fn instants_that_an_edit_adds_late_and_just_in_time_both_run() {
    let mut script = Script::begin(1, 1);
    script.create(0, Definition { max_instances: 2, ..every(secs(3_600)) });
    let now = script.wall();
    let at = vec![now.saturating_sub(millis(900)), now.saturating_add(millis(100))];
    let schedule = Schedule { at: at.clone(), ..every(secs(3_600)).schedule };
    script.update(0, Definition { schedule, max_instances: 2, ..manual() });
    script.run_for(secs(2));
    let runs = script.scheduled(0);
    for at in at {
        let ran = runs.iter().any(|run| run.scheduled_time == at && run.state == RunState::Succeeded);
        script.check(ran, &format!("the fire of {at} ran"));
    }
    script.end();
}

/// Sequence 7.
#[test]
fn a_jittered_run_that_waits_makes_no_successor_skipped() {
    let mut script = Script::begin(1, 1);
    let schedule = Schedule { jitter: Some(secs(60)), ..every(secs(10)).schedule };
    script.set_tasks_last(millis(5));
    script.create(0, Definition { schedule, overlap_policy: OverlapPolicy::Skip, ..manual() });
    script.run_for(secs(170));
    let runs = script.scheduled(0);
    // By chance one may come due while another is under way.
    let is_under_way = |run: &Run, at| {
        let begun = run.first_attempt.as_ref().is_some_and(|attempt| attempt.assign_time <= at);
        begun && run.end_time.is_none_or(|end| at <= end)
    };
    let mut skipped = runs.iter().filter(|run| run.state == RunState::Skipped);
    let for_a_reason = skipped.all(|skipped| runs.iter().any(|run| is_under_way(run, skipped.decided_at)));
    script.check(for_a_reason, "none is skipped for a run that waits for its time");
    script.check(runs.iter().filter(|run| run.state == RunState::Succeeded).count() > 8, "they run");
    script.end();
}

/// Sequence 8.
#[test]
fn of_more_due_fires_than_are_left_the_first_count() {
    let mut script = Script::begin(1, 1);
    let schedule = Schedule { max_fires: Some(10), ..every(secs(1)).schedule };
    let retention = Retention { max_runs: 3, ..Retention::default() };
    script.create(0, Definition { schedule, coalesce: false, max_instances: 20, retention, ..manual() });
    script.until("five fires are decided", |script| script.scheduled(0).len() == 5);
    let fifth = script.scheduled(0)[4].scheduled_time;
    let server = script.kill_leader();
    script.run_for(secs(47));
    script.start_server(server);
    script.until("it leads again", |script| script.leader().is_some());
    script.run_for(secs(5));
    let decided = script.scheduled(0);
    let last = decided.iter().map(|run| run.scheduled_time).max();
    script.check(decided.iter().map(|run| run.coalesced_count).sum::<u64>() == 10, "ten are decided");
    script.check(last == Some(fifth.saturating_add(secs(5))), "the first five of the due ones are among them");
    // Retention takes rows, and not what was counted.
    script.until("rows are purged", |script| script.scheduled(0).len() == 3);
    script.kill_leader();
    script.start_server(server);
    script.until("it leads again", |script| script.leader().is_some());
    script.run_for(secs(5));
    script.check(script.scheduled(0).len() == 3, "nothing more is decided");
    script.end();
}

/// Sequence 9. The witness counts the runs under way after every transaction.
#[test]
fn an_after_completion_job_has_one_next_run_through_pause_manual_runs_and_take_over() {
    let mut script = Script::begin(2, 1);
    let schedule = Schedule { after_completion: Some(secs(2)), ..Schedule::default() };
    let job = Definition { schedule, max_instances: 2, ..manual() };
    script.create(0, job);
    script.run_for(secs(5));
    script.done(pause(0));
    script.run_for(secs(3));
    script.done(resume(0, false));
    script.trigger(0);
    script.set_tasks_last(secs(1));
    script.until("a task runs", |script| script.running(0) > 0);
    let leader = script.leader().expect("a leader");
    // The end arrives late, after a take-over.
    script.cut_from_ledger(leader);
    script.run_for(secs(2));
    script.kill_server(leader);
    script.until("another leads", |script| script.leader().is_some());
    script.run_for(secs(20));
    let unended = script.scheduled(0).iter().filter(|run| !run.state.is_ended()).count();
    script.check(unended == 1, "one run is under way");
    script.end();
}

/// Sequence 10, with fewer jobs.
#[test]
fn a_week_without_a_server_is_decided_in_seconds_and_counted_right() {
    const JOBS: usize = 500;
    const WEEK: u64 = 7 * 24 * 3_600;
    let mut script = Script::begin(1, 1);
    let schedule = Schedule { cron: vec!["* * * * *".to_owned()], ..Schedule::default() };
    for job in 0..JOBS {
        script.create(job, Definition { schedule: schedule.clone(), max_instances: 2, ..manual() });
    }
    script.until("each has fired", |script| (0..JOBS).all(|job| !script.scheduled(job).is_empty()));
    script.run_for(secs(5));
    script.kill_agent(0);
    let server = script.kill_leader();
    script.run_for(secs(WEEK));
    script.start_server(server);
    script.until("it leads again", |script| script.leader().is_some());
    let began = script.now();
    script.until("all is decided", |script| script.watermark() > began.wall());
    script.check(script.now().since(began) < secs(10), "it takes seconds");
    for job in 0..JOBS {
        let missed: Vec<_> = script.scheduled(job).into_iter().filter(|run| run.state == RunState::Missed).collect();
        let covers = missed.len() == 1
            && missed[0].scheduled_time.since(missed[0].first_scheduled_time.unwrap_or_default()) > secs(WEEK - 300);
        script.check(covers, "one MISSED row has the week");
    }
    script.start_agent(0);
    script.end();
}

/// Sequence 11: one machine's clock, which nobody goes by, or that of all, the ledger's too. It is back before it is believed.
#[test]
fn a_clock_that_is_an_hour_ahead_for_a_while_fires_nothing_early_or_twice() {
    for all in [false, true] {
        let mut script = Script::begin(2, 1);
        script.create(0, every(secs(2)));
        script.run_for(secs(5));
        let leader = script.leader().expect("a leader");
        let seen = if all { "ClockJumped, doubted" } else { "MachineClock, wrong" };
        for wrong_by in [3_600, 0] {
            if all {
                script.set_all_clocks(wrong_by);
            } else {
                script.set_clock(leader, wrong_by);
            }
            script.until("the leader has looked", |script| script.met("alert", seen) > 0);
            script.run_for(secs(8));
        }
        script.check(script.leader() == Some(leader), "it leads all the while");
        let runs = script.scheduled(0);
        script.check(runs.iter().all(|run| run.scheduled_time <= script.wall()), "none is early");
        script.check(runs.iter().all(|run| run.coalesced_count == 1 && script.starts(run) == 1), "each runs once");
        script.check(
            runs.windows(2).all(|pair| pair[1].scheduled_time.since(pair[0].scheduled_time) == secs(2)),
            "on time",
        );
        script.check(runs.len() >= 10, "none is missed");
        script.end();
    }
}

/// Sequence 11: the clock of a leader is ahead from its start, and that of its successor behind.
#[test]
fn the_successor_of_a_leader_whose_clock_was_ahead_does_not_wait_for_its_time() {
    let mut script = Script::begin(2, 1);
    script.create(0, every(millis(500)));
    for (server, wrong_by) in [3, -3].into_iter().enumerate() {
        script.kill_server(server);
        script.set_clock(server, wrong_by);
        script.start_server(server);
    }
    script.until("one leads", |script| script.leader().is_some());
    script.run_for(secs(3));
    let leader = script.leader().expect("a leader");
    let runs = script.scheduled(0).len();
    script.run_for(secs(3));
    let (runs, now) = (script.scheduled(0).len() - runs, script.wall());
    script.check((5..=7).contains(&runs), "a fire each half second");
    let last = script.scheduled(0).iter().map(|run| run.scheduled_time).max().unwrap_or_default();
    script.check(last <= now && now.since(last) < millis(700), "each at its instant");
    script.kill_server(leader);
    // Its key goes at once, so that the election takes none of the three seconds.
    script.end_leaders_lease();
    script.until("another leads", |script| script.leader().is_some_and(|other| other != leader));
    let (began, before) = (script.now(), script.scheduled(0).len());
    script.until("it decides a fire", |script| script.scheduled(0).len() > before);
    script.check(script.now().since(began) < millis(1_500), "it does not wait for three seconds");
    script.end();
}
