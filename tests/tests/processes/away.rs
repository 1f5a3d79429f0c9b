//! A server that is away for a while: what came due meanwhile is counted to the last instant (promise 1).

use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Run, Server, assert_no_gap, folder, job, noop, now, until};
use serde_json::json;

const EVERY: TimeDelta = TimeDelta::milliseconds(100);
const GRACE: TimeDelta = TimeDelta::seconds(1);
const AWAY: Duration = Duration::from_millis(4_700);

#[test]
fn the_counts_of_all_rows_add_up_to_the_instants_of_an_absence() {
    let folder = folder();
    let mut server = Server::with_agent(folder.path());
    let more = json!({ "schedule": { "every": ["0.1s"] }, "misfireGraceTime": "1s" });
    let created = server.rest.create(&job("tick", noop(), more));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    until("a few runs", 20, || {
        (server.rest.history("tick").iter().filter(|run| run.succeeded()).count() > 3).then_some(())
    });

    let killed = now();
    server.kill();
    thread::sleep(AWAY);
    let started = now();
    server.start();
    until("runs after the absence", 20, || {
        let is_new = |run: &&Run| run.succeeded() && run.first() > started;
        server.rest.history("tick").iter().find(is_new).map(drop)
    });
    let closed = now();
    server.rest.act("tick", "pause");

    let mut history = server.rest.history("tick");
    history.sort_by_key(|run| run.scheduled_time);
    assert_no_gap(&history, created + EVERY, EVERY);
    let last = history.last().expect("because there are runs").scheduled_time;
    assert!(last <= now() && last + EVERY > closed, "up to the pause at {closed}: {last}");
    let instants = (last - created).num_milliseconds() / EVERY.num_milliseconds();
    assert_eq!(history.iter().map(|run| i64::from(run.coalesced_count)).sum::<i64>(), instants);

    let missed: Vec<&Run> = history.iter().filter(|run| run.state == "MISSED" && run.reason == "LATE").collect();
    let [missed] = missed[..] else { panic!("one row for all that was late: {missed:?}") };
    assert!(missed.first() <= killed + EVERY, "from the kill at {killed} on: {missed:?}");
    let late = started - GRACE;
    assert!(missed.scheduled_time + EVERY > late, "until {late}: {missed:?}");
    let made_up = history.iter().find(|run| run.scheduled_time > missed.scheduled_time).expect("because it goes on");
    assert_eq!((made_up.first(), made_up.state.as_str()), (missed.scheduled_time + EVERY, "SUCCEEDED"), "{made_up:?}");
    assert!(made_up.coalesced_count > 5 && made_up.coalesced_count <= 11, "what was within grace: {made_up:?}");
}
