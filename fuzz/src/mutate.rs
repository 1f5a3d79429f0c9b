//! Bytes that are almost right: real messages, changed here and there. Random bytes alone hardly ever pass a decoder.

use proptest::prelude::*;

/// One change of a list of bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    /// A piece from one place again at another.
    Repeat(prop::sample::Index, prop::sample::Index, usize),
}

/// Bytes with a meaning of their own: ends of numbers of all widths, NUL, lengths.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff, 0xc0]), any::<u8>()]
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (at(), prop::collection::vec(byte(), 1..10)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (at(), 1..16usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (at(), at(), 1..64usize).prop_map(|(from, to, length)| Change::Repeat(from, to, length)),
    ]
}

/// One of `seeds` after a few changes.
pub(crate) fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(seeds), prop::collection::vec(change(), 0..8)).prop_map(|(mut bytes, changes)| {
        for change in changes {
            apply(&mut bytes, change);
        }
        bytes
    })
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    let length = bytes.len();
    match change {
        Change::Set(at, byte) if length > 0 => bytes[at.index(length)] = byte,
        Change::Insert(at, more) => {
            let at = at.index(length + 1);
            bytes.splice(at..at, more);
        }
        Change::Remove(at, many) if length > 0 => {
            let at = at.index(length);
            bytes.drain(at..length.min(at + many));
        }
        Change::Repeat(from, to, many) if length > 0 => {
            let from = from.index(length);
            let piece = bytes[from..length.min(from + many)].to_vec();
            let to = to.index(length + 1);
            bytes.splice(to..to, piece);
        }
        Change::Set(..) | Change::Remove(..) | Change::Repeat(..) => {}
    }
}
