//! Asks a server what its services are.
//!
//! The messages of `v1` and `v1alpha` are the same on the wire; only the service's name differs.

use std::collections::BTreeMap;

use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::failure;
use super::wire::Wire;
use crate::handler::payload::invalid;
use crate::session::Failure;

const VERSIONS: [&str; 2] = ["v1", "v1alpha"];
/// Files and bytes of descriptors that one service may need.
const MOST_FILES: usize = 1_000;
const MOST_BYTES: usize = 16 << 20;

/// One conversation with a server's reflection.
struct Conversation {
    questions: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
    files: BTreeMap<String, FileDescriptorProto>,
    bytes: usize,
}

/// The service of that name.
pub(super) async fn service(
    server: &Grpc<Wire>,
    name: &str,
    metadata: &MetadataMap,
) -> Result<ServiceDescriptor, Failure> {
    let mut refusal = None;
    for version in VERSIONS {
        match ask(server.clone(), version, name, metadata).await {
            Err(Unanswered::Status(status)) if status.code() == Code::Unimplemented => refusal = Some(status),
            Err(Unanswered::Status(status)) => return Err(failure::status("reflection", &status)),
            Err(Unanswered::Useless(failure)) => return Err(failure),
            Ok(service) => return Ok(service),
        }
    }
    let said = refusal.map_or_else(String::new, |status| format!(" ({})", status.message()));
    let message = format!("the server has no reflection, neither v1 nor v1alpha, so its methods are not known{said}");
    Err(Failure::permanent("GRPC_NO_REFLECTION", message))
}

enum Unanswered {
    Status(Status),
    Useless(Failure),
}

impl From<Status> for Unanswered {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Useless(failure)
    }
}

async fn ask(
    mut server: Grpc<Wire>,
    version: &str,
    name: &str,
    metadata: &MetadataMap,
) -> Result<ServiceDescriptor, Unanswered> {
    let path = PathAndQuery::try_from(format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"))
        .expect("because it is a path");
    let (questions, receiver) = mpsc::channel(1);
    let first = question(MessageRequest::FileContainingSymbol(name.to_owned()));
    questions.try_send(first).expect("because nothing is in it yet");
    let mut request = Request::new(ReceiverStream::new(receiver));
    *request.metadata_mut() = metadata.clone();
    let answers = server.streaming(request, path, ProstCodec::default()).await?.into_inner();
    let mut conversation = Conversation { questions, answers, files: BTreeMap::new(), bytes: 0 };
    if !conversation.hear().await? {
        return Err(invalid(format!("method: the server has no service {name:?}")).into());
    }
    conversation.complete().await?;
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(conversation.files.into_values()).map_err(|error| useless(&error.to_string()))?;
    let service = pool.get_service_by_name(name);
    service.ok_or_else(|| invalid(format!("method: the server describes no service {name:?}")).into())
}

impl Conversation {
    /// Asks for what the files import, and what that imports, as far as it did not come unasked.
    async fn complete(&mut self) -> Result<(), Unanswered> {
        loop {
            let imports = self.files.values().flat_map(|file| &file.dependency);
            let Some(missing) = imports.into_iter().find(|import| !self.files.contains_key(*import)).cloned() else {
                return Ok(());
            };
            let asked = self.questions.send(question(MessageRequest::FileByFilename(missing.clone()))).await;
            let is_answered = asked.is_ok() && self.hear().await?;
            if !is_answered || !self.files.contains_key(&missing) {
                let known = DescriptorPool::global().get_file_by_name(&missing);
                let known = known.ok_or_else(|| useless(&format!("the server does not give out {missing:?}")))?;
                self.files.insert(missing, known.file_descriptor_proto().clone());
            }
        }
    }

    /// One answer. False when it is that there is no such thing.
    async fn hear(&mut self) -> Result<bool, Unanswered> {
        let answer = match self.answers.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Err(Status::unavailable("the server ended its answers early").into()),
            // Some servers end the conversation with it.
            Err(status) if status.code() == Code::NotFound => return Ok(false),
            Err(status) => return Err(status.into()),
        };
        match answer.message_response {
            Some(MessageResponse::FileDescriptorResponse(files)) => {
                for bytes in files.file_descriptor_proto {
                    self.bytes += bytes.len();
                    let file = FileDescriptorProto::decode(&bytes[..]).map_err(|error| useless(&error.to_string()))?;
                    self.files.insert(file.name().to_owned(), file);
                }
                if self.files.len() > MOST_FILES || self.bytes > MOST_BYTES {
                    return Err(useless("there are too many of them").into());
                }
                Ok(true)
            }
            Some(MessageResponse::ErrorResponse(error)) if error.error_code == Code::NotFound as i32 => Ok(false),
            Some(MessageResponse::ErrorResponse(error)) => {
                Err(Status::new(Code::from(error.error_code), error.error_message).into())
            }
            Some(_) | None => Err(useless("the server answers another question").into()),
        }
    }
}

fn question(message: MessageRequest) -> ServerReflectionRequest {
    ServerReflectionRequest { host: String::new(), message_request: Some(message) }
}

fn useless(why: &str) -> Failure {
    Failure::permanent("GRPC_NO_REFLECTION", format!("the server's descriptors cannot be used: {why}"))
}
