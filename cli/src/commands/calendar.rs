//! `punctual calendar`: named days on which jobs do not fire.

use punctual_proto::v1::{
    Calendar, CreateCalendarRequest, DeleteCalendarRequest, GetCalendarRequest, ListCalendarsRequest,
    UpdateCalendarRequest, calendar,
};

use crate::client::Server;
use crate::commands::{ALL, Page};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Create a calendar; jobs name it under schedule.excludeCalendars
    Create(Definition),
    /// Show one calendar
    Get {
        /// Id of the calendar
        id: String,
    },
    /// List calendars
    List {
        /// Only calendars whose id starts with this
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        #[command(flatten)]
        page: Page,
    },
    /// Replace what a calendar excludes; every job that names it is changed with it
    Update(Definition),
    /// Delete a calendar that no job names
    Delete {
        /// Id of the calendar
        id: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Definition {
    /// Id of the calendar
    id: String,
    /// A day to exclude, or the first and last of several: 2026-12-25, 2026-12-24..2026-12-26; may be repeated
    #[arg(long = "date", value_name = "DATE", required = true)]
    dates: Vec<String>,
    /// Zone whose days they are [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

impl Definition {
    fn calendar(self, settings: &Settings) -> Calendar {
        let (dates, ranges): (Vec<_>, Vec<_>) = self.dates.into_iter().partition(|date| !date.contains(".."));
        let ranges = ranges.iter().filter_map(|range| range.split_once(".."));
        let range =
            |(start, end): (&str, &str)| calendar::DateRange { start_date: start.to_owned(), end_date: end.to_owned() };
        Calendar {
            namespace: settings.namespace.clone(),
            calendar_id: self.id,
            description: self.description,
            dates,
            ranges: ranges.map(range).collect(),
            time_zone: self.time_zone,
            ..Calendar::default()
        }
    }
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let namespace = settings.namespace.clone();
    match command {
        Command::Create(definition) => {
            let calendar = Some(definition.calendar(settings));
            let request = CreateCalendarRequest { calendar, ..CreateCalendarRequest::default() };
            let created = server.answer(server.calendars().create_calendar(request).await)?;
            view::show(settings.output, &created, |calendar, _| said("created", calendar))
        }
        Command::Update(definition) => {
            let calendar = Some(definition.calendar(settings));
            let update_mask = Some(prost_types::FieldMask { paths: vec!["*".to_owned()] });
            let request = UpdateCalendarRequest { calendar, update_mask, ..UpdateCalendarRequest::default() };
            let updated = server.answer(server.calendars().update_calendar(request).await)?;
            view::show(settings.output, &updated, |calendar, _| said("updated", calendar))
        }
        Command::Delete { id: calendar_id } => {
            let request = DeleteCalendarRequest { namespace, calendar_id, ..DeleteCalendarRequest::default() };
            let deleted = server.answer(server.calendars().delete_calendar(request).await)?;
            view::show(settings.output, &deleted, |calendar, _| said("deleted", calendar))
        }
        Command::Get { id: calendar_id } => {
            let request = GetCalendarRequest { namespace, calendar_id };
            let calendar = server.answer(server.calendars().get_calendar(request).await)?;
            view::show(settings.output, &calendar, view::calendar)
        }
        Command::List { prefix, page } => {
            let Page { page_size, page_token } = page;
            let request = ListCalendarsRequest { namespace, query: prefix, page_size, page_token };
            let page = server.answer(server.calendars().list_calendars(request).await)?;
            view::show(settings.output, &page, |page, scene| match page.calendars.as_slice() {
                [] => "No calendars. Create one: punctual calendar create holidays --date 2026-12-25\n".to_owned(),
                _ => view::calendars(page, scene, settings.namespace == ALL),
            })?;
            Page::more(settings, &page.next_page_token);
            Ok(())
        }
    }
}

fn said(done: &str, calendar: &Calendar) -> String {
    format!("{done} {}/{}\n", calendar.namespace, calendar.calendar_id)
}
