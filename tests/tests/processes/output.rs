//! A task that writes more than anybody can keep.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use punctual_tests::{Agent, Server, folder, job, resident, until};
use serde_json::{Value, json};

const WRITTEN: u64 = 1 << 30;
/// What is kept of an attempt's output, at most.
const KEPT: u64 = 16 << 20;
const MEMORY: u64 = 100_000_000;

/// Bytes that a run's log has, and those that it says are missing.
fn kept_and_cut(server: &Server, run_id: &str) -> (u64, u64) {
    let (mut kept, mut cut, mut token) = (0, 0, String::new());
    loop {
        let path = format!("/api/v1/scheduler/runs/{run_id}/logs?pageSize=100&pageToken={token}");
        let page = server.rest.try_call("GET", &path, &[("accept", "application/json")], None);
        let page = page.expect("the server listens").ok();
        for chunk in page["chunks"].as_array().expect("a list") {
            let text = |field: &str| chunk[field].as_str().expect("a string").to_owned();
            kept += STANDARD.decode(text("data")).expect("base64").len() as u64;
            cut += text("truncatedBytes").parse::<u64>().expect("a number");
        }
        match page["nextPageToken"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return (kept, cut),
        }
    }
}

#[test]
fn a_gigabyte_of_output_is_cut_and_marked_and_costs_little_memory() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let command: Value = json!(["head", "-c", WRITTEN.to_string(), "/dev/zero"]);
    let task = json!({ "type": "process", "payload": { "command": command } });
    server.rest.create(&job("floods", task, json!({})));
    let run_id = server.rest.trigger("floods", "").run_id;
    let mut most = [0, 0];
    let run = until("the end of the flood", 120, || {
        let now = [agent.process.pid(), server.process().pid()].map(resident);
        most = [most[0].max(now[0]), most[1].max(now[1])];
        Some(server.rest.run(&run_id)).filter(punctual_tests::Run::ended)
    });
    println!("resident at most: agent {} bytes, server {} bytes", most[0], most[1]);
    assert!(run.succeeded(), "{run:?}");
    assert!(most[0] < MEMORY && most[1] < MEMORY, "{most:?}");
    let (kept, cut) = kept_and_cut(&server, &run_id);
    assert_eq!(kept + cut, WRITTEN, "{kept} bytes are there, {cut} are said to be missing");
    assert!((1..=KEPT).contains(&kept), "{kept}");
}
