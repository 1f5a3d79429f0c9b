//! One statement for many rows. A list of rows is cut into pieces of a power of two, so that a handful of
//! texts, prepared once each, serve every length. (VALUES lists: measured here, three times the speed of
//! `json_each`, which parses and searches every row's JSON once for each column.)

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};

use crate::rows::{Cell, Values};

/// Rows of the longest piece: 64 rows of the widest statement stay below half of SQLite's 32,766 parameters.
const LONGEST: usize = 64;
const LENGTHS: usize = LONGEST.ilog2() as usize + 1;

/// Where the rows go in a statement's text.
const ROWS: &str = ":rows";

/// A statement whose `VALUES :rows` takes any number of rows.
pub(super) struct Batch {
    /// By the logarithm of their number of rows.
    texts: [String; LENGTHS],
    columns: usize,
}

impl Batch {
    pub(super) fn new(statement: &'static str, columns: usize) -> Self {
        assert_eq!(statement.matches(ROWS).count(), 1, "because a batch has one place for its rows");
        let row = format!("({})", vec!["?"; columns].join(","));
        Self {
            texts: std::array::from_fn(|log| statement.replace(ROWS, &vec![row.as_str(); 1 << log].join(","))),
            columns,
        }
    }

    /// Runs the statement over all `rows`, and tells how many rows of the table it wrote.
    pub(super) async fn run<T>(
        &'static self,
        connection: &mut SqliteConnection,
        mut rows: &[T],
        encode: impl Fn(&mut Parameters, &T),
    ) -> Result<u64, sqlx::Error> {
        let mut written = 0;
        while !rows.is_empty() {
            let log = rows.len().min(LONGEST).ilog2();
            let (piece, rest) = rows.split_at(1 << log);
            rows = rest;
            let mut values = Parameters::with_capacity(piece.len() * self.columns);
            for row in piece {
                encode(&mut values, row);
            }
            let arguments = values.arguments()?;
            debug_assert_eq!(arguments.len(), piece.len() * self.columns);
            let text: &'static str = &self.texts[log as usize];
            written += sqlx::query_with(text, arguments).execute(&mut *connection).await?.rows_affected();
        }
        Ok(written)
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// What is bound to a statement, in the order of its parameters.
pub(super) struct Parameters {
    arguments: SqliteArguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Parameters {
    pub(super) fn with_capacity(values: usize) -> Self {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(values, 0);
        Self { arguments, failed: None }
    }

    fn arguments(self) -> Result<SqliteArguments, sqlx::Error> {
        match self.failed {
            None => Ok(self.arguments),
            Some(error) => Err(sqlx::Error::Encode(error)),
        }
    }
}

impl Values for Parameters {
    fn put<'v, T: Cell<'v>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
        self
    }
}
