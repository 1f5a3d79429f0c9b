//! Rows on their way to the functions of `migrations/postgres`: arrays of composite types, in Postgres's binary form.

use std::marker::PhantomData;

use scheduler_core::agent::{Cordon, LogChunk};
use scheduler_core::audit::Event;
use scheduler_core::backfill::{Backfill, Progress};
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::{AgentId, BackfillId, JobUid, RunId};
use scheduler_core::job::Counts;
use scheduler_core::run::{Attempt, Run};
use scheduler_core::txn::{JobWrite, LateOutcome, RequestRow};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

use crate::rows::{self, Cell, Values};
use crate::tokens::NewToken;

/// A composite type, and what its values are made from.
pub(super) trait Kind {
    const TYPE: &'static str;
    type Row<'r>;

    /// All fields, in the order of the type.
    fn put(fields: &mut Fields<'_>, row: &Self::Row<'_>);
}

macro_rules! kinds {
    ($($name:ident = $sql:literal, <$r:lifetime> $row:ty: |$fields:ident, $value:ident| $put:expr;)*) => { $(
        pub(super) struct $name;

        impl Kind for $name {
            const TYPE: &'static str = $sql;
            type Row<$r> = $row;

            fn put($fields: &mut Fields<'_>, $value: &Self::Row<'_>) {
                $put;
            }
        }
    )* };
}

kinds! {
    RememberedRequest = "remembered_request", <'r> &'r RequestRow: |fields, request| rows::put_request(fields, request);
    WrittenAuditEvent = "written_audit_event", <'r> &'r Event: |fields, event| rows::put_audit_event(fields, event);
    WrittenToken = "written_token", <'r> &'r NewToken: |fields, new| rows::put_token(fields, &new.token, &new.hash);
    WrittenJob = "written_job", <'r> &'r JobWrite: |fields, write| rows::put_job(fields, write);
    WrittenJobRevision = "written_job_revision", <'r> &'r JobWrite: |fields, write| rows::put_job_revision(fields, write);
    CountedJob = "counted_job", <'r> &'r (JobUid, Counts): |fields, counted| rows::put_counts(fields, counted);
    WrittenCalendar = "written_calendar", <'r> &'r Calendar: |fields, calendar| rows::put_calendar(fields, calendar);
    DeletedCalendar = "deleted_calendar", <'r> &'r CalendarKey: |fields, key| rows::put_calendar_key(fields, key);
    WrittenCordon = "written_cordon", <'r> (&'r AgentId, &'r Cordon): |fields, cordon| rows::put_cordon(fields, *cordon);
    BegunBackfill = "begun_backfill", <'r> &'r Backfill: |fields, backfill| rows::put_backfill(fields, backfill);
    MovedBackfill = "moved_backfill", <'r> &'r (BackfillId, Progress): |fields, moved| rows::put_backfill_progress(fields, moved);
    EnteredRun = "entered_run", <'r> &'r Run: |fields, run| rows::put_entered_run(fields, run);
    UpdatedRun = "updated_run", <'r> &'r Run: |fields, run| rows::put_updated_run(fields, run);
    WrittenAttempt = "written_attempt", <'r> &'r (RunId, Attempt): |fields, written| rows::put_attempt(fields, written.0, &written.1);
    LateWord = "late_word", <'r> &'r LateOutcome: |fields, late| rows::put_late_outcome(fields, late);
    WrittenLog = "written_log", <'r> &'r LogChunk: |fields, chunk| rows::put_log(fields, chunk);
}

/// The rows as an argument.
pub(super) fn records<'r, K: Kind>(rows: impl IntoIterator<Item = K::Row<'r>>) -> Vec<Record<'r, K>> {
    rows.into_iter().map(|row| Record { row, kind: PhantomData }).collect()
}

pub(super) struct Record<'r, K: Kind> {
    row: K::Row<'r>,
    kind: PhantomData<K>,
}

impl<K: Kind> Type<Postgres> for Record<'_, K> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name(K::TYPE)
    }
}

impl<K: Kind> PgHasArrayType for Record<'_, K> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of(K::TYPE)
    }
}

impl<K: Kind> Encode<'_, Postgres> for Record<'_, K> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let mut fields = Fields::begin(buffer);
        K::put(&mut fields, &self.row);
        fields.end()
    }
}

/// The fields of one value: their number, then of each its type, its length (-1: NULL) and its bytes.
pub(super) struct Fields<'b> {
    buffer: &'b mut PgArgumentBuffer,
    /// Where their number is.
    start: usize,
    number: i32,
    failed: Option<BoxDynError>,
}

impl<'b> Fields<'b> {
    fn begin(buffer: &'b mut PgArgumentBuffer) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&0_i32.to_be_bytes());
        Self { buffer, start, number: 0, failed: None }
    }

    fn add<'v, T: Cell<'v>>(&mut self, value: &T) -> Result<(), BoxDynError> {
        let oid = <T as Type<Postgres>>::type_info().oid().ok_or("a field has a built-in type")?;
        self.buffer.extend_from_slice(&oid.0.to_be_bytes());
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&0_i32.to_be_bytes());
        let length = match <T as Encode<'v, Postgres>>::encode_by_ref(value, self.buffer)? {
            IsNull::Yes => -1,
            IsNull::No => i32::try_from(self.buffer.len() - start - 4)?,
        };
        self.buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self.number += 1;
        Ok(())
    }

    fn end(self) -> Result<IsNull, BoxDynError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.buffer[self.start..self.start + 4].copy_from_slice(&self.number.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Values for Fields<'_> {
    fn put<'v, T: Cell<'v>>(&mut self, value: T) -> &mut Self {
        if self.failed.is_none() {
            self.failed = self.add(&value).err();
        }
        self
    }
}
