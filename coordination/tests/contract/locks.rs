//! Agents' leases and the locks on them, in a cluster of two nodes.

use std::time::Duration;

use coordination::{Coordinator, Error, Locks};
use scheduler_core::ids::{AgentInstance, Epoch, FencingToken, JobUid};
use scheduler_core::lock::{HeldLock, Holder, LockName};

use super::FIRST;

/// Gives `$case` every case of locks, with two nodes.
#[macro_export]
macro_rules! for_each_case_of_locks {
    ($case:ident) => {
        $case!(a_lock_that_one_agent_has_is_refused_to_another);
        $case!(a_taking_that_is_repeated_is_the_same_taking);
        $case!(of_a_batch_the_free_ones_are_taken_and_the_others_named);
        $case!(more_locks_than_fit_a_transaction_are_taken_and_released);
        $case!(a_released_lock_can_be_taken_and_a_late_release_leaves_it_alone);
        $case!(who_does_not_lead_takes_and_releases_nothing);
        $case!(a_leader_that_has_not_heard_of_its_end_takes_and_releases_nothing);
        $case!(the_next_leader_finds_the_locks_and_goes_on_with_the_leases);
        $case!(nothing_is_taken_for_an_agent_without_a_lease);
        $case!(a_buried_leader_leads_no_more_and_its_successor_is_left_alone);
    };
}

const TTL: Duration = Duration::from_secs(60);

pub(crate) fn agent(n: u128) -> AgentInstance {
    AgentInstance(uuid::Uuid::from_u128(n))
}

/// A slot of a job, taken for an agent with a token of its own.
pub(crate) fn lock(job: u128, slot: u32, agent_number: u128, token: i64) -> HeldLock {
    let name = LockName { job: JobUid(uuid::Uuid::from_u128(job)), slot };
    HeldLock { name, holder: Holder { instance: agent(agent_number), epoch: Epoch(1), token: FencingToken(token) } }
}

pub(crate) fn locks(coordinator: &dyn Coordinator) -> &dyn Locks {
    coordinator.locks().expect("because a cluster has locks")
}

/// The node leads, and these agents have leases.
pub(crate) async fn lead<'a>(coordinator: &'a dyn Coordinator, agents: &[u128]) -> &'a dyn Locks {
    coordinator.campaign(FIRST).await.unwrap();
    for number in agents {
        locks(coordinator).lend(FIRST, agent(*number), TTL).await.unwrap();
    }
    locks(coordinator)
}

pub(crate) async fn a_lock_that_one_agent_has_is_refused_to_another(a: &dyn Coordinator, _: &dyn Coordinator) {
    let locks = lead(a, &[1, 2]).await;
    let (ours, theirs) = (lock(1, 0, 1, 10), lock(1, 0, 2, 11));
    assert_eq!(locks.take(FIRST, &[ours]).await.unwrap(), []);
    assert_eq!(locks.take(FIRST, &[theirs]).await.unwrap(), [ours]);
    assert_eq!(locks.held(FIRST).await.unwrap(), [ours]);
}

pub(crate) async fn a_taking_that_is_repeated_is_the_same_taking(a: &dyn Coordinator, _: &dyn Coordinator) {
    let locks = lead(a, &[1]).await;
    let all = [lock(1, 0, 1, 10), lock(1, 1, 1, 11)];
    assert_eq!(locks.take(FIRST, &all[..1]).await.unwrap(), []);
    assert_eq!(locks.take(FIRST, &all).await.unwrap(), []);
    assert_eq!(locks.take(FIRST, &all).await.unwrap(), []);
    assert_eq!(locks.held(FIRST).await.unwrap(), all);
    // The same agent with another token is another taking.
    assert_eq!(locks.take(FIRST, &[lock(1, 0, 1, 12)]).await.unwrap(), [all[0]]);
}

pub(crate) async fn of_a_batch_the_free_ones_are_taken_and_the_others_named(a: &dyn Coordinator, _: &dyn Coordinator) {
    let locks = lead(a, &[1, 2]).await;
    let theirs = [lock(2, 0, 2, 10), lock(4, 0, 2, 11)];
    locks.take(FIRST, &theirs).await.unwrap();
    let wanted: Vec<HeldLock> = (1..=5).map(|job| lock(job, 0, 1, 20 + i64::try_from(job).unwrap())).collect();
    let refused = locks.take(FIRST, &wanted).await.unwrap();
    assert_eq!(refused, theirs);
    let expected = [wanted[0], theirs[0], wanted[2], theirs[1], wanted[4]];
    assert_eq!(locks.held(FIRST).await.unwrap(), expected);
}

pub(crate) async fn more_locks_than_fit_a_transaction_are_taken_and_released(a: &dyn Coordinator, _: &dyn Coordinator) {
    let locks = lead(a, &[1]).await;
    let all: Vec<HeldLock> = (0..300).map(|slot| lock(1, slot, 1, slot.into())).collect();
    assert_eq!(locks.take(FIRST, &all).await.unwrap(), []);
    assert_eq!(locks.held(FIRST).await.unwrap(), all);
    locks.release(FIRST, &all[10..]).await.unwrap();
    assert_eq!(locks.held(FIRST).await.unwrap(), all[..10]);
}

pub(crate) async fn a_released_lock_can_be_taken_and_a_late_release_leaves_it_alone(
    a: &dyn Coordinator,
    _: &dyn Coordinator,
) {
    let locks = lead(a, &[1, 2]).await;
    let (first, second) = (lock(1, 0, 1, 10), lock(1, 0, 2, 11));
    locks.take(FIRST, &[first]).await.unwrap();
    locks.release(FIRST, &[first]).await.unwrap();
    assert_eq!(locks.take(FIRST, &[second]).await.unwrap(), []);
    // It comes with one that is still held: that one goes.
    let other = lock(2, 0, 1, 12);
    locks.take(FIRST, &[other]).await.unwrap();
    locks.release(FIRST, &[first, other]).await.unwrap();
    assert_eq!(locks.held(FIRST).await.unwrap(), [second]);
}

pub(crate) async fn who_does_not_lead_takes_and_releases_nothing(a: &dyn Coordinator, b: &dyn Coordinator) {
    let ours = lock(1, 0, 1, 10);
    lead(a, &[1]).await.take(FIRST, &[ours]).await.unwrap();
    a.resign(FIRST).await;
    let later = lead(b, &[1]).await;
    for refused in [
        locks(a).take(FIRST, &[lock(2, 0, 1, 11)]).await.map(drop),
        locks(a).release(FIRST, &[ours]).await,
        locks(a).lend(FIRST, agent(3), TTL).await.map(drop),
        locks(a).held(FIRST).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::NotLeading(_))), "{refused:?}");
    }
    assert_eq!(later.held(FIRST).await.unwrap(), [ours]);
}

pub(crate) async fn a_leader_that_has_not_heard_of_its_end_takes_and_releases_nothing(
    a: &dyn Coordinator,
    b: &dyn Coordinator,
) {
    let ours = lock(1, 0, 1, 10);
    lead(a, &[1]).await.take(FIRST, &[ours]).await.unwrap();
    let leader = super::two::until_standing(b, |standing| standing.leader.is_some()).await.leader.unwrap();
    assert!(b.bury(&leader).await.unwrap());
    for refused in [
        locks(a).take(FIRST, &[lock(2, 0, 1, 11)]).await.map(drop),
        locks(a).release(FIRST, &[ours]).await,
        locks(a).lend(FIRST, agent(3), TTL).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::NotLeading(_))), "{refused:?}");
    }
    assert_eq!(lead(b, &[1]).await.held(FIRST).await.unwrap(), [ours]);
}

pub(crate) async fn the_next_leader_finds_the_locks_and_goes_on_with_the_leases(
    a: &dyn Coordinator,
    b: &dyn Coordinator,
) {
    let ours = [lock(1, 0, 1, 10), lock(2, 0, 2, 11)];
    let first = lead(a, &[1, 2]).await;
    first.take(FIRST, &ours[..1]).await.unwrap();
    first.take(FIRST, &ours[1..]).await.unwrap();
    a.resign(FIRST).await;
    let second = lead(b, &[1, 2]).await;
    let longer = TTL + TTL;
    assert_eq!(second.lend(FIRST, agent(1), longer).await.unwrap(), TTL, "it goes on as it was given");
    assert_eq!(second.lend(FIRST, agent(3), longer).await.unwrap(), longer);
    assert_eq!(second.held(FIRST).await.unwrap(), ours);
    assert_eq!(b.prove(FIRST, &[agent(1), agent(2)]).await.unwrap().ended, []);
    let third = lock(3, 0, 1, 12);
    assert_eq!(second.take(FIRST, &[third]).await.unwrap(), []);
    assert_eq!(second.held(FIRST).await.unwrap(), [ours[0], ours[1], third]);
}

pub(crate) async fn nothing_is_taken_for_an_agent_without_a_lease(a: &dyn Coordinator, _: &dyn Coordinator) {
    let locks = lead(a, &[1]).await;
    let refused = locks.take(FIRST, &[lock(1, 0, 2, 10)]).await;
    assert!(matches!(refused, Err(Error::NoLease)), "{refused:?}");
    assert_eq!(locks.held(FIRST).await.unwrap(), []);
    assert_eq!(a.prove(FIRST, &[agent(1), agent(2)]).await.unwrap().ended, [agent(2)]);
}

pub(crate) async fn a_buried_leader_leads_no_more_and_its_successor_is_left_alone(
    a: &dyn Coordinator,
    b: &dyn Coordinator,
) {
    a.campaign(FIRST).await.unwrap();
    let leader = super::two::until_standing(b, |standing| standing.leader.is_some()).await.leader.unwrap();
    assert!(b.bury(&leader).await.unwrap());
    a.prove(FIRST, &[]).await.unwrap_err();
    b.campaign(FIRST).await.unwrap();
    assert!(!b.bury(&leader).await.unwrap(), "it is buried");
    b.prove(FIRST, &[]).await.unwrap();
}
