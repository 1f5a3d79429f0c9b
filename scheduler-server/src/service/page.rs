//! Paging: sizes, and tokens that belong to one request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use punctual_proto::v1;
use scheduler_core::calendar::CalendarKey;
use scheduler_core::ids::{AuditEventId, JobUid, RunId, TokenId};
use scheduler_core::job::JobKey;
use scheduler_core::time::Timestamp;
use uuid::Uuid;

use super::{Error, digest};

const DEFAULT: u32 = 50;
const LARGEST: u32 = 1_000;
/// Raised when a token means something else than before.
const VERSION: u8 = 1;

/// A request for a page. The size may differ from page to page; everything else is bound to the token.
pub(super) trait Paged: Message + Clone {
    const METHOD: &'static str;

    fn size(&self) -> i32;
    fn token(&self) -> &str;
    /// The request without its size and token.
    fn arguments(&self) -> Self;
}

macro_rules! paged {
    ($($request:ident),+) => {
        $(impl Paged for v1::$request {
            const METHOD: &'static str = stringify!($request);

            fn size(&self) -> i32 {
                self.page_size
            }

            fn token(&self) -> &str {
                &self.page_token
            }

            fn arguments(&self) -> Self {
                let mut arguments = self.clone();
                arguments.page_size = 0;
                arguments.page_token.clear();
                arguments
            }
        })+
    };
}

paged!(
    ListJobsRequest,
    ListRunsRequest,
    GetRunLogsRequest,
    ListCalendarsRequest,
    ListJobRevisionsRequest,
    ListNamespacesRequest,
    ListUpcomingFiresRequest,
    ListAgentsRequest,
    ListTaskTypesRequest,
    ListLocksRequest,
    ListTokensRequest,
    ListAuditEventsRequest
);

/// Where a page ended, as bytes within a token.
pub(super) trait Position: Sized {
    fn write(&self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;
}

pub(super) fn size(request: &impl Paged) -> Result<u32, Error> {
    match u32::try_from(request.size()) {
        Ok(0) => Ok(DEFAULT),
        Ok(size) => Ok(size.min(LARGEST)),
        Err(_) => Err(Error::field("page_size", "must not be negative")),
    }
}

/// Where the page before ended; `None` for the first page.
pub(super) fn after<P: Position, R: Paged>(request: &R) -> Result<Option<P>, Error> {
    if request.token().is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(request.token()).map_err(|_| Error::PageToken)?;
    let (version, rest) = bytes.split_first().ok_or(Error::PageToken)?;
    let (bound, position) = rest.split_at_checked(8).ok_or(Error::PageToken)?;
    if *version != VERSION || bound != digest::short(R::METHOD, &request.arguments()) {
        return Err(Error::PageToken);
    }
    P::read(position).map(Some).ok_or(Error::PageToken)
}

/// The token of the page after `last`.
pub(super) fn token<R: Paged>(request: &R, last: &impl Position) -> String {
    let bound = digest::short(R::METHOD, &request.arguments());
    URL_SAFE_NO_PAD.encode([&[VERSION][..], &bound, &last.write()].concat())
}

impl Position for (JobKey, JobUid) {
    fn write(&self) -> Vec<u8> {
        let (key, uid) = self;
        [uid.0.as_bytes(), key.namespace.as_bytes(), &[0], key.job_id.as_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (uid, key) = bytes.split_at_checked(16)?;
        let (namespace, job_id) = str::from_utf8(key).ok()?.split_once('\0')?;
        let key = JobKey { namespace: namespace.to_owned(), job_id: job_id.to_owned() };
        Some((key, JobUid(Uuid::from_slice(uid).ok()?)))
    }
}

/// The time of a change or of a fire, and the job's uid.
impl Position for (Timestamp, JobUid) {
    fn write(&self) -> Vec<u8> {
        [&self.0.as_micros().to_be_bytes()[..], self.1.0.as_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (time, uid) = bytes.split_at_checked(8)?;
        let time = Timestamp::from_micros(i64::from_be_bytes(time.try_into().ok()?));
        Some((time, JobUid(Uuid::from_slice(uid).ok()?)))
    }
}

/// The number of a revision.
impl Position for i64 {
    fn write(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// The name of a namespace, the id of an agent or the name of a task type.
impl Position for String {
    fn write(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        str::from_utf8(bytes).ok().map(str::to_owned)
    }
}

impl Position for CalendarKey {
    fn write(&self) -> Vec<u8> {
        [self.namespace.as_bytes(), &[0], self.calendar_id.as_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (namespace, calendar_id) = str::from_utf8(bytes).ok()?.split_once('\0')?;
        Some(Self { namespace: namespace.to_owned(), calendar_id: calendar_id.to_owned() })
    }
}

macro_rules! id_positions {
    ($($id:ident),+) => {
        $(impl Position for $id {
            fn write(&self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        })+
    };
}

id_positions!(RunId, TokenId, AuditEventId);

/// An attempt's number and a chunk's sequence.
impl Position for (u32, u64) {
    fn write(&self) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], &self.1.to_be_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (attempt, sequence) = bytes.split_at_checked(4)?;
        Some((u32::from_be_bytes(attempt.try_into().ok()?), u64::from_be_bytes(sequence.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut v1::ListJobsRequest)) -> v1::ListJobsRequest {
        let mut request = v1::ListJobsRequest { query: "a".to_owned(), ..Default::default() };
        change(&mut request);
        request
    }

    fn position() -> (JobKey, JobUid) {
        (JobKey { namespace: "n".to_owned(), job_id: "a.b".to_owned() }, JobUid(Uuid::from_u128(7)))
    }

    #[test]
    fn a_token_names_its_place_whatever_the_size_of_the_next_page() {
        let token = token(&request(|request| request.page_size = 5), &position());
        let next = request(|request| {
            request.page_size = 9;
            request.page_token = token;
        });
        assert_eq!(after::<(JobKey, JobUid), _>(&next).unwrap(), Some(position()));
    }

    #[test]
    fn a_token_of_other_arguments_or_of_nobody_is_refused() {
        let token = token(&request(|_| ()), &position());
        for (query, token) in [("b", token.as_str()), ("a", "!"), ("a", "AAAA"), ("a", &token[..12]), ("a", "AQ")] {
            let next = request(|request| {
                request.query = query.to_owned();
                request.page_token = token.to_owned();
            });
            assert!(matches!(after::<(JobKey, JobUid), _>(&next), Err(Error::PageToken)), "{query} {token}");
        }
        let other = v1::ListRunsRequest { query: "a".to_owned(), page_token: token, ..Default::default() };
        assert!(matches!(after::<RunId, _>(&other), Err(Error::PageToken)));
    }

    #[test]
    fn sizes_have_a_default_a_bound_and_no_sign() {
        for (asked, given) in [(0, 50), (7, 7), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
            assert_eq!(size(&request(|request| request.page_size = asked)).unwrap(), given);
        }
        assert!(matches!(size(&request(|request| request.page_size = -1)), Err(Error::Invalid(_))));
    }

    #[test]
    fn every_position_comes_back() {
        assert_eq!(Position::read(&position().write()), Some(position()));
        assert_eq!(Position::read(&(3_u32, u64::MAX).write()), Some((3_u32, u64::MAX)));
        assert_eq!(Position::read(&RunId(Uuid::from_u128(9)).write()), Some(RunId(Uuid::from_u128(9))));
        assert_eq!(<(u32, u64)>::read(&[1, 2]), None);
        let change = (Timestamp::from_micros(-5), JobUid(Uuid::from_u128(7)));
        assert_eq!(Position::read(&change.write()), Some(change));
        assert_eq!(<(Timestamp, JobUid)>::read(&[0; 9]), None);
        assert_eq!(Position::read(&3_i64.write()), Some(3_i64));
        assert_eq!(Position::read(&"team-a".to_owned().write()), Some("team-a".to_owned()));
        let calendar = CalendarKey { namespace: "n".to_owned(), calendar_id: "a.b".to_owned() };
        assert_eq!(Position::read(&calendar.write()), Some(calendar));
        let slot = (position().0, 7_u32);
        assert_eq!(Position::read(&slot.write()), Some(slot));
    }
}
