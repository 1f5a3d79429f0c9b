//! Leaders that are cut off: from etcd, from Postgres, from everything, from agents, and by who refuses in their name.

use punctual_tests::{Host, Server, now, until};

use super::{LONGEST, Scene};

const SUSPENDED: &str = "this node cannot confirm that it leads; it hands nothing out";
const DEPOSED: &str = "this node leads no more";
const RESIGNED: &str = "this node gives leadership up";

#[test]
fn a_leader_that_is_cut_off_is_replaced_once_and_nothing_is_lost_or_doubled() {
    let Some(mut scene) = Scene::start() else { return };

    // A minority of etcd is nobody's loss.
    let leader = scene.leader();
    for member in [0, scene.cluster.etcd.leader()] {
        for other in (0..super::PARTS.members).filter(|other| *other != member) {
            scene.network.cut(scene.cluster.etcd.host(member), scene.cluster.etcd.host(other));
        }
        scene.goes_on_under(leader, 5, "a member of etcd is cut off from the others");
        scene.network.heal();
        scene.cluster.etcd.await_health();
    }

    // SCENARIOS 27: it keeps its agents, and lets them work on.
    let task = scene.begin("outlives-its-leader", 8);
    let old = scene.leader();
    let cut = now();
    scene.cut(scene.node(old), &scene.members());
    let next = scene.successor(old, cut, "a leader is cut off from etcd");
    scene.says(scene.node(old), &[SUSPENDED]);
    scene.says(scene.node(old), &[DEPOSED]);
    scene.goes_on_under(next, 2, "a leader is cut off from etcd");
    scene.assert_executed_once(&task, "its leader was cut off from etcd");
    scene.heals();
    scene.cluster.stand(next.node, super::PARTS.nodes);

    let task = scene.begin("outlives-a-host", 8);
    let old = scene.leader();
    let cut = now();
    scene.network.isolate(scene.node(old).host());
    let next = scene.successor(old, cut, "a leader's host is gone");
    scene.goes_on_under(next, 2, "a leader's host is gone");
    scene.assert_executed_once(&task, "its leader's host was gone");
    scene.heals();
    // Without the ledger it may have given way before.
    scene.says(scene.node(old), &[DEPOSED, RESIGNED]);

    // It gives way by itself, and stands back while it cannot reach the ledger.
    let old = scene.leader();
    let cut = now();
    scene.cut(scene.node(old), &[scene.cluster.postgres.host()]);
    let next = scene.successor(old, cut, "a leader is cut off from Postgres");
    scene.says(scene.node(old), &[RESIGNED]);
    until("a node that says that it cannot serve", LONGEST, || {
        let ready = scene.node(old).rest.try_call("GET", "/readyz", &[], None).expect("the test reaches everybody");
        (ready.status == 503).then_some(())
    });
    scene.goes_on_under(next, 5, "a leader was cut off from Postgres");

    scene.close();
}

#[test]
fn a_leader_that_agents_cannot_reach_or_that_is_taken_for_dead_is_replaced_once() {
    let Some(mut scene) = Scene::start() else { return };

    // Of something that refuses in the leader's name a standby believes that the leader is dead: that costs a hand-over.
    let old = scene.leader();
    let standby = scene.standbys(old).next().expect("because there are three");
    let cut = now();
    scene.network.reject(standby.host(), scene.node(old).host());
    let next = scene.successor(old, cut, "a standby is behind a reject rule");
    scene.says(standby, &["the leader is dead"]);
    scene.says(scene.node(old), &[DEPOSED]);
    scene.goes_on_under(next, 5, "a standby is behind a reject rule");
    scene.heals();
    scene.cluster.stand(next.node, super::PARTS.nodes);

    // Agents tell the standbys, and these tell the leader.
    let task = scene.begin("outlives-the-way-to-its-leader", 15);
    let old = scene.leader();
    let cut = now();
    scene.cut(scene.node(old), &scene.agents());
    let next = scene.successor(old, cut, "a leader is cut off from all agents");
    scene.says(scene.node(old), &["most agents cannot reach it"]);
    scene.goes_on_under(next, 5, "a leader was cut off from all agents");
    scene.assert_executed_once(&task, "its leader was cut off from all agents");
    scene.heals();

    // Nobody can tell it.
    let old = scene.leader();
    let cut = now();
    let everybody: Vec<&Host> = scene.agents().into_iter().chain(scene.standbys(old).map(Server::host)).collect();
    scene.cut(scene.node(old), &everybody);
    let next = scene.successor(old, cut, "a leader is cut off from all agents and standbys");
    scene.goes_on_under(next, 5, "a leader was cut off from all agents and standbys");

    scene.close();
}
