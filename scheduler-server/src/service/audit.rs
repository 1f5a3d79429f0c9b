//! The audit as it is shown, and the events that come with no change of a row.

use std::cmp::Reverse;

use job_spec::time::proto_instant;
use ledger::{AuditFilter, Page};
use prost::Message as _;
use prost_types::Struct;
use prost_types::value::Kind;
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::audit::{Event, Image};
use scheduler_core::ids::AuditEventId;
use scheduler_core::time::Timestamp;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::scope::{Merged, Scope};
use super::token::{self, not_written};
use super::{Call, Error, Service, diff, lists, mask, page};

/// Bytes after which a page ends, however many events were asked for: each may have two images of a job in it.
const LARGEST: usize = 1 << 20;
/// Events that are read from the ledger at a time.
const AT_A_TIME: u32 = 50;

impl Service {
    pub async fn list_audit_events(
        &self,
        call: &Call,
        request: v1::ListAuditEventsRequest,
    ) -> Result<v1::ListAuditEventsResponse, Error> {
        let mut violations = Violations::default();
        let scope = Scope::read(call, &request.namespace, &mut violations);
        let filter = AuditFilter {
            namespace: None,
            principal: request.principal.clone(),
            query: request.query.clone(),
            after: lists::instant("after", request.after.as_ref(), &mut violations),
            before: lists::instant("before", request.before.as_ref(), &mut violations),
        };
        violations.or(()).map_err(Error::Invalid)?;
        let (size, mut after) = (page::size(&request)? as usize, page::after::<AuditEventId, _>(&request)?);
        let now = self.now();
        let (mut events, mut bytes, mut more) = (Vec::new(), 0, true);
        while more && events.len() < size && bytes < LARGEST {
            let left = u32::try_from(size - events.len()).unwrap_or(AT_A_TIME);
            let asked = Page { size: left.min(AT_A_TIME), after };
            let mut merged = Merged::default();
            for namespace in scope.each() {
                merged.add(self.access.audit.events(&AuditFilter { namespace, ..filter.clone() }, &asked).await?);
            }
            let found = merged.page(asked.size, |event| Reverse(event.id));
            more = found.more;
            let mut items = found.items.into_iter();
            for event in items.by_ref() {
                after = Some(event.id);
                let event = shown(event, now);
                bytes += event.encoded_len();
                events.push(event);
                if bytes >= LARGEST {
                    break;
                }
            }
            more |= items.len() > 0;
        }
        let next = after.filter(|_| more && !events.is_empty());
        Ok(v1::ListAuditEventsResponse {
            events,
            next_page_token: next.map(|last| page::token(&request, &last)).unwrap_or_default(),
        })
    }

    /// Writes what is about to be asked of the leader and changes no row that an event could go with. It comes first, so that
    /// nothing of it is done that the audit does not have.
    pub(super) async fn record(
        &self,
        call: &Call,
        namespace: &str,
        resource: String,
        after: Option<Image>,
    ) -> Result<(), Error> {
        let time = self.now();
        let event = Event {
            id: AuditEventId::at(time, Uuid::new_v4().as_u128()),
            time,
            origin: call.origin(),
            namespace: namespace.to_owned(),
            resource,
            request_id: String::new(),
            refusal: String::new(),
            before: None,
            after,
        };
        let recorded = self.access.audit.record(&[event]).await;
        recorded.map_err(|failure| not_written(failure, "an event of the audit", None))
    }
}

fn shown(event: Event, now: Timestamp) -> v1::AuditEvent {
    let image = |image: Option<Image>| image.map(|image| to_struct(fields(image, now)));
    v1::AuditEvent {
        event_id: event.id.to_string(),
        time: Some(proto_instant(event.time)),
        principal: event.origin.principal,
        address: event.origin.address,
        method: event.origin.method,
        namespace: event.namespace,
        resource: event.resource,
        request_id: event.request_id,
        before: image(event.before),
        after: image(event.after),
        refusal: event.refusal,
        token_id: event.origin.token.map(|token| token.to_string()).unwrap_or_default(),
    }
}

/// As the resource itself is shown.
fn fields(image: Image, now: Timestamp) -> Map<String, Json> {
    match image {
        Image::Job(job) => {
            let revision = job.revision;
            let mut fields = diff::fields(&job_spec::job(&job, None, now, &job_spec::any_calendar));
            fields.insert("uid".to_owned(), Json::from(job.uid.to_string()));
            fields.insert("revision".to_owned(), Json::from(revision));
            if let Some(time) = job.delete_time {
                fields.insert("deleteTime".to_owned(), Json::from(time.to_string()));
            }
            fields
        }
        Image::Calendar(calendar) => mask::json("punctual.v1.Calendar", &job_spec::calendar(&calendar)),
        Image::Cordon(cordon) => Map::from_iter([
            ("note".to_owned(), Json::from(cordon.note)),
            ("author".to_owned(), Json::from(cordon.author)),
            ("time".to_owned(), Json::from(cordon.time.to_string())),
        ]),
        Image::Token(token) => {
            let mut fields = mask::json("punctual.v1.Token", &token::shown(&token));
            fields.remove("secret");
            fields
        }
        Image::Fields(fields) => fields,
    }
}

fn to_struct(fields: Map<String, Json>) -> Struct {
    match job_spec::payload::proto_result(&Json::Object(fields).to_string()).kind {
        Some(Kind::StructValue(shown)) => shown,
        _ => Struct::default(),
    }
}
