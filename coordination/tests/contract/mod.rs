//! What every coordinator must do, whatever stands behind it: one suite, run against each.
//!
//! A case is named by what breaks when it fails. [`for_each_case`] lists all of one node, [`for_each_case_of_two`] those of
//! two nodes of a cluster, and [`for_each_case_of_locks`] those of their locks, so that a new case runs everywhere.

pub(crate) mod locks;
pub(crate) mod two;

use coordination::{Coordinator, News};
use futures::FutureExt;
use scheduler_core::engine::CandidacyId;

const FIRST: CandidacyId = CandidacyId(1);
const SECOND: CandidacyId = CandidacyId(2);

/// Gives `$case` every case of one node.
#[macro_export]
macro_rules! for_each_case {
    ($case:ident) => {
        $case!(who_campaigns_alone_leads);
        $case!(nobody_leads_without_a_campaign);
        $case!(who_resigned_does_not_lead);
        $case!(who_resigned_can_lead_again);
        $case!(a_late_resignation_does_not_end_the_next_candidacy);
        $case!(an_earlier_candidacy_proves_and_renews_nothing);
        $case!(leadership_that_is_renewed_is_not_lost);
    };
}

pub(crate) async fn who_campaigns_alone_leads(coordinator: &dyn Coordinator) {
    coordinator.campaign(FIRST).await.unwrap();
    coordinator.prove(FIRST, &[]).await.unwrap();
    coordinator.keep_alive(FIRST).await.unwrap();
}

pub(crate) async fn nobody_leads_without_a_campaign(coordinator: &dyn Coordinator) {
    coordinator.prove(FIRST, &[]).await.unwrap_err();
    coordinator.keep_alive(FIRST).await.unwrap_err();
}

pub(crate) async fn who_resigned_does_not_lead(coordinator: &dyn Coordinator) {
    coordinator.campaign(FIRST).await.unwrap();
    coordinator.resign(FIRST).await;
    coordinator.prove(FIRST, &[]).await.unwrap_err();
    coordinator.keep_alive(FIRST).await.unwrap_err();
}

pub(crate) async fn who_resigned_can_lead_again(coordinator: &dyn Coordinator) {
    coordinator.campaign(FIRST).await.unwrap();
    coordinator.resign(FIRST).await;
    coordinator.campaign(SECOND).await.unwrap();
    coordinator.prove(SECOND, &[]).await.unwrap();
}

pub(crate) async fn a_late_resignation_does_not_end_the_next_candidacy(coordinator: &dyn Coordinator) {
    coordinator.campaign(FIRST).await.unwrap();
    coordinator.resign(FIRST).await;
    coordinator.campaign(SECOND).await.unwrap();
    coordinator.resign(FIRST).await;
    coordinator.prove(SECOND, &[]).await.unwrap();
    coordinator.keep_alive(SECOND).await.unwrap();
}

pub(crate) async fn an_earlier_candidacy_proves_and_renews_nothing(coordinator: &dyn Coordinator) {
    coordinator.campaign(FIRST).await.unwrap();
    coordinator.resign(FIRST).await;
    coordinator.campaign(SECOND).await.unwrap();
    coordinator.prove(FIRST, &[]).await.unwrap_err();
    coordinator.keep_alive(FIRST).await.unwrap_err();
}

pub(crate) async fn leadership_that_is_renewed_is_not_lost(coordinator: &dyn Coordinator) {
    coordinator.campaign(FIRST).await.unwrap();
    coordinator.keep_alive(FIRST).await.unwrap();
    let news = coordinator.news().now_or_never();
    assert_ne!(news, Some(News::Lost(FIRST)));
    coordinator.prove(FIRST, &[]).await.unwrap();
}
