//! Everything that a ledger holds, carried over to another one that is empty: definitions, revisions, history, tokens,
//! the audit, and the watermark, so that the next leader goes on there where the last one stopped.
//!
//! It can be killed at any time, and goes on where it was when it is asked for again: rows are carried in the order of
//! their keys, so that the last one that has arrived says how far it is. Until all has arrived nobody can use the new
//! ledger, and after that nobody can use the old one: two that go on from one watermark would fire everything twice.
//! That no server uses either meanwhile is the caller's to see to; if one used the source between two parts of a move,
//! its epoch tells, and the move begins anew.

mod batch;
mod mark;
mod side;
mod sql;
mod tables;

use std::path::Path;

use scheduler_core::time::Timestamp;

use crate::open::OpenError;
use crate::{postgres, sqlite};
pub(crate) use mark::Mark;
use side::{Database, File, Side};
pub(crate) use sql::MARK;
use tables::{LEADERSHIP, TABLES, Table};

/// A ledger.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    File(&'a Path),
    /// By its URL.
    Database(&'a str),
}

/// How far a move is with one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub table: &'static str,
    pub rows: u64,
    pub of: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Now {
        rows: u64,
    },
    /// All of it was there; only the old ledger may not have known.
    Before,
}

/// Why it is not done; asked for again, it goes on.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("{place}: {source}")]
    Open { place: &'static str, source: OpenError },
    #[error("the ledger to move to is not empty")]
    NotEmpty,
    #[error("table {table} has {from} rows, of which {to} have arrived: nothing was made of what has arrived")]
    Counts { table: &'static str, from: u64, to: u64 },
    #[error("a server has used the ledger while it was moved: stop it, and ask for the move again")]
    Used,
    #[error("{doing} {table}: {source}")]
    Sql { doing: &'static str, table: &'static str, source: sqlx::Error },
}

/// Carries all of a ledger; the names are what each end will say of the other one.
pub async fn carry(
    from: (Place<'_>, &str),
    to: (Place<'_>, &str),
    now: impl Fn() -> Timestamp + Send,
    mut told: impl FnMut(Progress) + Send,
) -> Result<Moved, MoveError> {
    let mut source = open(from.0, false).await.map_err(|source| MoveError::Open { place: "--from", source })?;
    let mut target = open(to.0, true).await.map_err(|source| MoveError::Open { place: "--to", source })?;
    let mut work = Work { source: &mut *source, target: &mut *target };
    let epoch = work.epoch().await?;
    let mark = work.target.mark().await.map_err(|error| failed("reading", "moves", error))?;
    let gone = Mark { came: false, other: to.1.to_owned(), epoch, began: now(), finished: None };
    let mut came = Mark { came: true, other: from.1.to_owned(), epoch, began: gone.began, finished: None };
    match mark {
        Some(Mark { came: true, finished: Some(_), epoch: same, other, .. }) if (same, &*other) == (epoch, from.1) => {
            work.leave(gone, now()).await?;
            return Ok(Moved::Before);
        }
        Some(Mark { came: true, finished: None, epoch: same, other, began }) if (same, &*other) == (epoch, from.1) => {
            came.began = began;
        }
        // Of another source, or of one that has been used since.
        Some(Mark { came: true, finished: None, .. }) => {
            work.clear().await?;
            work.begin(&came).await?;
        }
        _ => {
            if !work.is_empty().await? {
                return Err(MoveError::NotEmpty);
            }
            work.begin(&came).await?;
        }
    }
    let mut rows = 0;
    for table in &TABLES {
        rows += work.carry(table, &mut told).await?;
    }
    came.finished = Some(now());
    work.finish(&came).await?;
    work.leave(gone, now()).await?;
    Ok(Moved::Now { rows })
}

async fn open(place: Place<'_>, made: bool) -> Result<Box<dyn Side>, OpenError> {
    Ok(match place {
        Place::File(path) => Box::new(File(sqlite::alone(path, made).await?)),
        Place::Database(url) => Box::new(Database(postgres::alone(url).await?)),
    })
}

fn failed(doing: &'static str, table: &'static str, source: sqlx::Error) -> MoveError {
    MoveError::Sql { doing, table, source }
}

struct Work<'a> {
    source: &'a mut dyn Side,
    target: &'a mut dyn Side,
}

impl Work<'_> {
    /// Of the last leader; 0 where nobody has led.
    async fn epoch(&mut self) -> Result<i64, MoveError> {
        let row = self.source.read(&LEADERSHIP, None).await;
        let row = row.map_err(|error| failed("reading", LEADERSHIP.name, error))?;
        Ok(row.number(1).unwrap_or_default())
    }

    async fn is_empty(&mut self) -> Result<bool, MoveError> {
        for table in TABLES.iter().chain([&LEADERSHIP]) {
            let found = self.target.last_key(table).await.map_err(|error| failed("looking at", table.name, error))?;
            if found.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What refers to others goes first.
    async fn clear(&mut self) -> Result<(), MoveError> {
        for table in TABLES.iter().rev() {
            self.target.clear(table).await.map_err(|error| failed("clearing", table.name, error))?;
        }
        Ok(())
    }

    async fn begin(&mut self, came: &Mark) -> Result<(), MoveError> {
        self.target.set_mark(came).await.map_err(|error| failed("writing", "moves", error))
    }

    async fn carry(&mut self, table: &Table, told: &mut (impl FnMut(Progress) + Send)) -> Result<u64, MoveError> {
        let name = table.name;
        let of = self.source.count(table).await.map_err(|error| failed("counting", name, error))?;
        let mut after = self.target.last_key(table).await.map_err(|error| failed("looking at", name, error))?;
        let mut rows = self.target.count(table).await.map_err(|error| failed("counting", name, error))?;
        loop {
            told(Progress { table: name, rows, of });
            let batch = self.source.read(table, after.as_ref()).await;
            let batch = batch.map_err(|error| failed("reading", name, error))?;
            let Some(last) = batch.last_key(table.key) else { break };
            self.target.write(table, &batch, None).await.map_err(|error| failed("writing", name, error))?;
            rows += u64::try_from(batch.rows).unwrap_or_default();
            after = Some(last);
        }
        let arrived = self.target.count(table).await.map_err(|error| failed("counting", name, error))?;
        if arrived != of {
            return Err(MoveError::Counts { table: name, from: of, to: arrived });
        }
        Ok(arrived)
    }

    /// With the watermark the new ledger is whole.
    async fn finish(&mut self, came: &Mark) -> Result<(), MoveError> {
        let name = LEADERSHIP.name;
        let row = self.source.read(&LEADERSHIP, None).await.map_err(|error| failed("reading", name, error))?;
        if row.number(1).unwrap_or_default() != came.epoch {
            return Err(MoveError::Used);
        }
        self.target.write(&LEADERSHIP, &row, Some(came)).await.map_err(|error| failed("writing", name, error))
    }

    /// The old one is nobody's from now on.
    async fn leave(&mut self, gone: Mark, now: Timestamp) -> Result<(), MoveError> {
        let gone = Mark { finished: Some(now), ..gone };
        self.source.set_mark(&gone).await.map_err(|error| failed("writing", "moves", error))
    }
}
