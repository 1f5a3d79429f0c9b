//! A server of one test: `TaskTypeService`, which does as the name that it is asked for says.

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use punctual_proto::v1::task_type_service_server::{TaskTypeService, TaskTypeServiceServer};
use punctual_proto::v1::{GetTaskTypeRequest, ListTaskTypesRequest, ListTaskTypesResponse, TaskType};
use tokio::sync::mpsc;
use tonic::metadata::KeyAndValueRef;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

pub(super) const GET: &str = "punctual.v1.TaskTypeService/GetTaskType";

/// Which reflection a server has.
#[derive(Clone, Copy)]
pub(super) enum Reflection {
    V1,
    V1Alpha,
    None,
}

struct TaskTypes {
    /// Told when a slow call begins, and when it is dropped.
    slow: mpsc::UnboundedSender<&'static str>,
}

struct Dropped(mpsc::UnboundedSender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

pub(super) fn routes(reflection: Reflection) -> (Routes, mpsc::UnboundedReceiver<&'static str>) {
    let (slow, told) = mpsc::unbounded_channel();
    let routes = Routes::new(TaskTypeServiceServer::new(TaskTypes { slow }));
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(punctual_proto::FILE_DESCRIPTOR_SET);
    let routes = match reflection {
        Reflection::V1 => routes.add_service(builder.build_v1().expect("whole")),
        Reflection::V1Alpha => routes.add_service(builder.build_v1alpha().expect("whole")),
        Reflection::None => routes,
    };
    (routes, told)
}

#[tonic::async_trait]
impl TaskTypeService for TaskTypes {
    async fn list_task_types(
        &self,
        request: Request<ListTaskTypesRequest>,
    ) -> Result<Response<ListTaskTypesResponse>, Status> {
        let size = usize::try_from(request.get_ref().page_size).expect("tests ask for some");
        let next_page_token = "x".repeat(size);
        Ok(Response::new(ListTaskTypesResponse { task_types: Vec::new(), next_page_token }))
    }

    async fn get_task_type(&self, request: Request<GetTaskTypeRequest>) -> Result<Response<TaskType>, Status> {
        let name = request.get_ref().name.clone();
        if let Some(code) = name.strip_prefix("code:") {
            let code = Code::from_i32(code.parse().expect("a number"));
            return Err(Status::new(code, "as it was asked to"));
        }
        if name == "slow" {
            let _dropped = Dropped(self.slow.clone());
            let _ = self.slow.send("began");
            std::future::pending::<()>().await;
        }
        let pairs = request.metadata().iter().map(|pair| match pair {
            KeyAndValueRef::Ascii(key, value) => (key.to_string(), value.to_str().expect("ASCII").to_owned()),
            KeyAndValueRef::Binary(key, value) => (key.to_string(), format!("{:?}", value.to_bytes().expect("bytes"))),
        });
        let string = |text| Value { kind: Some(Kind::StringValue(text)) };
        let payload_schema = Some(Struct { fields: pairs.map(|(key, value)| (key, string(value))).collect() });
        Ok(Response::new(TaskType { name, payload_schema, ..TaskType::default() }))
    }
}
