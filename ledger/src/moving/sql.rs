//! Statements that are made from the description of a table. Both databases understand them; they differ in how a
//! parameter is written, and in how rows are given.

use super::tables::Table;

/// How a database writes its parameters.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    pub(super) parameter: char,
}

fn names(columns: &[(&str, super::tables::Kind)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl Dialect {
    fn parameters(self, numbers: impl Iterator<Item = usize>) -> String {
        numbers.map(|number| format!("{}{number}", self.parameter)).collect::<Vec<_>>().join(", ")
    }

    /// The next rows by key, the key's values before their number.
    pub(super) fn read(self, table: &Table, after: bool) -> String {
        let (columns, keys) = (names(table.columns), names(table.keys()));
        let from =
            if after { format!(" WHERE ({keys}) > ({})", self.parameters(1..=table.key)) } else { String::new() };
        let limit = if after { table.key + 1 } else { 1 };
        format!("SELECT {columns} FROM {}{from} ORDER BY {keys} LIMIT {}{limit}", table.name, self.parameter)
    }

    pub(super) fn last_key(table: &Table) -> String {
        let keys: Vec<&str> = table.keys().iter().map(|(name, _)| *name).collect();
        format!("SELECT {} FROM {} ORDER BY {} DESC LIMIT 1", keys.join(", "), table.name, keys.join(" DESC, "))
    }

    pub(super) fn count(table: &Table) -> String {
        format!("SELECT count(*) FROM {}", table.name)
    }

    pub(super) fn clear(table: &Table) -> String {
        format!("DELETE FROM {}", table.name)
    }

    /// One row.
    pub(super) fn insert(self, table: &Table) -> String {
        let values = self.parameters(1..=table.columns.len());
        format!("INSERT INTO {} ({}) VALUES ({values})", table.name, names(table.columns))
    }

    /// A list for each column.
    pub(super) fn insert_lists(self, table: &Table, types: impl Fn(super::tables::Kind) -> &'static str) -> String {
        let lists = table.columns.iter().enumerate();
        let lists = lists.map(|(at, (_, kind))| format!("{}{}::{}[]", self.parameter, at + 1, types(*kind)));
        let lists = lists.collect::<Vec<_>>().join(", ");
        format!("INSERT INTO {} ({}) SELECT * FROM unnest({lists})", table.name, names(table.columns))
    }

    /// What `moves` says, in the order of its columns.
    pub(super) fn mark(self) -> String {
        let values = self.parameters(1..=5);
        format!(
            "INSERT INTO moves (id, direction, other, epoch, begin_time, finish_time) VALUES (1, {values}) \
             ON CONFLICT (id) DO UPDATE SET direction = excluded.direction, other = excluded.other, \
             epoch = excluded.epoch, begin_time = excluded.begin_time, finish_time = excluded.finish_time"
        )
    }
}

pub(crate) const MARK: &str = "SELECT direction, other, epoch, begin_time, finish_time FROM moves WHERE id = 1";
