//! CalendarService: shapes, errors, masks, paging.

use v1::calendar_service_client::CalendarServiceClient;

use super::*;

fn calendar(calendar_id: &str) -> v1::Calendar {
    let dates = vec!["2023-11-14".to_owned()];
    v1::Calendar { calendar_id: calendar_id.to_owned(), dates, ..Default::default() }
}

fn excluding(job_id: &str, calendar_id: &str) -> v1::Job {
    let mut job = job(job_id);
    job.schedule.as_mut().unwrap().exclude_calendars = vec![calendar_id.to_owned()];
    job
}

struct Calendars(Server, CalendarServiceClient<Channel>);

impl Calendars {
    async fn start() -> Self {
        let server = Server::start().await;
        let client = CalendarServiceClient::new(server.channel.clone());
        Self(server, client)
    }

    async fn create(&mut self, calendar: v1::Calendar, request_id: &str) -> Result<v1::Calendar, Status> {
        let request_id = request_id.to_owned();
        let request = v1::CreateCalendarRequest { calendar: Some(calendar), request_id, validate_only: false };
        self.1.create_calendar(request).await.map(tonic::Response::into_inner)
    }

    async fn update(&mut self, calendar: v1::Calendar, mask: &[&str]) -> Result<v1::Calendar, Status> {
        let update_mask = FieldMask { paths: mask.iter().map(|path| (*path).to_owned()).collect() };
        let update_mask = Some(update_mask);
        let request = v1::UpdateCalendarRequest { calendar: Some(calendar), update_mask, ..Default::default() };
        self.1.update_calendar(request).await.map(tonic::Response::into_inner)
    }

    async fn get(&mut self, calendar_id: &str) -> Result<v1::Calendar, Status> {
        let request = v1::GetCalendarRequest { calendar_id: calendar_id.to_owned(), ..Default::default() };
        self.1.get_calendar(request).await.map(tonic::Response::into_inner)
    }

    async fn delete(&mut self, calendar_id: &str, etag: &str) -> Result<v1::Calendar, Status> {
        let (calendar_id, etag) = (calendar_id.to_owned(), etag.to_owned());
        let request = v1::DeleteCalendarRequest { calendar_id, etag, ..Default::default() };
        self.1.delete_calendar(request).await.map(tonic::Response::into_inner)
    }
}

#[tokio::test]
async fn wrong_fields_of_a_calendar_are_named_by_their_path_in_the_request() {
    let mut calendars = Calendars::start().await;
    let range = v1::calendar::DateRange { start_date: "x".to_owned(), end_date: "2026-01-01".to_owned() };
    let wrong = v1::Calendar { ranges: vec![range], time_zone: Some("Nowhere".to_owned()), ..calendar("A") };
    let status = calendars.create(wrong.clone(), "é").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    let mut found = fields(&status);
    found.sort();
    let expected = ["calendar.calendar_id", "calendar.ranges[0].start_date", "calendar.time_zone", "request_id"];
    assert_eq!(found, expected);

    calendars.create(calendar("a"), "").await.unwrap();
    let status = calendars.update(v1::Calendar { calendar_id: "a".to_owned(), ..wrong }, &["ranges"]).await;
    assert_eq!(fields(&status.unwrap_err()), ["calendar.ranges[0].start_date"]);
    let status = calendars.update(calendar("a"), &["dates.x"]).await.unwrap_err();
    assert_eq!(fields(&status), ["update_mask"]);
}

#[tokio::test]
async fn each_refusal_about_a_calendar_has_its_code_and_reason() {
    let mut calendars = Calendars::start().await;
    let created = calendars.create(calendar("a"), "r1").await.unwrap();
    assert_eq!(calendars.create(calendar("a"), "r1").await.unwrap(), created);
    let expect = |status: Status, code: Code, text: &str| {
        assert_eq!((status.code(), reason(&status).as_str()), (code, text));
    };
    expect(calendars.create(calendar("a"), "").await.unwrap_err(), Code::AlreadyExists, "CALENDAR_ALREADY_EXISTS");
    expect(calendars.create(calendar("b"), "r1").await.unwrap_err(), Code::InvalidArgument, "REQUEST_ID_REUSED");
    expect(calendars.get("b").await.unwrap_err(), Code::NotFound, "CALENDAR_NOT_FOUND");
    expect(calendars.update(calendar("b"), &["*"]).await.unwrap_err(), Code::NotFound, "CALENDAR_NOT_FOUND");
    expect(calendars.delete("b", "").await.unwrap_err(), Code::NotFound, "CALENDAR_NOT_FOUND");
    let stale = v1::Calendar { etag: "stale".to_owned(), ..calendar("a") };
    expect(calendars.update(stale, &["*"]).await.unwrap_err(), Code::Aborted, "ETAG_MISMATCH");
    expect(calendars.delete("a", "stale").await.unwrap_err(), Code::Aborted, "ETAG_MISMATCH");

    let request = v1::CreateJobRequest { job: Some(excluding("j", "a")), ..Default::default() };
    calendars.0.jobs().create_job(request).await.unwrap();
    expect(calendars.delete("a", "").await.unwrap_err(), Code::FailedPrecondition, "CALENDAR_IN_USE");
}

#[tokio::test]
async fn a_calendar_is_updated_by_its_mask_and_put_back_unchanged() {
    let mut calendars = Calendars::start().await;
    let created = calendars.create(calendar("a"), "").await.unwrap();
    assert_eq!((created.namespace.as_str(), created.time_zone.as_deref()), ("default", Some("UTC")));
    let asked = calendars.0.fake.asked().len();
    assert_eq!(calendars.update(created.clone(), &["*"]).await.unwrap(), created);
    assert_eq!(calendars.0.fake.asked().len(), asked);

    let change = v1::Calendar { description: "d".to_owned(), dates: Vec::new(), ..calendar("a") };
    let updated = calendars.update(change, &["description"]).await.unwrap();
    assert_eq!((updated.description.as_str(), &updated.dates), ("d", &created.dates));
    assert_ne!(updated.etag, created.etag);
    assert_eq!(calendars.delete("a", &updated.etag).await.unwrap(), updated);
    assert_eq!(calendars.get("a").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn calendars_are_listed_by_prefix_page_by_page() {
    let mut calendars = Calendars::start().await;
    for (namespace, calendar_id) in [("default", "a1"), ("default", "a2"), ("default", "b"), ("other", "a3")] {
        let calendar = v1::Calendar { namespace: namespace.to_owned(), ..calendar(calendar_id) };
        calendars.create(calendar, "").await.unwrap();
    }
    let mut request =
        v1::ListCalendarsRequest { namespace: "-".into(), query: "a".into(), page_size: 2, ..Default::default() };
    let first = calendars.1.list_calendars(request.clone()).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let rest = calendars.1.list_calendars(request.clone()).await.unwrap().into_inner();
    let ids: Vec<&str> = first.calendars.iter().chain(&rest.calendars).map(|one| one.calendar_id.as_str()).collect();
    assert_eq!((ids, rest.next_page_token.as_str()), (vec!["a1", "a2", "a3"], ""));
    request.namespace = String::new();
    let status = calendars.1.list_calendars(request).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"]);
}

#[tokio::test]
async fn a_preview_leaves_out_what_a_calendar_of_its_namespace_excludes() {
    let mut calendars = Calendars::start().await;
    let preview =
        |schedule: Option<v1::Schedule>| v1::PreviewScheduleRequest { schedule, count: Some(1), ..Default::default() };
    let schedule = excluding("j", "a").schedule;
    let status = calendars.0.jobs().preview_schedule(preview(schedule.clone())).await.unwrap_err();
    assert_eq!(fields(&status), ["schedule.exclude_calendars[0]"]);
    calendars.create(calendar("a"), "").await.unwrap();
    let shown = calendars.0.jobs().preview_schedule(preview(schedule)).await.unwrap().into_inner();
    assert_eq!(shown.fire_times[0].to_string(), "2023-11-15T00:00:00Z");
}
