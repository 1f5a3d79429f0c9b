//! Strings from outside.

use std::borrow::Cow;

/// `text` as the ledger can store it: NUL becomes U+FFFD (PROTOCOL.md, rule 9).
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_does_not_reach_the_ledger() {
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        assert_eq!(clean("ab"), "ab");
    }
}
