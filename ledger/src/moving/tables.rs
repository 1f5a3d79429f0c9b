//! What is carried: every table, in an order in which each finds the rows that it refers to.

/// What a column holds, in both databases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Id,
    Text,
    Number,
    /// 32 bits in Postgres.
    Small,
    Real,
    Bytes,
}

use Kind::{Bytes, Id, Number, Real, Small, Text};

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The first columns, so many of them, are its key. Rows are carried in its order, so that the last one that has
    /// arrived says how far it is.
    pub(crate) key: usize,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// Rows that one transaction carries.
    pub(crate) batch: i64,
}

impl Table {
    pub(crate) fn keys(&self) -> &'static [(&'static str, Kind)] {
        &self.columns[..self.key]
    }
}

const MANY: i64 = 1_000;
/// Of rows that may be large.
const FEW: i64 = 200;

/// All but [`LEADERSHIP`].
pub(crate) const TABLES: [Table; 11] = [
    Table {
        name: "jobs",
        key: 1,
        batch: FEW,
        columns: &[
            ("uid", Id),
            ("namespace", Text),
            ("job_id", Text),
            ("definition", Text),
            ("pause", Text),
            ("revision", Number),
            ("change_seq", Number),
            ("effective_from", Number),
            ("create_time", Number),
            ("update_time", Number),
            ("delete_time", Number),
            ("fires", Number),
            ("failures", Number),
        ],
    },
    Table {
        name: "job_revisions",
        key: 2,
        batch: FEW,
        columns: &[
            ("job_uid", Id),
            ("revision", Number),
            ("change", Text),
            ("author", Text),
            ("note", Text),
            ("definition", Text),
            ("pause", Text),
            ("change_seq", Number),
            ("effective_from", Number),
            ("time", Number),
        ],
    },
    Table {
        name: "calendars",
        key: 2,
        batch: FEW,
        columns: &[
            ("namespace", Text),
            ("calendar_id", Text),
            ("definition", Text),
            ("revision", Number),
            ("change_seq", Number),
            ("create_time", Number),
            ("update_time", Number),
        ],
    },
    Table {
        name: "backfills",
        key: 1,
        batch: FEW,
        columns: &[
            ("id", Id),
            ("job_uid", Id),
            ("namespace", Text),
            ("job_id", Text),
            ("job_revision", Number),
            ("author", Text),
            ("start_time", Number),
            ("end_time", Number),
            ("concurrency", Number),
            ("instants", Text),
            ("create_time", Number),
            ("position", Number),
            ("closed_time", Number),
            ("dropped", Text),
        ],
    },
    Table {
        name: "runs",
        key: 1,
        batch: MANY,
        columns: &[
            ("id", Id),
            ("job_uid", Id),
            ("namespace", Text),
            ("job_id", Text),
            ("job_revision", Number),
            ("trigger", Text),
            ("scheduled_time", Number),
            ("occurrence", Number),
            ("covers_from", Number),
            ("decided_at", Number),
            ("not_before", Number),
            ("state", Text),
            ("reason", Text),
            ("reason_message", Text),
            ("attempt", Number),
            ("uncounted_attempts", Number),
            ("next_attempt_time", Number),
            ("agent_id", Text),
            ("first_state", Text),
            ("first_agent_id", Text),
            ("first_agent_instance", Id),
            ("first_slot", Number),
            ("first_fencing_token", Number),
            ("first_assign_time", Number),
            ("first_start_time", Number),
            ("first_end_time", Number),
            ("first_reason", Text),
            ("first_error_code", Text),
            ("first_error_message", Text),
            ("first_exit_code", Small),
            ("first_late_outcome", Text),
            ("first_late_outcome_time", Number),
            ("coalesced_count", Number),
            ("first_scheduled_time", Number),
            ("retry_of", Id),
            ("backfill_id", Id),
            ("labels", Text),
            ("payload", Text),
            ("cancel_requested_time", Number),
            ("create_time", Number),
            ("start_time", Number),
            ("end_time", Number),
            ("progress_percent", Real),
            ("progress_message", Text),
            ("result", Text),
            ("error_code", Text),
            ("error_message", Text),
            ("exit_code", Small),
        ],
    },
    Table {
        name: "attempts",
        key: 2,
        batch: MANY,
        columns: &[
            ("run_id", Id),
            ("number", Number),
            ("state", Text),
            ("agent_id", Text),
            ("agent_instance", Id),
            ("slot", Number),
            ("fencing_token", Number),
            ("assign_time", Number),
            ("start_time", Number),
            ("end_time", Number),
            ("reason", Text),
            ("error_code", Text),
            ("error_message", Text),
            ("exit_code", Small),
            ("late_outcome", Text),
            ("late_outcome_time", Number),
        ],
    },
    Table {
        name: "run_logs",
        key: 3,
        batch: FEW,
        columns: &[
            ("run_id", Id),
            ("attempt", Number),
            ("sequence", Number),
            ("source", Text),
            ("time", Number),
            ("data", Bytes),
            ("cut_bytes", Number),
        ],
    },
    Table {
        name: "agents",
        key: 1,
        batch: FEW,
        columns: &[("agent_id", Text), ("cordon_note", Text), ("cordon_author", Text), ("cordon_time", Number)],
    },
    Table {
        name: "requests",
        key: 3,
        batch: MANY,
        columns: &[
            ("namespace", Text),
            ("method", Text),
            ("request_id", Text),
            ("digest", Text),
            ("resource", Text),
            ("time", Number),
        ],
    },
    Table {
        name: "api_tokens",
        key: 1,
        batch: FEW,
        columns: &[
            ("id", Id),
            ("hash", Bytes),
            ("display_name", Text),
            ("role", Text),
            ("namespaces", Text),
            ("agent_ids", Text),
            ("queues", Text),
            ("expire_time", Number),
            ("author", Text),
            ("create_time", Number),
            ("revoke_time", Number),
        ],
    },
    Table {
        name: "audit_events",
        key: 1,
        batch: FEW,
        columns: &[
            ("id", Id),
            ("time", Number),
            ("principal", Text),
            ("token_id", Id),
            ("address", Text),
            ("method", Text),
            ("namespace", Text),
            ("resource", Text),
            ("request_id", Text),
            ("refusal", Text),
            ("before", Text),
            ("after", Text),
        ],
    },
];

/// The last that is carried, with the word that all is there: the watermark, the epoch and the ceiling of tokens.
pub(crate) const LEADERSHIP: Table = Table {
    name: "leadership",
    key: 1,
    batch: 1,
    columns: &[
        ("id", Number),
        ("epoch", Number),
        ("node", Text),
        ("watermark", Number),
        ("token_ceiling", Number),
        ("longest_agent_ttl", Number),
        ("schedule_version", Text),
        ("coordinator", Text),
        ("election_revision", Number),
    ],
};
