//! The suite of coordinators against an etcd of one member.

use punctual_tests::Etcd as PrivateEtcd;

use crate::for_each_case;
use crate::for_each_case_of_locks;
use crate::for_each_case_of_two;

use super::cluster::node;
use super::contract;

macro_rules! case {
    ($case:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            let Some(etcd) = PrivateEtcd::start(1) else { return };
            contract::$case(&node("a", &etcd)).await;
        }
    };
}

for_each_case!(case);

macro_rules! case_of_two {
    ($case:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            let Some(etcd) = PrivateEtcd::start(1) else { return };
            contract::two::$case(&node("a", &etcd), &node("b", &etcd)).await;
        }
    };
}

for_each_case_of_two!(case_of_two);

macro_rules! case_of_locks {
    ($case:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            let Some(etcd) = PrivateEtcd::start(1) else { return };
            let (a, b) = (node("a", &etcd), node("b", &etcd));
            contract::locks::$case(&a, &b).await;
        }
    };
}

for_each_case_of_locks!(case_of_locks);
