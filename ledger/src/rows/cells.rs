//! What both databases can hold in a column, so that one description of a row serves both.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Encode, Postgres, Row, Sqlite, Type};

/// A value that goes into a column.
pub(crate) trait Cell<'v>: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres> {}

impl<'v, T> Cell<'v> for T where T: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres> {}

/// A row on its way into a statement, column by column.
pub(crate) trait Values {
    fn put<'v, T: Cell<'v>>(&mut self, value: T) -> &mut Self;
}

/// A value that comes out of a column.
pub(crate) trait Read<'r>: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> {}

impl<'r, T> Read<'r> for T where T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> {}

/// A row that a statement has found.
pub(crate) trait Columns {
    fn get<'r, T: Read<'r>>(&'r self, column: &str) -> sqlx::Result<T>;
}

impl Columns for SqliteRow {
    fn get<'r, T: Read<'r>>(&'r self, column: &str) -> sqlx::Result<T> {
        self.try_get(column)
    }
}

impl Columns for PgRow {
    fn get<'r, T: Read<'r>>(&'r self, column: &str) -> sqlx::Result<T> {
        self.try_get(column)
    }
}
