//! Rows on their way, column by column: as Postgres takes them, and SQLite can.

use uuid::Uuid;

use super::tables::Kind;
use crate::rows::{Columns, Values};

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    Id(Vec<Option<Uuid>>),
    Text(Vec<Option<String>>),
    Number(Vec<Option<i64>>),
    Small(Vec<Option<i32>>),
    Real(Vec<Option<f64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Cells {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Id => Self::Id(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
            Kind::Number => Self::Number(Vec::new()),
            Kind::Small => Self::Small(Vec::new()),
            Kind::Real => Self::Real(Vec::new()),
            Kind::Bytes => Self::Bytes(Vec::new()),
        }
    }

    fn read(&mut self, row: &impl Columns, column: &str) -> sqlx::Result<()> {
        match self {
            Self::Id(cells) => cells.push(row.get(column)?),
            Self::Text(cells) => cells.push(row.get(column)?),
            Self::Number(cells) => cells.push(row.get(column)?),
            Self::Small(cells) => cells.push(row.get(column)?),
            Self::Real(cells) => cells.push(row.get(column)?),
            Self::Bytes(cells) => cells.push(row.get(column)?),
        }
        Ok(())
    }

    fn put(&self, row: usize, values: &mut impl Values) {
        match self {
            Self::Id(cells) => values.put(cells[row]),
            Self::Text(cells) => values.put(cells[row].as_deref()),
            Self::Number(cells) => values.put(cells[row]),
            Self::Small(cells) => values.put(cells[row]),
            Self::Real(cells) => values.put(cells[row]),
            Self::Bytes(cells) => values.put(cells[row].as_deref()),
        };
    }

    fn last(&self) -> Self {
        fn last<T: Clone>(cells: &[T]) -> Vec<T> {
            cells.last().cloned().into_iter().collect()
        }
        match self {
            Self::Id(cells) => Self::Id(last(cells)),
            Self::Text(cells) => Self::Text(last(cells)),
            Self::Number(cells) => Self::Number(last(cells)),
            Self::Small(cells) => Self::Small(last(cells)),
            Self::Real(cells) => Self::Real(last(cells)),
            Self::Bytes(cells) => Self::Bytes(last(cells)),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) columns: Vec<Cells>,
    pub(crate) rows: usize,
}

impl Batch {
    pub(crate) fn read<R: Columns>(columns: &[(&str, Kind)], rows: &[R]) -> sqlx::Result<Self> {
        let read = |(name, kind): &(&str, Kind)| {
            let mut cells = Cells::of(*kind);
            rows.iter().try_for_each(|row| cells.read(row, name)).map(|()| cells)
        };
        Ok(Self { columns: columns.iter().map(read).collect::<sqlx::Result<_>>()?, rows: rows.len() })
    }

    pub(crate) fn put(&self, row: usize, values: &mut impl Values) {
        self.columns.iter().for_each(|cells| cells.put(row, values));
    }

    /// The first columns of the last row; `None`: there is no row.
    pub(crate) fn last_key(&self, columns: usize) -> Option<Self> {
        (self.rows > 0).then(|| Self { columns: self.columns[..columns].iter().map(Cells::last).collect(), rows: 1 })
    }

    /// A number of the only row.
    pub(crate) fn number(&self, column: usize) -> Option<i64> {
        match self.columns.get(column) {
            Some(Cells::Number(cells)) => cells.first().copied().flatten(),
            _ => None,
        }
    }
}
