//! Columns that fit the terminal: long cells are cut, then the least important columns are left out.
//!
//! A table library would wrap or frame; here a row stays a line, for `grep` and `awk`.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::PLAIN;

const GAP: usize = 2;
const NARROWEST: usize = 8;
const CUT: &str = "...";

/// What may happen to a column when the terminal is narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It stays as it is: an id that people copy.
    Whole,
    /// Its cells may be cut.
    Cut,
    /// It may be left out; the lowest number goes first. Its cells may be cut before that.
    Drop(u8),
}

pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn rendered(&self) -> String {
        let style = self.style;
        format!("{style}{}{style:#}", self.text)
    }

    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: printable(&text.into()), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, PLAIN)
    }
}

pub(super) struct Table {
    columns: Vec<(&'static str, Fit)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(columns: Vec<(&'static str, Fit)>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    pub(super) fn render(&self, width: Option<usize>) -> String {
        let widths = self.fit(width);
        let titles = self.columns.iter().map(|(title, _)| Cell::from(*title)).collect();
        let mut text = String::new();
        for row in std::iter::once(&titles).chain(&self.rows) {
            line(&mut text, row, &widths);
        }
        text
    }

    /// The width of each column; none for those left out.
    fn fit(&self, available: Option<usize>) -> Vec<Option<usize>> {
        let mut widths: Vec<Option<usize>> =
            self.columns.iter().enumerate().map(|(at, _)| Some(self.natural(at))).collect();
        let Some(available) = available else { return widths };
        while total(&widths) > available {
            let excess = total(&widths) - available;
            if let Some(widest) = self.widest_to_cut(&widths) {
                widths[widest] = widths[widest].map(|width| width.saturating_sub(excess).max(NARROWEST));
            } else if let Some(least) = self.first_to_drop(&widths) {
                widths[least] = None;
                // What was cut for the sake of this column may have its room.
                for (at, width) in widths.iter_mut().enumerate() {
                    *width = width.map(|_| self.natural(at));
                }
            } else {
                break;
            }
        }
        widths
    }

    fn natural(&self, at: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[at].text.width());
        cells.max().unwrap_or(0).max(self.columns[at].0.width())
    }

    fn widest_to_cut(&self, widths: &[Option<usize>]) -> Option<usize> {
        let wide = widths.iter().enumerate().filter_map(|(at, width)| Some((width.as_ref()?, at)));
        wide.filter(|(width, at)| **width > NARROWEST && self.columns[*at].1 != Fit::Whole).max().map(|(_, at)| at)
    }

    fn first_to_drop(&self, widths: &[Option<usize>]) -> Option<usize> {
        let there = self.columns.iter().enumerate().filter(|(at, _)| widths[*at].is_some());
        there
            .filter_map(|(at, (_, fit))| match fit {
                Fit::Drop(order) => Some((order, at)),
                Fit::Whole | Fit::Cut => None,
            })
            .min()
            .map(|(_, at)| at)
    }
}

/// Names and values, a line each; empty values are left out.
pub(super) fn facts(facts: &[(&str, Cell)]) -> String {
    let there = || facts.iter().filter(|(_, cell)| !cell.text.is_empty() && cell.text != "-");
    let width = there().map(|(name, _)| name.width() + 1).max().unwrap_or(0);
    let mut text = String::new();
    for (name, cell) in there() {
        let name = format!("{name}:");
        let style = cell.style;
        text.push_str(&format!("{name:<width$}  {style}{}{style:#}\n", cell.text));
    }
    text
}

fn total(widths: &[Option<usize>]) -> usize {
    widths.iter().flatten().map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

fn line(text: &mut String, cells: &[Cell], widths: &[Option<usize>]) {
    let start = text.len();
    for (cell, width) in cells.iter().zip(widths).filter_map(|(cell, width)| Some((cell, (*width)?))) {
        let shown = cut(&cell.text, width);
        let style = cell.style;
        if text.len() > start {
            text.push_str("  ");
        }
        text.push_str(&format!("{style}{shown}{style:#}"));
        text.push_str(&" ".repeat(width - shown.width()));
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut room = width.saturating_sub(CUT.len());
    for letter in text.chars() {
        let wide = letter.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        shown.push(letter);
    }
    shown + CUT
}

/// What tasks and other users wrote must not move the cursor or break the line.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(vec![("ID", Fit::Whole), ("WHY", Fit::Cut), ("BY", Fit::Drop(1)), ("AT", Fit::Drop(0))]);
        table.row(vec!["0123456789".into(), "a reason of many words".into(), "somebody".into(), "some day".into()]);
        table
    }

    #[test]
    fn without_a_terminal_nothing_is_cut() {
        let text = table().render(None);
        assert_eq!(text.lines().next(), Some("ID          WHY                     BY        AT"));
        assert_eq!(text.lines().nth(1), Some("0123456789  a reason of many words  somebody  some day"));
    }

    #[test]
    fn cells_are_cut_before_columns_are_left_out() {
        assert_eq!(table().render(Some(44)).lines().nth(1), Some("0123456789  a reason ...  somebody  some day"));
        assert_eq!(table().render(Some(34)).lines().nth(1), Some("0123456789  a reason ...  somebody"));
        assert_eq!(table().render(Some(22)).lines().nth(1), Some("0123456789  a reaso..."));
    }

    #[test]
    fn an_id_is_never_cut() {
        for width in 0..60 {
            assert!(table().render(Some(width)).contains("0123456789"), "{width}");
        }
    }

    #[test]
    fn wide_letters_take_two_columns() {
        assert_eq!(cut("日本語日本語", 8), "日本...");
    }

    #[test]
    fn what_a_task_wrote_cannot_steer_the_terminal() {
        let mut table = Table::new(vec![("X", Fit::Cut)]);
        table.row(vec!["a\u{1b}[2Jb\nc".into()]);
        assert_eq!(table.render(None), "X\na [2Jb c\n");
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        assert_eq!(facts(&[("job", "a".into()), ("note", "".into()), ("next fire", "-".into())]), "job:  a\n");
    }
}
