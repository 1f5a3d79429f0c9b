//! The token that the agent signs in with, read from its file for every connection, so that it can be replaced under a
//! running agent.
//!
//! It is in no variable and no argument, and the file is not held open and is hidden from process tasks
//! ([`isolation`](crate::isolation)). An agent whose file was taken away goes on with what it has read.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tonic::metadata::{Ascii, MetadataValue};

/// A token is far shorter.
const MOST_BYTES: u64 = 4_096;

/// See the module.
#[derive(Clone)]
pub(crate) struct TokenFile {
    path: PathBuf,
    last: Arc<Mutex<Option<MetadataValue<Ascii>>>>,
    /// Once is enough.
    is_complained_of: Arc<AtomicBool>,
}

impl TokenFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last: Arc::default(), is_complained_of: Arc::default() }
    }

    /// What goes into the `authorization` of a connection, read where a slow disk holds up no heartbeat.
    pub(crate) async fn authorization(&self) -> Result<MetadataValue<Ascii>, String> {
        let file = self.clone();
        tokio::task::spawn_blocking(move || file.read()).await.map_err(|error| error.to_string())?
    }

    /// Reads the file, or says what was in it before. An error never has a part of the file in it.
    pub(crate) fn read(&self) -> Result<MetadataValue<Ascii>, String> {
        let found = self.read_anew();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (found, &*last) {
            (Ok(value), _) => {
                *last = Some(value.clone());
                Ok(value)
            }
            (Err(_), Some(value)) => Ok(value.clone()),
            (Err(why), None) => Err(format!("--token-file {}: {why}", self.path.display())),
        }
    }

    fn read_anew(&self) -> Result<MetadataValue<Ascii>, String> {
        let mut text = String::new();
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let mode = file.metadata().map_err(|error| error.to_string())?.mode();
        if mode & 0o077 != 0 && !self.is_complained_of.swap(true, Ordering::Relaxed) {
            tracing::warn!(file = %self.path.display(), "the token's file is open to other users of this machine: chmod 600");
        }
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("there is no token in it".to_owned());
        }
        let mut value: MetadataValue<Ascii> =
            format!("Bearer {token}").parse().map_err(|_| "there is no token in it".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenFile").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_anew_and_the_last_one_is_kept_when_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = TokenFile::new(path.clone());
        assert!(file.read().unwrap_err().contains("token"));
        for token in ["pct_one", "pct_two"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            assert_eq!(file.read().unwrap(), format!("Bearer {token}"));
        }
        std::fs::write(&path, "").unwrap();
        assert_eq!(file.read().unwrap(), "Bearer pct_two", "half written, or a pipe that was read");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.read().unwrap(), "Bearer pct_two");
    }

    #[test]
    fn what_is_in_a_file_that_is_no_token_is_not_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2 and more").unwrap();
        let error = TokenFile::new(path).read().unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
