//! The two ends of a move: one connection to a database, which no server uses meanwhile.

use async_trait::async_trait;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, query_scalar, query_with};

use super::batch::{Batch, Cells};
use super::mark::Mark;
use super::sql::{self, Dialect};
use super::tables::{Kind, Table};
use crate::rows::{Cell, Values};

#[async_trait]
pub(super) trait Side: Send {
    async fn mark(&mut self) -> sqlx::Result<Option<Mark>>;
    async fn set_mark(&mut self, mark: &Mark) -> sqlx::Result<()>;
    /// The rows after a key, or the first ones.
    async fn read(&mut self, table: &Table, after: Option<&Batch>) -> sqlx::Result<Batch>;
    async fn last_key(&mut self, table: &Table) -> sqlx::Result<Option<Batch>>;
    async fn count(&mut self, table: &Table) -> sqlx::Result<u64>;
    async fn clear(&mut self, table: &Table) -> sqlx::Result<()>;
    /// All of them, or none; together with a mark, if there is one.
    async fn write(&mut self, table: &Table, rows: &Batch, mark: Option<&Mark>) -> sqlx::Result<()>;
}

/// Arguments of a statement, in the order of its parameters.
#[derive(Default)]
struct Given<A> {
    arguments: A,
    failed: Option<BoxDynError>,
}

impl<A> Given<A> {
    fn whole(self) -> sqlx::Result<A> {
        self.failed.map_or(Ok(self.arguments), |error| Err(sqlx::Error::Encode(error)))
    }
}

macro_rules! side {
    ($side:ident, $connection:ty, $arguments:ty, $dialect:ident) => {
        pub(in crate::moving) struct $side(pub(in crate::moving) $connection);

        impl Values for Given<$arguments> {
            fn put<'v, T: Cell<'v>>(&mut self, value: T) -> &mut Self {
                if let Err(error) = self.arguments.add(value) {
                    self.failed.get_or_insert(error);
                }
                self
            }
        }

        #[async_trait]
        impl Side for $side {
            async fn mark(&mut self) -> sqlx::Result<Option<Mark>> {
                let row = sqlx::query(sql::MARK).fetch_optional(&mut self.0).await?;
                row.as_ref().map(Mark::read).transpose()
            }

            async fn set_mark(&mut self, mark: &Mark) -> sqlx::Result<()> {
                let mut given = Given::<$arguments>::default();
                mark.put(&mut given);
                let query = query_with(AssertSqlSafe($dialect.mark()), given.whole()?);
                query.execute(&mut self.0).await.map(drop)
            }

            async fn read(&mut self, table: &Table, after: Option<&Batch>) -> sqlx::Result<Batch> {
                let mut given = Given::<$arguments>::default();
                if let Some(key) = after {
                    key.put(0, &mut given);
                }
                given.put(table.batch);
                let text = AssertSqlSafe($dialect.read(table, after.is_some()));
                let rows = query_with(text, given.whole()?).fetch_all(&mut self.0).await?;
                Batch::read(table.columns, &rows)
            }

            async fn last_key(&mut self, table: &Table) -> sqlx::Result<Option<Batch>> {
                let text = AssertSqlSafe(Dialect::last_key(table));
                let row = sqlx::query(text).fetch_optional(&mut self.0).await?;
                row.map(|row| Batch::read(table.keys(), &[row])).transpose()
            }

            async fn count(&mut self, table: &Table) -> sqlx::Result<u64> {
                let count: i64 = query_scalar(AssertSqlSafe(Dialect::count(table))).fetch_one(&mut self.0).await?;
                Ok(count.unsigned_abs())
            }

            async fn clear(&mut self, table: &Table) -> sqlx::Result<()> {
                sqlx::query(AssertSqlSafe(Dialect::clear(table))).execute(&mut self.0).await.map(drop)
            }

            async fn write(&mut self, table: &Table, rows: &Batch, mark: Option<&Mark>) -> sqlx::Result<()> {
                let mut transaction = self.0.begin().await?;
                insert(&mut transaction, table, rows).await?;
                if let Some(mark) = mark {
                    let mut given = Given::<$arguments>::default();
                    mark.put(&mut given);
                    let query = query_with(AssertSqlSafe($dialect.mark()), given.whole()?);
                    query.execute(&mut *transaction).await?;
                }
                transaction.commit().await
            }
        }
    };
}

mod sqlite {
    use super::*;

    const DIALECT: Dialect = Dialect { parameter: '?' };

    side!(File, SqliteConnection, SqliteArguments, DIALECT);

    async fn insert(connection: &mut SqliteConnection, table: &Table, rows: &Batch) -> sqlx::Result<()> {
        let text = DIALECT.insert(table);
        for row in 0..rows.rows {
            let mut given = Given::<SqliteArguments>::default();
            rows.put(row, &mut given);
            query_with(AssertSqlSafe(text.clone()), given.whole()?).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

mod postgres {
    use super::*;

    const DIALECT: Dialect = Dialect { parameter: '$' };

    side!(Database, PgConnection, PgArguments, DIALECT);

    async fn insert(connection: &mut PgConnection, table: &Table, rows: &Batch) -> sqlx::Result<()> {
        let mut lists = PgArguments::default();
        for cells in &rows.columns {
            let added = match cells {
                Cells::Id(list) => lists.add(list),
                Cells::Text(list) => lists.add(list),
                Cells::Number(list) => lists.add(list),
                Cells::Small(list) => lists.add(list),
                Cells::Real(list) => lists.add(list),
                Cells::Bytes(list) => lists.add(list),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        let text = DIALECT.insert_lists(table, |kind| match kind {
            Kind::Id => "uuid",
            Kind::Text => "text",
            Kind::Number => "bigint",
            Kind::Small => "integer",
            Kind::Real => "double precision",
            Kind::Bytes => "bytea",
        });
        query_with(AssertSqlSafe(text), lists).execute(connection).await.map(drop)
    }
}

pub(in crate::moving) use postgres::Database;
pub(in crate::moving) use sqlite::File;
