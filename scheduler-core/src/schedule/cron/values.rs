//! A set of a field's values as bits, counted from the field's first value.

use super::unit::Unit;

const WORDS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(in super::super) struct Values {
    bits: [u64; WORDS],
}

impl Values {
    pub(super) fn insert(&mut self, index: u32) {
        self.bits[(index / 64) as usize] |= 1 << (index % 64);
    }

    #[cfg(test)]
    pub(super) fn contains(&self, index: u32) -> bool {
        self.bits.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// The bits of a field that has no more than 64 values, shifted so that a value is its own bit.
    pub(super) fn word(&self, unit: Unit) -> u64 {
        self.bits[0] << unit.first()
    }

    /// The first index in the set that is not below `from`.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        let mut word = (from / 64) as usize;
        let mut bits = self.bits.get(word)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *self.bits.get(word)?;
        }
        Some(word as u32 * 64 + bits.trailing_zeros())
    }

    /// The last index in the set that is not above `from`.
    pub(super) fn prev(&self, from: u32) -> Option<u32> {
        let mut word = ((from / 64) as usize).min(WORDS - 1);
        let top = if (from / 64) as usize >= WORDS { 63 } else { from % 64 };
        let mut bits = self.bits[word] & (u64::MAX >> (63 - top));
        while bits == 0 {
            word = word.checked_sub(1)?;
            bits = self.bits[word];
        }
        Some(word as u32 * 64 + 63 - bits.leading_zeros())
    }

    pub(in super::super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.next(0), |&index| self.next(index + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_found_across_words() {
        let mut values = Values::default();
        for index in [0, 63, 64, 229] {
            values.insert(index);
        }
        assert_eq!(values.iter().collect::<Vec<_>>(), [0, 63, 64, 229]);
        assert_eq!(values.next(65), Some(229));
        assert_eq!(values.next(230), None);
        assert_eq!(values.next(10_000), None);
        assert_eq!(values.prev(228), Some(64));
        assert_eq!(values.prev(63), Some(63));
        assert_eq!(values.prev(62), Some(0));
        assert_eq!(values.prev(10_000), Some(229));
        assert!(values.contains(64) && !values.contains(65));
    }
}
