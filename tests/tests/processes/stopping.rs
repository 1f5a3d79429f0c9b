//! SIGTERM: a server with an agent in it leaves nothing behind.

use punctual_tests::{Server, Witness, folder, job, lives, shell, until};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn a_server_that_is_told_to_end_takes_its_tasks_along() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let mut server = Server::with_agent(folder.path());
    let path = witness.path();
    // One that ignores the signal, too.
    let script = format!(
        "trap '' TERM; echo $$ >> {path}; setsid sh -c 'echo $$ >> {path}; exec sleep 300' & sleep 300; sleep 300"
    );
    server.rest.create(&job("endless", shell(&script), json!({})));
    let run_id = server.rest.trigger("endless", "").run_id;
    let pids: Vec<u32> = until("both processes of the task", 20, || {
        let lines = witness.lines();
        (lines.len() == 2).then(|| lines.iter().map(|line| line[0].parse().expect("a pid")).collect())
    });

    server.process().signal(Signal::TERM);
    let status = server.process().exit(15);
    assert_eq!(status.code(), Some(0));
    assert!(!pids.iter().any(|&pid| lives(pid)), "the task is gone when the server is");

    server.kill_and_start();
    let ended = until("the run to end", 30, || Some(server.rest.run(&run_id)).filter(|run| run.ended()));
    assert_ne!(ended.state, "SUCCEEDED", "{ended:?}");
    assert_eq!(witness.lines().len(), 2, "with one attempt it is not started again");
}
