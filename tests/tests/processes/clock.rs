//! A clock that is set while the server runs: nothing fires twice, and no instant is without its record.

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Run, Server, assert_no_gap, folder, job, noop, until};
use serde_json::json;

/// Sets the server's wall clock wrong by so many seconds.
fn set_wrong(folder: &Path, seconds: i64) {
    let new = folder.join("clock.new");
    fs::write(&new, seconds.to_string()).expect("because the folder is the test's");
    fs::rename(&new, folder.join("clock")).expect("because both are in one folder");
}

#[test]
fn a_clock_set_ten_minutes_back_and_ten_minutes_ahead_doubles_and_loses_nothing() {
    let folder = folder();
    set_wrong(folder.path(), 0);
    let server = Server::with_agent(folder.path());
    let schedule = json!({ "schedule": { "every": ["1s"] }, "misfireGraceTime": "10s", "maxInstances": 2 });
    let created = server.rest.create(&job("tick", noop(), schedule));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    until("three runs", 60, || {
        let history = server.rest.history("tick");
        (history.iter().filter(|run| run.succeeded()).count() >= 3).then_some(())
    });

    // What was decided is not decided again, though its time comes again. Runs by hand go on.
    set_wrong(folder.path(), -600);
    let said = |words: &str| server.log().contains(words).then_some(());
    until("the engine to hear of it", 30, || said("was put back"));
    server.rest.trigger("tick", "by hand");
    until("a run by hand", 30, || {
        let history = server.rest.history("tick");
        history.iter().any(|run| run.trigger == "MANUAL" && run.succeeded()).then_some(())
    });

    // From ten minutes back to ten minutes ahead.
    set_wrong(folder.path(), 600);
    until("the engine to obey it", 60, || said("and is obeyed"));
    let ahead = until("a fire after the jump", 60, || {
        let history = server.rest.history("tick");
        let later = |run: &&Run| run.succeeded() && run.scheduled_time > created + TimeDelta::minutes(10);
        (history.iter().filter(later).count() >= 3).then_some(history)
    });
    let missed: u32 = ahead.iter().filter(|run| run.state == "MISSED").map(|run| run.coalesced_count).sum();
    assert!((570..=620).contains(&missed), "{missed} instants are recorded as missed");
    assert_no_gap(&ahead, created + TimeDelta::seconds(1), TimeDelta::seconds(1));
}
