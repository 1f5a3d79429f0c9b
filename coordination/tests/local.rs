//! The suite of coordinators against the lock on a ledger's file.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[allow(dead_code, reason = "one node has no cases of two")]
mod contract;

use coordination::Coordinator;
use coordination::local::Local;

macro_rules! case {
    ($case:ident) => {
        #[tokio::test]
        async fn $case() {
            let directory = tempfile::tempdir().unwrap();
            let local = Local::lock(&directory.path().join("ledger.db"), "a test").unwrap();
            contract::$case(&local).await;
        }
    };
}

for_each_case!(case);

#[test]
fn leadership_on_a_lock_lasts_as_long_as_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::lock(&directory.path().join("ledger.db"), "a test").unwrap();
    assert_eq!(local.lease(), None);
}
