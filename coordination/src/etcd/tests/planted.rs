//! Every planted bug is found by the suite, on a real etcd.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use punctual_tests::Etcd as PrivateEtcd;
use tokio::time::timeout;

use crate::etcd::plant::Plant;
use crate::etcd::{Etcd, Settings};
use crate::{for_each_case, for_each_case_of_locks, for_each_case_of_two};

use super::cluster::settings;
use super::contract;

/// A case that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

type Case = (&'static str, fn(Etcd, Etcd) -> BoxFuture<'static, ()>);

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    macro_rules! case {
        ($case:ident) => {
            cases.push((stringify!($case), |a, _| async move { contract::$case(&a).await }.boxed()));
        };
    }
    macro_rules! case_of_two {
        ($case:ident) => {
            cases.push((stringify!($case), |a, b| async move { contract::two::$case(&a, &b).await }.boxed()));
        };
    }
    macro_rules! case_of_locks {
        ($case:ident) => {
            cases.push((stringify!($case), |a, b| async move { contract::locks::$case(&a, &b).await }.boxed()));
        };
    }
    for_each_case!(case);
    for_each_case_of_two!(case_of_two);
    for_each_case_of_locks!(case_of_locks);
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_bug_is_found() {
    let Some(etcd) = PrivateEtcd::start(1) else { return };
    let mut missed = Vec::new();
    for plant in Plant::ALL {
        let mut found_by = Vec::new();
        for (index, (name, case)) in cases().into_iter().enumerate() {
            let node = |node: &str| {
                let cluster = format!("plant-{}-{index}", *plant as u8);
                Etcd::new(Settings { cluster, plant: Some(*plant), ..settings(node, etcd.endpoints()) }).unwrap()
            };
            // A case that fails panics.
            let run = std::panic::AssertUnwindSafe(case(node("a"), node("b"))).catch_unwind();
            if !matches!(timeout(PATIENCE, run).await, Ok(Ok(()))) {
                found_by.push(name);
                break;
            }
        }
        println!("{plant:?}: {found_by:?}");
        if found_by.is_empty() {
            missed.push(plant);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
