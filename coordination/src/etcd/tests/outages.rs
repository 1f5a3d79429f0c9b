//! etcd that goes away, comes back, forgets, or loses a member; and leases that end.

use std::pin::pin;

use punctual_tests::{Etcd as PrivateEtcd, Proxy};
use scheduler_core::engine::CandidacyId;
use scheduler_core::ids::AgentInstance;

use crate::{Coordinator, News};

use super::cluster::{BRIEF, LASTING, brief, node, settings};
use super::contract::locks::{agent, lock, locks};
use super::contract::two::{has_others, is_led_by, renewing, until_standing};
use crate::etcd::Etcd;

const FIRST: CandidacyId = CandidacyId(1);
const SECOND: CandidacyId = CandidacyId(2);

async fn until_lost(coordinator: &dyn Coordinator, candidacy: CandidacyId) {
    while coordinator.news().await != News::Lost(candidacy) {}
}

/// Waits until a proof is given again.
async fn until_proved(coordinator: &dyn Coordinator, candidacy: CandidacyId) {
    while let Err(error) = coordinator.prove(candidacy, &[]).await {
        assert!(matches!(error, crate::Error::Unreachable(_)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_renew_is_succeeded_and_hears_of_it() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let (a, b) = (brief("a", &etcd), brief("b", &etcd));
    a.campaign(FIRST).await.unwrap();
    renewing(&[&b], b.campaign(FIRST)).await.unwrap();
    until_lost(&a, FIRST).await;
    a.prove(FIRST, &[]).await.unwrap_err();
    a.keep_alive(FIRST).await.unwrap_err();
    renewing(&[&b], b.prove(FIRST, &[])).await.unwrap();
}

/// Waits until these agents' leases have ended.
async fn until_ended(coordinator: &dyn Coordinator, agents: &[AgentInstance]) {
    while coordinator.news().await != News::LeasesEnded(agents.to_vec()) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locks_of_an_agent_go_with_its_lease_and_those_of_one_that_is_renewed_stay() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let a = node("a", &etcd);
    a.campaign(FIRST).await.unwrap();
    let locks = locks(&a);
    for number in [1, 2] {
        locks.lend(FIRST, agent(number), BRIEF).await.unwrap();
        locks.take(FIRST, &[lock(1, u32::try_from(number).unwrap(), number, 10)]).await.unwrap();
    }
    let renew = async {
        loop {
            let ended = a.prove(FIRST, &[agent(1)]).await.unwrap().ended;
            assert_eq!(ended, [], "it is renewed all the time");
            tokio::time::sleep(BRIEF / 10).await;
        }
    };
    let second = [agent(2)];
    tokio::select! {
        () = until_ended(&a, &second) => {}
        () = renew => {}
    }
    assert_eq!(locks.held(FIRST).await.unwrap(), [lock(1, 1, 1, 10)]);
    assert_eq!(locks.take(FIRST, &[lock(1, 2, 1, 11)]).await.unwrap(), []);
    // Lent another, it goes on.
    locks.lend(FIRST, agent(2), BRIEF).await.unwrap();
    assert_eq!(locks.take(FIRST, &[lock(1, 3, 2, 12)]).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_whose_leases_ended_while_nobody_watched_are_told() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let wire = Proxy::to(etcd.port(0));
    let a = Etcd::new(settings("a", vec![format!("http://127.0.0.1:{}", wire.port())])).unwrap();
    a.campaign(FIRST).await.unwrap();
    locks(&a).lend(FIRST, agent(1), LASTING).await.unwrap();
    until_standing(&a, |standing| is_led_by(standing, "a")).await;
    wire.cut();
    etcd.ctl(&["del", "--prefix", "/punctual/test/agents/"]);
    wire.mend();
    until_ended(&a, &[agent(1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taking_of_which_no_answer_came_is_found_to_be_done() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let wire = Proxy::to(etcd.port(0));
    let b = Etcd::new(settings("b", vec![format!("http://127.0.0.1:{}", wire.port())])).unwrap();
    b.campaign(FIRST).await.unwrap();
    locks(&b).lend(FIRST, agent(1), LASTING).await.unwrap();
    wire.lose_answers();
    let taken = [lock(1, 0, 1, 10), lock(2, 0, 1, 11)];
    let unheard = async {
        punctual_tests::until("locks that nobody hears of", 30, || {
            (etcd.ctl(&["get", "--prefix", "--keys-only", "/punctual/test/locks/"]).split_whitespace().count() == 2)
                .then_some(())
        });
        wire.mend();
    };
    let (refused, ()) = tokio::join!(locks(&b).take(FIRST, &taken), unheard);
    assert_eq!(refused.unwrap(), []);
    assert_eq!(locks(&b).held(FIRST).await.unwrap(), taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_key_is_deleted_proves_nothing_more_and_hears_of_it() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let a = node("a", &etcd);
    a.campaign(FIRST).await.unwrap();
    let deleted = async {
        until_standing(&a, |standing| is_led_by(standing, "a")).await;
        etcd.ctl(&["del", "--prefix", "/punctual/test/leader/"]);
        a.prove(FIRST, &[]).await.unwrap_err();
        until_lost(&a, FIRST).await;
        a.campaign(SECOND).await.unwrap();
        a.prove(SECOND, &[]).await.unwrap();
    };
    renewing(&[&a], deleted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_and_candidacies_outlive_a_restart_of_etcd() {
    let Some(mut etcd) = PrivateEtcd::start(1) else { return };
    let (a, b) = (node("a", &etcd), node("b", &etcd));
    a.campaign(FIRST).await.unwrap();
    let mut second = pin!(b.campaign(FIRST));
    let restarted = async {
        tokio::select! {
            _ = until_standing(&a, |standing| has_others(standing, &["b"])) => {}
            elected = &mut second => panic!("b leads while a does: {elected:?}"),
        }
        etcd.kill(0);
        assert!(matches!(a.prove(FIRST, &[]).await, Err(crate::Error::Unreachable(_))));
        assert!(matches!(a.keep_alive(FIRST).await, Err(crate::Error::Unreachable(_))));
        etcd.restart(0);
        until_proved(&a, FIRST).await;
        a.keep_alive(FIRST).await.unwrap();
        a.resign(FIRST).await;
        second.await.unwrap();
        until_standing(&a, |standing| is_led_by(standing, "b")).await;
    };
    renewing(&[&a, &b], restarted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_comes_before_etcd_leads_when_etcd_is_there() {
    let Some(mut etcd) = PrivateEtcd::start(1) else { return };
    etcd.kill(0);
    let a = node("a", &etcd);
    let come = async {
        etcd.restart(0);
        etcd.await_health();
    };
    let (elected, ()) = tokio::join!(a.campaign(FIRST), come);
    elected.unwrap();
    a.prove(FIRST, &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_was_rebuilt_empty_ends_every_candidacy_and_elects_anew() {
    let Some(mut etcd) = PrivateEtcd::start(1) else { return };
    // Its history is far ahead of that which comes.
    for n in 0..50 {
        etcd.ctl(&["put", "elsewhere", &n.to_string()]);
    }
    let (a, b) = (node("a", &etcd), node("b", &etcd));
    a.campaign(FIRST).await.unwrap();
    let mut second = pin!(b.campaign(FIRST));
    let rebuilt = async {
        tokio::select! {
            _ = until_standing(&a, |standing| has_others(standing, &["b"])) => {}
            elected = &mut second => panic!("b leads while a does: {elected:?}"),
        }
        etcd.rebuild();
        a.prove(FIRST, &[]).await.unwrap_err();
        until_lost(&a, FIRST).await;
        second.await.unwrap_err();
        b.campaign(SECOND).await.unwrap();
        b.prove(SECOND, &[]).await.unwrap();
        until_standing(&a, |standing| is_led_by(standing, "b")).await;
    };
    renewing(&[&a, &b], rebuilt).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_a_watch_was_broken_is_told_though_it_was_compacted_away() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let wire = Proxy::to(etcd.port(0));
    let a = Etcd::new(settings("a", vec![format!("http://127.0.0.1:{}", wire.port())])).unwrap();
    let b = node("b", &etcd);
    a.campaign(FIRST).await.unwrap();
    until_standing(&a, |standing| is_led_by(standing, "a")).await;
    wire.cut();
    etcd.ctl(&["del", "--prefix", "/punctual/test/leader/"]);
    b.campaign(FIRST).await.unwrap();
    for n in 0..50 {
        etcd.ctl(&["put", "elsewhere", &n.to_string()]);
    }
    etcd.ctl(&["compact", "50"]);
    wire.mend();
    let told = async {
        until_lost(&a, FIRST).await;
        until_standing(&a, |standing| is_led_by(standing, "b") && has_others(standing, &["b"])).await;
    };
    renewing(&[&b], told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidacy_of_which_no_answer_came_has_one_key() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let wire = Proxy::to(etcd.port(0));
    let a = Etcd::new(settings("a", vec![format!("http://127.0.0.1:{}", wire.port())])).unwrap();
    let b = node("b", &etcd);
    b.campaign(FIRST).await.unwrap();
    let one_key = async {
        // So that there is a connection.
        a.prove(FIRST, &[]).await.unwrap_err();
        until_standing(&a, |standing| is_led_by(standing, "b")).await;
        wire.lose_answers();
        let came = async {
            // It is granted leases that it does not hear of, until it hears of one.
            let leases = || etcd.ctl(&["lease", "list"]).lines().count();
            punctual_tests::until("a lease that nobody hears of", 30, || (leases() > 2).then_some(()));
            wire.mend();
            until_standing(&b, |standing| has_others(standing, &["a"])).await;
            assert_eq!(
                etcd.ctl(&["get", "--prefix", "--keys-only", "/punctual/test/leader/"]).split_whitespace().count(),
                2
            );
            b.resign(FIRST).await;
        };
        let only_a: [&dyn Coordinator; 1] = [&a];
        let (elected, ()) = tokio::join!(renewing(&only_a, a.campaign(FIRST)), came);
        elected.unwrap();
        a.prove(FIRST, &[]).await.unwrap();
    };
    renewing(&[&b], one_key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_of_etcd_costs_nobody_the_leadership() {
    let Some(mut etcd) = PrivateEtcd::start(3) else { return };
    let (a, b) = (node("a", &etcd), node("b", &etcd));
    a.campaign(FIRST).await.unwrap();
    let mut second = pin!(b.campaign(FIRST));
    let killed = async {
        tokio::select! {
            _ = until_standing(&a, |standing| has_others(standing, &["b"])) => {}
            elected = &mut second => panic!("b leads while a does: {elected:?}"),
        }
        let leader = etcd.leader();
        etcd.kill(leader);
        until_proved(&a, FIRST).await;
        a.keep_alive(FIRST).await.unwrap();
        a.resign(FIRST).await;
        second.await.unwrap();
        until_standing(&a, |standing| is_led_by(standing, "b")).await;
    };
    renewing(&[&a, &b], killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_that_answers_tells_the_size_of_its_database() {
    let Some(mut etcd) = PrivateEtcd::start(3) else { return };
    let a = node("a", &etcd);
    let endpoints = etcd.endpoints();
    assert_eq!(who_tells_a_size(&a).await, endpoints);
    etcd.kill(1);
    assert_eq!(who_tells_a_size(&a).await, [endpoints[0].clone(), endpoints[2].clone()]);
}

async fn who_tells_a_size(coordinator: &dyn Coordinator) -> Vec<String> {
    let sizes = coordinator.sizes().await;
    assert!(sizes.iter().all(|size| size.bytes > 0), "{sizes:?}");
    sizes.into_iter().map(|size| size.endpoint).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_etcd_that_says_nothing_is_left_by_calls_and_watches() {
    let Some(mut etcd) = PrivateEtcd::start(3) else { return };
    let (a, b) = (node("a", &etcd), node("b", &etcd));
    a.campaign(FIRST).await.unwrap();
    let frozen = async {
        until_standing(&a, |standing| is_led_by(standing, "a")).await;
        // The first endpoint is the one that is asked first.
        etcd.freeze(0);
        until_proved(&a, FIRST).await;
        let mut second = pin!(b.campaign(FIRST));
        tokio::select! {
            _ = until_standing(&a, |standing| has_others(standing, &["b"])) => {}
            elected = &mut second => panic!("b leads while a does: {elected:?}"),
        }
        etcd.wake(0);
    };
    renewing(&[&a, &b], frozen).await;
}
