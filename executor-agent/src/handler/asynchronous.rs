//! Handlers that are async functions of a typed payload.

use std::future::Future;
use std::marker::PhantomData;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Context, Handler, payload, schema};
use crate::session::{Completion, Failure};

/// See [`Builder::async_handler`](crate::Builder::async_handler).
pub(crate) struct Async<F, P> {
    run: F,
    schema: String,
    payload: PhantomData<fn() -> P>,
}

impl<F, P: JsonSchema> Async<F, P> {
    pub(crate) fn new(run: F) -> Self {
        Self { run, schema: schema::of::<P>(), payload: PhantomData }
    }
}

#[async_trait]
impl<F, P, R, T, E> Handler for Async<F, P>
where
    F: Fn(Context, P) -> R + Send + Sync + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Future<Output = Result<T, E>> + Send,
    T: Serialize,
    E: Into<Failure>,
{
    fn payload_schema(&self) -> Option<String> {
        Some(self.schema.clone())
    }

    async fn execute(&self, context: Context) -> Completion {
        let payload = match payload::read(&context.task().payload) {
            Ok(payload) => payload,
            Err(failure) => return failure.into(),
        };
        payload::completion((self.run)(context, payload).await.map_err(Into::into))
    }
}
