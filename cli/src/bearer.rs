//! The token that goes with every call, read from its file each time: a watch that reconnects finds a new one.

use std::fs;
use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::failure::Failure;

/// Adds the token of a file, if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bearer(Option<PathBuf>);

impl Bearer {
    /// Reads the file once, so that a wrong one is told before anything is sent.
    pub(crate) fn of(file: Option<PathBuf>) -> Result<Self, Failure> {
        let bearer = Self(file);
        bearer.value()?;
        Ok(bearer)
    }

    /// What a failure says never has a part of the file in it.
    fn value(&self) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let Some(path) = &self.0 else { return Ok(None) };
        let wrong = |reason: String| Failure::File { path: path.display().to_string(), reason };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let token = text.trim();
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let value = Some(token).filter(|_| is_token).and_then(|token| format!("Bearer {token}").parse().ok());
        let mut value: MetadataValue<Ascii> = value.ok_or_else(|| wrong("there is no token in it".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = self.value().map_err(|failure| Status::unauthenticated(failure.to_string()))?;
        if let Some(value) = value {
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_no_token_is_told_without_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let told = |path: &PathBuf| Bearer::of(Some(path.clone())).unwrap_err().to_string();
        assert!(told(&path).contains("token"));
        fs::write(&path, "hunter2 and more").unwrap();
        let told = told(&path);
        assert!(told.contains("no token") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_token_that_is_replaced_goes_with_the_next_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "pct_one\n").unwrap();
        let mut bearer = Bearer::of(Some(path.clone())).unwrap();
        fs::write(&path, "pct_two\n").unwrap();
        let sent = bearer.call(Request::new(())).unwrap();
        assert_eq!(sent.metadata().get("authorization").unwrap(), "Bearer pct_two");
    }
}
