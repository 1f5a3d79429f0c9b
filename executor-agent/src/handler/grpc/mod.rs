//! `grpc`: one unary call to a server whose reflection says what its methods are. The answer is the task's result.

mod call;
mod codec;
mod descriptors;
mod failure;
mod payload;
mod reflection;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
#[cfg(test)]
use rustls::RootCertStore;
use serde_json::{Value, json};
use tonic::client::Grpc as Client;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request};

use self::call::Call;
use self::descriptors::{Descriptors, Key};
use self::payload::Payload;
use self::wire::Wire;
use super::secrets::{Mask, Secrets};
use super::{Context, Handler, LogStream, outgoing, result, variables};
use crate::clock;
use crate::session::{Completion, Failure, Task};

/// A server that answers DEADLINE_EXCEEDED this long before the attempt's deadline has waited for that deadline.
const DEADLINE_IS_NEAR: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Grpc {
    secrets: Secrets,
    descriptors: Descriptors,
    /// Made with the first task: that is when the machine's roots are read.
    wire: OnceLock<Wire>,
}

impl Grpc {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { secrets, descriptors: Descriptors::default(), wire: OnceLock::new() }
    }

    #[cfg(test)]
    fn trusting(roots: RootCertStore, secrets: Secrets) -> Self {
        Self { wire: OnceLock::from(Wire::new(roots)), ..Self::new(secrets) }
    }

    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let payload = Payload::parse(&context.task().payload)?;
        let mut filling = self.secrets.filling();
        let request = payload.request(&mut filling)?;
        let own = payload.metadata(&mut filling)?;
        let mask = filling.mask();
        let ended = tokio::select! {
            biased;
            // The call is dropped, which tells the server that nobody waits for it any more.
            () = context.cancelled() => Err(Failure::new("CANCELLED", "the call was given up")),
            ended = self.exchange(&payload, &request, own, context, &mask) => ended,
        };
        ended.map_err(|failure| mask.failure(failure))
    }

    async fn exchange(
        &self,
        payload: &Payload,
        request: &Value,
        own: MetadataMap,
        context: &Context,
        mask: &Mask,
    ) -> Result<Completion, Failure> {
        let origin = payload.origin()?;
        let (service, method) = payload.method();
        let key: Key = (origin.to_string(), service.to_owned());
        let mut server = self.wire.get_or_init(|| Wire::new(outgoing::machine_roots())).to(origin);
        say(context, format!("{service}/{method} at {}\n", payload.target)).await;
        let call = self.call(&key, &server, method, request, &own).await?;
        let mut request = Request::new(call.request);
        let mut headers = own.into_headers();
        headers.extend(variables::headers(context.task()));
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        if let Some(left) = time_left(context.task()) {
            request.set_timeout(left);
        }
        match server.unary(request, call.path, call.codec).await {
            Ok(answer) => {
                say(context, "OK\n".to_owned()).await;
                finish(answer.get_ref(), context, mask).await
            }
            Err(status) => {
                if status.code() == Code::Unimplemented {
                    self.descriptors.forget(&key);
                }
                if status.code() == Code::DeadlineExceeded && is_deadline_near(context.task()) {
                    // The attempt is about to time out: that is how it ends.
                    context.cancelled().await;
                }
                let failure = failure::status(&format!("{service}/{method}"), &status);
                say(context, mask.text(&format!("{}\n", failure.message))).await;
                Err(failure)
            }
        }
    }

    /// The call, by what is known of the server; if that does not fit, by what it says now.
    async fn call(
        &self,
        key: &Key,
        server: &Client<Wire>,
        method: &str,
        request: &Value,
        metadata: &MetadataMap,
    ) -> Result<Call, Failure> {
        let known = self.descriptors.get(clock::boot(), key);
        if let Some(call) = known.and_then(|service| Call::of(&service, method, request).ok()) {
            return Ok(call);
        }
        let service = reflection::service(server, &key.1, metadata).await?;
        self.descriptors.put(clock::boot(), key.clone(), service.clone());
        Call::of(&service, method, request)
    }
}

#[async_trait]
impl Handler for Grpc {
    fn payload_schema(&self) -> Option<String> {
        punctual_proto::payloads::schema("grpc").map(str::to_owned)
    }

    async fn execute(&self, context: Context) -> Completion {
        self.run(&context).await.unwrap_or_else(Completion::from)
    }
}

/// The answer goes to the log; it is the result, unless it is too large for one.
async fn finish(answer: &prost_reflect::DynamicMessage, context: &Context, mask: &Mask) -> Result<Completion, Failure> {
    let answer = call::json(answer).map_err(|error| {
        // It was called: another attempt would do so again.
        Failure::permanent(
            "GRPC_ANSWER",
            format!("the call succeeded, but its answer cannot be written as JSON: {error}"),
        )
    })?;
    let answer = mask.json(answer);
    let text = answer.to_string();
    context.log(LogStream::Stdout, format!("{text}\n")).await;
    if text.len() <= result::MAX_BYTES && result::is_shallow(&answer) {
        return Ok(Completion::success(text));
    }
    say(context, "(too large or nested too deep for a result)\n".to_owned()).await;
    Ok(Completion::success(json!({"truncated": true, "bytes": text.len()}).to_string()))
}

/// Until the attempt's deadline.
fn time_left(task: &Task) -> Option<Duration> {
    Some(task.deadline?.since(clock::boot()))
}

fn is_deadline_near(task: &Task) -> bool {
    time_left(task).is_some_and(|left| left <= DEADLINE_IS_NEAR)
}

/// What the agent says of the call stands beside what the server answers.
async fn say(context: &Context, line: String) {
    context.log(LogStream::Stderr, line).await;
}
