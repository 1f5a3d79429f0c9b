use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use crate::service::Service;

pub(super) struct Calendars(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::calendar_service_server::CalendarService for Calendars {
    async fn create_calendar(
        &self,
        request: Request<v1::CreateCalendarRequest>,
    ) -> Result<Response<v1::Calendar>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.create_calendar(&call, request)).await
    }

    async fn get_calendar(&self, request: Request<v1::GetCalendarRequest>) -> Result<Response<v1::Calendar>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.get_calendar(request)).await
    }

    async fn list_calendars(
        &self,
        request: Request<v1::ListCalendarsRequest>,
    ) -> Result<Response<v1::ListCalendarsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_calendars(&call, request)).await
    }

    async fn update_calendar(
        &self,
        request: Request<v1::UpdateCalendarRequest>,
    ) -> Result<Response<v1::Calendar>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.update_calendar(&call, request)).await
    }

    async fn delete_calendar(
        &self,
        request: Request<v1::DeleteCalendarRequest>,
    ) -> Result<Response<v1::Calendar>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.delete_calendar(&call, request)).await
    }
}
