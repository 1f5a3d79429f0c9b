//! Agents that are cut off: from all servers, for a while or for good, and from the leader alone.

use punctual_tests::{lives, now, until};

use super::{LONGEST, Scene, ms};

#[test]
fn an_agent_that_is_cut_off_works_on_and_stops_before_another_begins() {
    let Some(mut scene) = Scene::start() else { return };
    let leader = scene.leader();

    // What ends meanwhile is reported late, and nobody executes it again.
    let task = scene.begin("ends-while-its-agent-is-cut-off", 2);
    let cut = now();
    scene.network.isolate(scene.cluster.agents[task.agent].host());
    until("the task to end", LONGEST, || (!lives(task.pid)).then_some(()));
    assert!(!scene.node(leader).rest.run(&task.run_id).ended(), "who can have told?");
    scene.goes_on_under(leader, 1, "an agent is cut off");
    println!("an agent is cut off for {} ms", ms(now() - cut));
    scene.heals();
    scene.assert_executed_once(&task, "its agent was cut off for a while");

    // Others have work for it all the while: whether they begin it too early, its slot's lock says.
    let task = scene.begin("outlives-its-agents-right", 300);
    let cut = now();
    let agent = &scene.cluster.agents[task.agent];
    scene.network.isolate(agent.host());
    scene.goes_on_under(leader, 3, "an agent is cut off");
    assert!(lives(task.pid), "it is stopped long before its agent has to");
    until("the agent to stop its task", LONGEST, || (!lives(task.pid)).then_some(()));
    let stopped = now() - cut;
    let run = scene.end(&task);
    println!(
        "an agent is cut off: its task is stopped after {} ms, done elsewhere after {} ms",
        ms(stopped),
        ms(now() - cut)
    );
    assert_eq!((run.state.as_str(), run.attempt, run.attempts[0].state.as_str()), ("SUCCEEDED", 2, "LOST"), "{run:?}");
    assert_ne!(run.agent_id, run.attempts[0].agent_id, "{run:?}");
    assert!(run.attempts[1].create_time > cut + stopped, "begun before the other was stopped: {run:?}");
    scene.heals();

    // One of three is no reason for another leader; it is told all the same, by way of the standbys.
    let agent = scene.cluster.agents[0].host();
    let cut = now();
    scene.network.cut(agent, scene.node(leader).host());
    scene.says(scene.node(leader), &["an agent tells another node that it cannot connect to this one"]);
    println!("an agent cannot reach the leader, who hears of it after {} ms", ms(now() - cut));
    scene.goes_on_under(leader, 3, "one of three agents cannot reach the leader");

    scene.close();
}
