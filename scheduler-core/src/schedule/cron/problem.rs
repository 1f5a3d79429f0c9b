//! What is wrong with an expression, and where.

use super::unit::Unit;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Problem {
    unit: Option<Unit>,
    /// Bytes from the expression's begin; none if the expression as a whole is meant.
    offset: Option<usize>,
    text: String,
}

impl Problem {
    pub(super) fn whole(text: impl Into<String>) -> Self {
        Self { unit: None, offset: None, text: text.into() }
    }

    pub(super) fn at(offset: usize, text: impl Into<String>) -> Self {
        Self { unit: None, offset: Some(offset), text: text.into() }
    }

    pub(super) fn in_field(unit: Unit, offset: usize, text: impl Into<String>) -> Self {
        Self { unit: Some(unit), offset: Some(offset), text: text.into() }
    }

    /// `minute, column 1: 61 is above 59, the last minute`; columns count characters, from 1.
    pub(in super::super) fn describe(&self, expression: &str) -> String {
        let column = self.offset.map(|offset| {
            let before = expression.char_indices().take_while(|&(at, _)| at < offset).count();
            format!("column {}", before + 1)
        });
        let place = match (self.unit, column) {
            (Some(unit), Some(column)) => format!("{}, {column}: ", unit.name()),
            (None, Some(column)) => format!("{column}: "),
            (_, None) => String::new(),
        };
        format!("{place}{}", self.text)
    }
}
