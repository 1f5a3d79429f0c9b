//! Two nodes of one cluster.

use std::pin::pin;

use coordination::{Coordinator, News, Standing};
use tokio::time::sleep;

use super::FIRST;
use super::SECOND;

/// Gives `$case` every case of two nodes, `a` and `b`.
#[macro_export]
macro_rules! for_each_case_of_two {
    ($case:ident) => {
        $case!(of_two_that_stand_the_first_leads_until_it_resigns);
        $case!(each_hears_of_the_other_and_of_who_leads);
        $case!(who_withdraws_while_it_waits_is_never_elected);
        $case!(who_withdrew_is_passed_over);
    };
}

/// Renews candidacies while something else is done.
pub(crate) async fn renewing<T>(candidates: &[&dyn Coordinator], work: impl Future<Output = T>) -> T {
    let renew = async {
        loop {
            for coordinator in candidates {
                // A renewal that fails is one that somebody will miss.
                let _ = coordinator.keep_alive(FIRST).await;
            }
            sleep(candidates[0].lease().expect("because a cluster has leases") / 5).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = renew => unreachable!("because it goes on for ever"),
    }
}

/// Waits for news that the election stands as it should.
pub(crate) async fn until_standing(coordinator: &dyn Coordinator, is_it: impl Fn(&Standing) -> bool) -> Standing {
    loop {
        if let News::Standing(standing) = coordinator.news().await
            && is_it(&standing)
        {
            return standing;
        }
    }
}

pub(crate) fn has_others(standing: &Standing, nodes: &[&str]) -> bool {
    standing.others.iter().map(|other| other.node.as_str()).eq(nodes.iter().copied())
}

pub(crate) fn is_led_by(standing: &Standing, node: &str) -> bool {
    standing.leader.as_ref().is_some_and(|leader| leader.node.as_str() == node)
}

pub(crate) async fn of_two_that_stand_the_first_leads_until_it_resigns(a: &dyn Coordinator, b: &dyn Coordinator) {
    a.campaign(FIRST).await.unwrap();
    let mut second = pin!(b.campaign(FIRST));
    let stands = async {
        tokio::select! {
            _ = until_standing(a, |standing| has_others(standing, &["b"])) => {}
            elected = &mut second => panic!("b leads while a does: {elected:?}"),
        }
        b.prove(FIRST, &[]).await.unwrap_err();
        a.prove(FIRST, &[]).await.unwrap();
    };
    renewing(&[a, b], stands).await;
    a.resign(FIRST).await;
    renewing(&[b], second).await.unwrap();
    b.prove(FIRST, &[]).await.unwrap();
    a.prove(FIRST, &[]).await.unwrap_err();
}

pub(crate) async fn each_hears_of_the_other_and_of_who_leads(a: &dyn Coordinator, b: &dyn Coordinator) {
    a.campaign(FIRST).await.unwrap();
    let mut second = pin!(b.campaign(FIRST));
    let heard = async {
        let heard = async {
            let is_it = |standing: &Standing| is_led_by(standing, "a") && has_others(standing, &["b"]);
            until_standing(a, is_it).await;
            let is_it = |standing: &Standing| is_led_by(standing, "a") && has_others(standing, &["a"]);
            until_standing(b, is_it).await;
        };
        tokio::select! {
            () = heard => {}
            elected = &mut second => panic!("b leads while a does: {elected:?}"),
        }
        a.resign(FIRST).await;
        second.await.unwrap();
        let is_it = |standing: &Standing| is_led_by(standing, "b") && has_others(standing, &["b"]);
        until_standing(a, is_it).await;
        until_standing(b, |standing| is_led_by(standing, "b") && has_others(standing, &[])).await;
    };
    renewing(&[a, b], heard).await;
}

pub(crate) async fn who_withdraws_while_it_waits_is_never_elected(a: &dyn Coordinator, b: &dyn Coordinator) {
    a.campaign(FIRST).await.unwrap();
    let withdrawn = async {
        let withdraw = async {
            until_standing(a, |standing| has_others(standing, &["b"])).await;
            b.resign(FIRST).await;
        };
        let (elected, ()) = tokio::join!(b.campaign(FIRST), withdraw);
        elected.unwrap_err();
        b.prove(FIRST, &[]).await.unwrap_err();
    };
    renewing(&[a], withdrawn).await;
    a.prove(FIRST, &[]).await.unwrap();
}

pub(crate) async fn who_withdrew_is_passed_over(a: &dyn Coordinator, b: &dyn Coordinator) {
    // The resignation overtakes the campaign.
    b.resign(FIRST).await;
    b.campaign(FIRST).await.unwrap_err();
    a.campaign(FIRST).await.unwrap();
    a.resign(FIRST).await;
    b.campaign(SECOND).await.unwrap();
    b.prove(SECOND, &[]).await.unwrap();
}
