use std::time::Duration;

use axum::body::Body;
use axum::http::Request as HttpRequest;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use punctual_proto::v1;
use punctual_proto::v1::job_service_client::JobServiceClient;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb;

use crate::client::{send, send_h2};
use crate::server::Server;

async fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(server.url("")).expect("an address").connect().await.expect("a connection")
}

fn job(job_id: &str) -> v1::Job {
    v1::Job { job_id: job_id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn grpc_is_served_over_http2() {
    let server = Server::start().await;
    let mut jobs = JobServiceClient::new(channel(&server).await);
    let request = v1::CreateJobRequest { job: Some(job("a")), ..Default::default() };
    assert_eq!(jobs.create_job(request).await.unwrap().into_inner().etag, "e1");
    let request = v1::GetJobRequest { job_id: "a".to_owned(), ..Default::default() };
    assert_eq!(jobs.get_job(request).await.unwrap().into_inner().job_id, "a");
    let refused = jobs.delete_job(v1::DeleteJobRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn health_and_both_reflections_are_served() {
    let server = Server::start().await;
    let channel = channel(&server).await;
    for service in ["", "punctual.v1.JobService", "punctual.v1.ExecutorService"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let health = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
        assert_eq!(health.status(), tonic_health::pb::health_check_response::ServingStatus::Serving, "{service}");
    }

    use pb::v1::server_reflection_request::MessageRequest;
    use pb::v1::server_reflection_response::MessageResponse;
    let request = pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut v1 = pb::v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = v1.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else { panic!("{answer:?}") };
    let services: Vec<&str> = services.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["punctual.v1.JobService", "punctual.v1.ExecutorService", "grpc.health.v1.Health"] {
        assert!(services.contains(&service), "{services:?}");
    }

    use pb::v1alpha::server_reflection_request::MessageRequest as AlphaRequest;
    use pb::v1alpha::server_reflection_response::MessageResponse as AlphaResponse;
    let request = pb::v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(AlphaRequest::FileContainingSymbol("punctual.v1.JobService".to_owned())),
    };
    let mut alpha = pb::v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = alpha.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    assert!(matches!(answer, AlphaResponse::FileDescriptorResponse(_)), "{answer:?}");
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_connection_goes_on() {
    let server = Server::start().await;
    let mut jobs = JobServiceClient::new(channel(&server).await);
    let failed = jobs.explain_fire(v1::ExplainFireRequest::default()).await.unwrap_err();
    assert_eq!(failed.code(), Code::Internal);
    jobs.list_jobs(v1::ListJobsRequest::default()).await.unwrap();
}

/// The frames of a gRPC-Web answer: the message, and the trailers as text.
fn frames(mut body: Bytes) -> (Vec<Bytes>, String) {
    let (mut messages, mut trailers) = (Vec::new(), String::new());
    while body.has_remaining() {
        let flag = body.get_u8();
        let length = body.get_u32() as usize;
        let frame = body.split_to(length);
        match flag {
            0x80 => trailers = String::from_utf8(frame.to_vec()).expect("trailers are text"),
            _ => messages.push(frame),
        }
    }
    (messages, trailers)
}

/// A call by hand, of a client that leaves deadlines to the server.
fn call(server: &Server, content_type: &str, path: &str, message: &impl Message) -> HttpRequest<Body> {
    let message = message.encode_to_vec();
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("a small message"));
    body.put_slice(&message);
    let request = HttpRequest::post(format!("/punctual.v1.{path}"));
    let request = request.header("host", server.address.to_string()).header("content-type", content_type);
    request.body(Body::from(body.freeze())).expect("a request")
}

const WEB: &str = "application/grpc-web+proto";

#[tokio::test]
async fn grpc_web_is_served_over_http1() {
    let server = Server::start().await;
    let request = v1::CreateJobRequest { job: Some(job("web")), ..Default::default() };
    let answer = send(&server, call(&server, WEB, "JobService/CreateJob", &request)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), WEB);
    let (messages, trailers) = frames(answer.body);
    assert_eq!(v1::Job::decode(messages[0].clone()).unwrap().job_id, "web");
    assert!(trailers.contains("grpc-status:0"), "{trailers:?}");

    let missing = v1::GetJobRequest { job_id: "nope".to_owned(), ..Default::default() };
    let answer = send(&server, call(&server, WEB, "JobService/GetJob", &missing)).await;
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "5"));
}

#[tokio::test]
async fn the_clients_deadline_ends_calls_and_streams() {
    let server = Server::start().await;
    let with_deadline = |mut request: HttpRequest<Body>| {
        request.headers_mut().insert("grpc-timeout", "50m".parse().expect("a header"));
        request
    };
    let nothing = v1::ListNamespacesRequest::default();
    let forever = v1::WatchRunsRequest { resume_token: "forever".to_owned(), ..Default::default() };
    let in_time = Duration::from_secs(20);

    let request = with_deadline(call(&server, "application/grpc", "JobService/ListNamespaces", &nothing));
    let answer = tokio::time::timeout(in_time, send_h2(&server, request)).await.unwrap();
    assert_eq!(answer.header("grpc-status"), "4");
    let request = with_deadline(call(&server, WEB, "JobService/ListNamespaces", &nothing));
    let answer = tokio::time::timeout(in_time, send(&server, request)).await.unwrap();
    assert_eq!(answer.header("grpc-status"), "4");
    let request = with_deadline(call(&server, WEB, "RunService/WatchRuns", &forever));
    let answer = tokio::time::timeout(in_time, send(&server, request)).await.unwrap();
    let (messages, trailers) = frames(answer.body);
    assert!(messages.is_empty() && trailers.contains("grpc-status:4"), "{trailers:?}");
}
