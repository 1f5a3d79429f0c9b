//! Calendars: create, read, list, update, delete. What a change does to the jobs that name one is the engine's.

use ledger::Page;
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::engine::{Command, Refusal};

use super::error::in_calendar;
use super::mask::Mask;
use super::scope::{Merged, Scope};
use super::update::MOST_TRIES;
use super::write::Numbered;
use super::{Call, Error, Service, clean, page};

impl Service {
    pub async fn create_calendar(
        &self,
        call: &Call,
        request: v1::CreateCalendarRequest,
    ) -> Result<v1::Calendar, Error> {
        const METHOD: &str = "CreateCalendar";
        let calendar = request.calendar.as_ref().ok_or_else(|| Error::field("calendar", "is required"))?;
        let mut violations = Violations::default();
        let request_id = clean::request_id(&request.request_id, &mut violations);
        let read = job_spec::calendar_definition(calendar);
        let (key, definition) = match read {
            Ok(read) if violations.0.is_empty() => read,
            Ok(_) => return Err(Error::Invalid(violations)),
            Err(found) => {
                violations.0.extend(in_calendar(found).0);
                return Err(Error::Invalid(violations));
            }
        };
        let validate_only = request.validate_only;
        let numbered = (!validate_only).then(|| {
            let request = v1::CreateCalendarRequest { request_id: String::new(), ..request };
            Numbered::new(METHOD, &key.namespace, request_id, &request)
        });
        let command =
            Command::CreateCalendar { calendar: key.clone(), definition: Box::new(definition), validate_only };
        self.write_calendar(call, numbered, command, key, METHOD).await
    }

    pub async fn get_calendar(&self, request: v1::GetCalendarRequest) -> Result<v1::Calendar, Error> {
        let key = key(&request.namespace, &request.calendar_id)?;
        let stored = self.ledger.calendar(&key).await?.ok_or(Error::CalendarNotFound(key))?;
        Ok(job_spec::calendar(&stored))
    }

    pub async fn list_calendars(
        &self,
        call: &Call,
        request: v1::ListCalendarsRequest,
    ) -> Result<v1::ListCalendarsResponse, Error> {
        let mut violations = Violations::default();
        let scope = Scope::read(call, &request.namespace, &mut violations);
        violations.or(()).map_err(Error::Invalid)?;
        let asked = Page { size: page::size(&request)?, after: page::after::<CalendarKey, _>(&request)? };
        let mut merged = Merged::default();
        for namespace in scope.each() {
            merged.add(self.ledger.calendars(namespace.as_deref(), &request.query, &asked).await?);
        }
        let found = merged.page(asked.size, |calendar| calendar.key.clone());
        let next = found.items.last().filter(|_| found.more).map(|calendar| calendar.key.clone());
        Ok(v1::ListCalendarsResponse {
            calendars: found.items.iter().map(job_spec::calendar).collect(),
            next_page_token: next.map(|last| page::token(&request, &last)).unwrap_or_default(),
        })
    }

    /// As an update of a job: the whole definition goes to the leader, under the etag that was read.
    pub async fn update_calendar(
        &self,
        call: &Call,
        request: v1::UpdateCalendarRequest,
    ) -> Result<v1::Calendar, Error> {
        let given = request.calendar.as_ref().ok_or_else(|| Error::field("calendar", "is required"))?;
        let mut violations = Violations::default();
        let key = job_spec::calendar_key(&given.namespace, &given.calendar_id, "calendar.", &mut violations);
        let mask = Mask::read(request.update_mask.as_ref(), given, &mut violations);
        violations.or(()).map_err(Error::Invalid)?;

        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = match self.ledger.calendar(&key).await? {
                Some(stored) => self.update_stored_calendar(call, &stored, &mask, given, request.validate_only).await,
                None if request.allow_missing && given.etag.is_empty() => {
                    self.create_missing_calendar(call, given, request.validate_only).await
                }
                None => Err(Error::CalendarNotFound(key.clone())),
            };
            match outcome {
                // It was changed, created or deleted since it was read.
                Err(Error::Refused(
                    Refusal::StaleEtag { .. } | Refusal::CalendarExists(_) | Refusal::CalendarNotFound(_),
                )) if given.etag.is_empty() && tries < MOST_TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn update_stored_calendar(
        &self,
        call: &Call,
        stored: &Calendar,
        mask: &Mask,
        given: &v1::Calendar,
        validate_only: bool,
    ) -> Result<v1::Calendar, Error> {
        let key = stored.key.clone();
        if !given.etag.is_empty() && given.etag != stored.etag() {
            return Err(Error::Refused(Refusal::StaleEtag {
                resource: format!("calendar {key}"),
                etag: stored.etag(),
            }));
        }
        let shown = job_spec::calendar(stored);
        let (_, definition) = job_spec::calendar_definition(&mask.apply(&shown, given))
            .map_err(|violations| Error::Invalid(in_calendar(violations)))?;
        if stored.definition == definition {
            return Ok(shown);
        }
        let command = Command::UpdateCalendar {
            calendar: key.clone(),
            definition: Box::new(definition),
            etag: Some(stored.etag()),
            validate_only,
        };
        self.write_calendar(call, None, command, key, "UpdateCalendar").await
    }

    async fn create_missing_calendar(
        &self,
        call: &Call,
        given: &v1::Calendar,
        validate_only: bool,
    ) -> Result<v1::Calendar, Error> {
        let (key, definition) =
            job_spec::calendar_definition(given).map_err(|violations| Error::Invalid(in_calendar(violations)))?;
        let command =
            Command::CreateCalendar { calendar: key.clone(), definition: Box::new(definition), validate_only };
        self.write_calendar(call, None, command, key, "UpdateCalendar").await
    }

    pub async fn delete_calendar(
        &self,
        call: &Call,
        request: v1::DeleteCalendarRequest,
    ) -> Result<v1::Calendar, Error> {
        let key = key(&request.namespace, &request.calendar_id)?;
        let etag = Some(request.etag).filter(|etag| !etag.is_empty());
        let command = Command::DeleteCalendar { calendar: key.clone(), etag };
        self.write_calendar(call, None, command, key, "DeleteCalendar").await
    }
}

/// The name of a calendar in a request.
fn key(namespace: &str, calendar_id: &str) -> Result<CalendarKey, Error> {
    let mut violations = Violations::default();
    let key = job_spec::calendar_key(namespace, calendar_id, "", &mut violations);
    violations.or(key).map_err(Error::Invalid)
}
