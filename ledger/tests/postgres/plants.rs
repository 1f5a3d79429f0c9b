//! Bugs planted in the functions of `migrations/postgres`, each found by a case of the suite (PROTOCOL.md, rule 31). The
//! code has no switch for them: a plant alters a function of the test's own database.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use sqlx::AssertSqlSafe;

use crate::contract::{commits, terms};
use crate::database::Database;
use crate::{marks, races};

impl Database {
    /// Replaces what a function says, at the one place where it says so.
    async fn alter(&self, function: &str, says: &str, instead: &str) {
        let mut outsider = self.outsider().await;
        let text = format!("SELECT pg_get_functiondef('{function}'::regproc)");
        let text: String = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut outsider).await.unwrap();
        assert_eq!(text.matches(says).count(), 1, "{function} does not say {says}:\n{text}");
        self.execute(&text.replace(says, instead)).await;
    }
}

/// Asserts that a case, which passes elsewhere in this suite, fails with the plant.
macro_rules! found {
    ($plant:ident, $function:literal, $says:literal => $instead:literal, $case:path) => {
        #[tokio::test]
        async fn $plant() {
            let Some(database) = Database::new().await else { return };
            database.alter($function, $says, $instead).await;
            let found = AssertUnwindSafe($case(&database)).catch_unwind().await;
            assert!(found.is_err(), "{} does not find it", stringify!($case));
        }
    };
}

found!(
    an_epoch_that_nobody_compares_is_found,
    "fence",
    "CASE WHEN current_epoch = term THEN NULL ELSE coalesce(current_epoch, 0) END" => "NULL",
    terms::a_deposed_leader_writes_nothing
);
found!(
    an_epoch_that_is_read_without_the_lock_is_found,
    "fence",
    "PERFORM pg_advisory_xact_lock_shared(epoch_lock());" => "",
    races::a_take_over_meets_a_transaction_half_way
);
// The snapshot of a STABLE function is its caller's, and older than its wait.
found!(
    an_epoch_that_is_read_in_a_snapshot_from_before_the_lock_is_found,
    "fence",
    "LANGUAGE plpgsql" => "LANGUAGE plpgsql STABLE",
    races::a_transaction_meets_a_take_over_half_way
);
found!(
    a_take_over_that_takes_no_lock_is_found,
    "take_over",
    "        PERFORM pg_advisory_xact_lock(epoch_lock());\n    EXCEPTION" => "    EXCEPTION",
    races::a_take_over_meets_a_transaction_half_way
);
found!(
    an_epoch_that_is_the_clock_is_found,
    "take_over",
    "greatest(clock / 1000, coalesce(last.epoch, 0) + 1, coalesce(last.token_ceiling, 0) / 1048576 + 1)"
        => "clock / 1000",
    terms::epochs_and_tokens_grow_when_the_clock_steps_back
);
found!(
    a_watermark_that_may_run_ahead_of_the_clock_is_found,
    "commit_transaction",
    "greatest(decided, new_watermark) > clock + furthest_ahead" => "decided > clock + furthest_ahead",
    terms::a_watermark_beyond_the_clock_is_refused
);
found!(
    a_token_ceiling_that_can_be_lowered_is_found,
    "commit_transaction",
    "greatest(l.token_ceiling, new_ceiling)" => "coalesce(new_ceiling, l.token_ceiling)",
    terms::the_token_ceiling_is_never_lowered
);
found!(
    an_update_of_nothing_that_passes_is_found,
    "commit_transaction",
    "IF written < cardinality(updated) THEN" => "IF false THEN",
    commits::an_update_of_a_run_that_is_not_there_is_refused
);
found!(
    a_run_that_swallows_the_conflict_with_another_is_found,
    "commit_transaction",
    "FROM unnest(entered) v\n        ON CONFLICT (id) DO NOTHING" => "FROM unnest(entered) v\n        ON CONFLICT DO NOTHING",
    commits::an_instant_is_not_entered_twice
);
found!(
    a_number_that_stands_for_two_requests_is_found,
    "commit_transaction",
    "OR (r.digest = excluded.digest AND r.resource = excluded.resource);" => "OR true;",
    commits::a_request_with_other_content_is_refused
);
found!(
    a_mark_that_nobody_looks_for_is_found,
    "commit_marked_transaction",
    "IF lost IS NOT NULL THEN" => "IF false THEN",
    marks::what_was_confirmed_and_is_not_there_is_noticed
);
found!(
    a_mark_of_an_earlier_term_that_counts_is_found,
    "commit_marked_transaction",
    "WHERE m.epoch = term AND m.mark = c.mark" => "WHERE m.mark = c.mark",
    marks::what_was_confirmed_and_is_not_there_is_noticed
);
