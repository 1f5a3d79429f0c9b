//! What every ledger must do, whichever database it is in: one suite, run against each back end.
//!
//! A case is named by what breaks when it fails. A back end's test file lists none of them: [`for_each_case`]
//! does, so that a new case runs everywhere.

pub(crate) mod audits;
pub(crate) mod backfills;
pub(crate) mod commits;
pub(crate) mod jobs;
pub(crate) mod loads;
pub(crate) mod purges;
pub(crate) mod races;
pub(crate) mod runs;
pub(crate) mod samples;
pub(crate) mod terms;
pub(crate) mod tokens;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ledger::{Audit, Leader, Reader, Tokens};
use scheduler_core::ids::{Epoch, NodeId};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{JobWrite, Known, Snapshot, TakeOver, TookOver, Transaction};

pub(crate) trait Ledger: Leader + Reader {}

impl<T: Leader + Reader> Ledger for T {}

/// An empty ledger, and what a case does to it from outside.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Opens the same ledger again, as another node or the next start of this one does.
    async fn connect(&self) -> Arc<dyn Ledger>;

    /// Sets the ledger's own clock, which begins at [`samples::NOW`].
    async fn set_clock(&self, time: Timestamp);

    /// Whether a transaction stands still while its future does: not where another process carries it out.
    fn stops_with_its_caller(&self) -> bool {
        true
    }
}

/// What any node writes, beside what the leader does.
pub(crate) trait Access: Tokens + Audit {}

impl<T: Tokens + Audit> Access for T {}

/// A ledger with tokens and the audit; the simulation's model has neither.
#[async_trait]
pub(crate) trait AccessBackend: Backend {
    /// As [`Backend::connect`].
    async fn access(&self) -> Arc<dyn Access>;
}

/// Gives `$case` every case as `module::function`.
#[macro_export]
macro_rules! for_each_case {
    ($case:ident) => {
        $crate::for_each_leader_case!($case);
        $case!(commits::logs_of_purged_runs_do_not_hold_up_the_rest);
        $case!(backfills::the_runs_of_a_backfill_are_listed);
        $case!(races::a_reader_sees_all_or_nothing_of_a_write_under_way);
        $case!(jobs::a_deleted_jobs_name_is_free);
        $case!(jobs::lists_of_jobs_hold_what_the_filter_names);
        $case!(jobs::lists_by_update_time_have_the_latest_change_first);
        $case!(jobs::revisions_are_kept_as_each_change_left_the_job);
        $case!(jobs::namespaces_are_those_that_a_job_or_calendar_named);
        $case!(jobs::pages_of_jobs_neither_skip_nor_repeat);
        $case!(purges::an_expired_job_goes_when_nothing_of_it_is_left);
        $case!(runs::runs_are_read_back_whole);
        $case!(runs::lists_of_runs_hold_what_the_filter_names);
        $case!(runs::runs_that_may_have_changed_are_found);
        $case!(runs::a_run_entered_ahead_of_its_time_is_found_by_its_time);
        $case!(runs::the_prefix_of_many_jobs_finds_their_runs);
        $case!(runs::what_is_said_too_late_is_kept_with_its_attempt);
        $case!(runs::stats_count_and_measure_the_runs_of_a_span);
        $case!(runs::the_agent_of_a_run_is_that_of_its_latest_attempt);
        $case!(runs::pages_of_runs_neither_skip_nor_repeat);
        $case!(runs::the_history_of_a_name_includes_deleted_jobs);
        $case!(runs::the_last_run_of_each_job_is_found);
        $case!(runs::logs_are_read_in_order);
        $case!(runs::a_ledger_answers_before_it_has_a_leader);
    };
}

/// Those about what any node writes.
#[macro_export]
macro_rules! for_each_access_case {
    ($case:ident) => {
        $case!(tokens::a_token_comes_back_whole_with_its_hash_and_its_event);
        $case!(tokens::a_token_asked_for_again_is_the_one_that_was_made);
        $case!(tokens::a_token_is_revoked_once_and_stays_so);
        $case!(tokens::lists_of_tokens_are_the_newest_first_and_leave_out_those_that_ended);
        $case!(audits::events_come_back_whole_and_are_there_once);
        $case!(audits::lists_of_events_hold_what_the_filter_names);
        $case!(audits::an_event_is_there_with_its_change_and_not_without_it);
        $case!(audits::old_events_are_forgotten_a_batch_at_a_time);
    };
}

/// Those about what a leader does to the ledger, and finds there: the simulation's model has them too.
#[macro_export]
macro_rules! for_each_leader_case {
    ($case:ident) => {
        $case!(terms::a_new_ledger_begins_at_its_own_clock);
        $case!(terms::epochs_and_tokens_grow_when_the_clock_steps_back);
        $case!(terms::an_epoch_is_above_the_tokens_of_the_last);
        $case!(terms::the_longest_agent_ttl_is_never_forgotten);
        $case!(terms::who_was_elected_before_the_last_leader_does_not_take_over);
        $case!(terms::an_election_of_a_new_history_replaces_the_one_that_it_judged_and_no_other);
        $case!(terms::a_deposed_leader_writes_nothing);
        $case!(terms::a_deposed_leader_loads_nothing);
        $case!(terms::nobody_writes_before_the_first_take_over);
        $case!(terms::a_watermark_beyond_the_clock_is_refused);
        $case!(terms::a_decision_beyond_the_clock_is_refused);
        $case!(terms::a_survey_tells_the_ledgers_clock_and_the_last_leaders_schedule_version);
        $case!(terms::the_token_ceiling_is_never_lowered);
        $case!(commits::the_same_transaction_again_changes_nothing);
        $case!(commits::what_was_committed_is_there_after_a_crash);
        $case!(commits::a_dropped_commit_leaves_nothing_open);
        $case!(commits::an_instant_is_not_entered_twice);
        $case!(commits::an_instant_is_not_entered_twice_by_one_transaction);
        $case!(commits::a_refused_transaction_writes_nothing);
        $case!(commits::an_update_of_a_run_that_is_not_there_is_refused);
        $case!(commits::large_batches_are_written_whole);
        $case!(commits::requests_are_found_for_a_day);
        $case!(commits::a_request_with_other_content_is_refused);
        $case!(backfills::backfills_are_loaded_as_they_are_until_they_are_closed);
        $case!(backfills::a_backfill_begun_again_stays_where_it_is);
        $case!(races::a_take_over_finds_all_or_nothing_of_a_transaction_it_meets);
        $case!(races::of_two_take_overs_at_once_one_is_the_last);
        $case!(loads::cordons_stay_until_they_are_lifted);
        $case!(loads::jobs_come_back_as_they_were_committed);
        $case!(loads::runs_come_back_as_they_were_committed);
        $case!(loads::only_unended_runs_are_loaded);
        $case!(loads::unended_runs_come_with_their_latest_attempt);
        $case!(loads::covered_instants_are_those_of_rows_entered_since);
        $case!(loads::deleted_jobs_are_loaded_until_they_expire);
        $case!(loads::one_job_is_loaded_like_all_and_without_the_others);
        $case!(loads::changes_are_read_in_their_order_a_page_at_a_time_and_calendars_with_each);
        $case!(loads::who_knows_jobs_loads_those_that_changed_since_and_the_counts_of_others);
        $case!(loads::what_a_leader_knows_of_jobs_is_told_from_another_history_by_what_they_add_up_to);
        $case!(jobs::two_live_jobs_of_one_name_are_refused);
        $case!(purges::a_job_keeps_as_many_runs_as_it_says_and_none_too_old);
        $case!(purges::what_has_not_ended_or_is_recent_is_never_purged);
        $case!(purges::a_purge_takes_what_it_names_with_attempts_and_logs);
        $case!(purges::old_numbers_of_requests_go_a_batch_at_a_time_and_those_of_a_day_stay);
        $case!(purges::a_deposed_leader_purges_nothing);
    };
}

pub(crate) fn take_over(node: &str) -> TakeOver {
    TakeOver {
        node: NodeId::from(node),
        agent_ttl: Duration::from_secs(10),
        schedule_version: "2026a-001".to_owned(),
        election: None,
        instead_of: None,
    }
}

/// A ledger, and the term that has just begun on it.
pub(crate) struct Term {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) began: TookOver,
}

impl Term {
    pub(crate) async fn begin(backend: &dyn Backend) -> Self {
        let ledger = backend.connect().await;
        let began = ledger.take_over(&take_over("a")).await.unwrap();
        Self { ledger, began }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.began.epoch
    }

    /// An empty transaction of this term.
    pub(crate) fn transaction(&self) -> Transaction {
        Transaction::new(self.epoch(), samples::NOW)
    }

    /// Commits what `fill` puts into a transaction.
    pub(crate) async fn commit(&self, fill: impl FnOnce(&mut Transaction)) {
        let mut transaction = self.transaction();
        fill(&mut transaction);
        self.ledger.commit(&transaction).await.unwrap();
    }

    pub(crate) async fn commit_jobs(&self, jobs: impl IntoIterator<Item = JobWrite>) {
        self.commit(|transaction| transaction.jobs.extend(jobs)).await;
    }

    /// All that a new leader would read.
    pub(crate) async fn load(&self) -> Snapshot {
        self.ledger.load(self.epoch(), Timestamp::from_micros(0), None).await.unwrap()
    }

    /// What one would read that knows jobs.
    pub(crate) async fn load_since(&self, known: &Known) -> Snapshot {
        self.ledger.load(self.epoch(), Timestamp::from_micros(0), Some(known)).await.unwrap()
    }
}
