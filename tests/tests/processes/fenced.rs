//! The worker of `executor-agent/examples/fenced.rs`, whose table refuses the write of an attempt that is not the last.

use std::path::Path;

use punctual_tests::{Etcd, Postgres, Process, Proxy, Server, folder, job, until};
use rustix::process::Signal;
use serde_json::json;

fn worker(folder: &Path, id: &str, database: &str, server: &Server) -> Process {
    Process::start(id, folder, "examples/fenced", &[id, database, &server.url()])
}

#[test]
fn a_write_of_a_frozen_agent_that_arrives_after_the_next_attempts_is_refused() {
    let folder = folder();
    let (Some(etcd), Some(postgres)) = (Etcd::start(1), Postgres::start()) else { return };
    let (endpoints, url) = (etcd.endpoints().join(","), postgres.url());
    let server = Server::on_database(folder.path(), &url, &["--etcd", &endpoints, "--agent-ttl", "4s"]);
    let rest = &server.rest;
    let wire = Proxy::to(postgres.port());
    let mut frozen = worker(folder.path(), "frozen", &postgres.url_at(wire.port()), &server);
    server.has_agents(1);

    let payload = json!({ "item": "bolts", "add": 5, "count_ms": 3_000 });
    let retried = json!({ "retry": { "maxAttempts": 2, "initialBackoff": "0s" } });
    rest.create(&job("recount", json!({ "type": "shop/recount", "payload": payload }), retried));
    let run_id = rest.trigger("recount", "").run_id;
    until("the first attempt to count", 30, || {
        (rest.get(&format!("/runs/{run_id}"))["progress"]["message"] == "counting").then_some(())
    });
    wire.hold();
    until("its write to be on the way", 30, || (wire.kept() > 0).then_some(()));
    frozen.signal(Signal::STOP);

    let _next = worker(folder.path(), "next", &url, &server);
    let run = until("the end of the run", 60, || Some(rest.run(&run_id)).filter(|run| run.ended()));
    assert!(run.succeeded() && run.agent_id == "next", "{run:?}");
    let [first, second] = &run.attempts[..] else { panic!("two attempts: {run:?}") };
    assert_eq!((first.agent_id.as_str(), first.state.as_str()), ("frozen", "LOST"));
    assert_eq!(first.slot, second.slot);
    assert!(first.fencing_token() < second.fencing_token(), "{run:?}");
    let stock = "SELECT string_agg(concat_ws(' ', item, amount, counted_by, fencing_token), ',') FROM stock";
    let written = format!("bolts 5 next {}", second.fencing_token());
    assert_eq!(postgres.answer(stock), written);

    frozen.signal(Signal::CONT);
    wire.let_go();
    let refusal = format!("fencing token {} is stale: {} has written", first.fencing_token(), second.fencing_token());
    until("the refusal of the late write", 30, || postgres.log().contains(&refusal).then_some(()));
    assert_eq!(postgres.answer(stock), written, "it changed nothing");
    // An agent that wakes past its right to run aborts, unless its task is gone at once.
    let run_id = rest.trigger("recount", "").run_id;
    let run = until("the end of the run", 30, || Some(rest.run(&run_id)).filter(|run| run.ended()));
    assert!(run.succeeded() && run.fencing_token() > second.fencing_token(), "{run:?}");
    assert_eq!(postgres.answer(stock), format!("bolts 10 {} {}", run.agent_id, run.fencing_token()));
}
