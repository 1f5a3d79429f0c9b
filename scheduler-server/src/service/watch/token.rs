//! Where a watch goes on from, as its clients keep it: bound to the other arguments, like the tokens of pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use punctual_proto::v1;
use scheduler_core::ids::{Epoch, RunId};
use scheduler_core::time::Timestamp;
use uuid::Uuid;

use crate::feed::{Mark, Place};
use crate::service::{Error, digest};

/// Raised when a token means something else than before.
const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) mark: Mark,
    bound: [u8; 8],
    /// The runs not ended at the mark have not all been told: the feed is not enough to go on.
    begins: bool,
}

pub(super) fn bound(request: &v1::WatchRunsRequest) -> [u8; 8] {
    let arguments = v1::WatchRunsRequest { resume_token: String::new(), ..request.clone() };
    digest::short("WatchRuns", &arguments)
}

impl Token {
    pub(super) fn anew(mark: Mark, bound: [u8; 8]) -> Self {
        Self { mark, bound, begins: true }
    }

    pub(super) fn live(mark: Mark, bound: [u8; 8]) -> Self {
        Self { mark, bound, begins: false }
    }

    /// Whether the feed may have all that is missing.
    pub(super) fn is_live(&self) -> bool {
        !self.begins
    }

    pub(super) fn write(&self) -> String {
        let Mark { place: Place { epoch, n }, floor, time } = self.mark;
        let numbers = [epoch.0.to_be_bytes(), n.to_be_bytes(), time.as_micros().to_be_bytes()].concat();
        let parts = [&[VERSION, u8::from(self.begins)][..], &self.bound, &numbers, floor.0.as_bytes()];
        URL_SAFE_NO_PAD.encode(parts.concat())
    }

    /// `None`: there is none.
    pub(super) fn read(text: &str, bound: [u8; 8]) -> Result<Option<Self>, Error> {
        if text.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token = bytes.and_then(|bytes| parse(&bytes)).filter(|token| token.bound == bound);
        token.map(Some).ok_or_else(|| {
            Error::field("resume_token", "is not one that a message of this watch had, or belongs to other arguments")
        })
    }
}

fn parse(bytes: &[u8]) -> Option<Token> {
    let (&[version, begins], rest) = bytes.split_first_chunk()?;
    let (bound, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (n, rest) = rest.split_first_chunk()?;
    let (time, floor) = rest.split_first_chunk()?;
    let place = Place { epoch: Epoch(i64::from_be_bytes(*epoch)), n: u64::from_be_bytes(*n) };
    let time = Timestamp::from_micros(i64::from_be_bytes(*time));
    let mark = Mark { place, floor: RunId(Uuid::from_slice(floor).ok()?), time };
    (version == VERSION && begins <= 1).then_some(Token { mark, bound: *bound, begins: begins == 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        let place = Place { epoch: Epoch(7), n: 8 };
        Mark { place, floor: RunId(Uuid::from_u128(9)), time: Timestamp::from_micros(-10) }
    }

    #[test]
    fn a_token_comes_back() {
        for token in [Token::anew(mark(), [1; 8]), Token::live(mark(), [1; 8])] {
            assert_eq!(Token::read(&token.write(), [1; 8]).unwrap(), Some(token));
        }
        assert_eq!(Token::read("", [1; 8]).unwrap(), None);
    }

    #[test]
    fn what_is_no_token_of_the_watch_is_refused() {
        let good = Token::live(mark(), [1; 8]).write();
        for (text, bound) in [(good.as_str(), [2; 8]), (&good[4..], [1; 8]), ("7", [1; 8]), ("a b", [1; 8])] {
            assert!(matches!(Token::read(text, bound), Err(Error::Invalid(_))), "{text}");
        }
    }
}
