//! Parts of lists.

use crate::reader::PageOf;

/// One item past the page tells whether there is more.
pub(crate) fn one_more(size: u32) -> i64 {
    i64::from(size) + 1
}

pub(crate) fn page_of<T>(mut items: Vec<T>, size: u32) -> PageOf<T> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = items.len() > size;
    items.truncate(size);
    PageOf { items, more }
}

/// Above every text that begins with `prefix` and holds no character of the last plane's end.
pub(crate) fn past_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}
