//! The contract suite against a real Postgres, and what only it has. Where there is no Postgres, the tests say so.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[path = "../contract/mod.rs"]
mod contract;
mod database;
mod failures;
mod late;
mod lock;
#[path = "../contract/marks.rs"]
mod marks;
mod moving;
mod plans;
mod plants;
mod races;
mod sessions;
mod tables;
mod tls;

use database::Database;

macro_rules! case {
    ($module:ident::$name:ident) => {
        #[tokio::test]
        async fn $name() {
            if let Some(database) = Database::new().await {
                contract::$module::$name(&database).await;
            }
        }
    };
}

#[tokio::test]
async fn what_was_confirmed_and_is_not_there_is_noticed() {
    if let Some(database) = Database::new().await {
        marks::what_was_confirmed_and_is_not_there_is_noticed(&database).await;
    }
}

#[tokio::test]
async fn old_marks_go_and_recent_ones_stay() {
    if let Some(database) = Database::new().await {
        marks::old_marks_go_and_recent_ones_stay(&database).await;
    }
}

for_each_case!(case);
for_each_access_case!(case);
