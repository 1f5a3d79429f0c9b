//! Connections to servers, over TLS where their URLs say so.

use std::error::Error;
use std::time::Duration;

use tls::{ClientFiles, Scheme};
use tonic::transport::{Channel, Endpoint};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection whose other end is silently gone is noticed by pings.
const PING_EVERY: Duration = Duration::from_secs(3);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// How servers are reached.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    files: ClientFiles,
    /// An agent that was told to use TLS does not go on without, whoever redirects it.
    tls_only: bool,
}

impl Channels {
    pub(crate) fn new(files: ClientFiles, servers: &[String]) -> Self {
        let tls_only = servers.iter().any(|server| Scheme::of(server) == Some(Scheme::Tls));
        Self { files, tls_only }
    }

    /// A connection, or why there is none.
    pub(super) async fn open(&self, server: String) -> Result<Channel, String> {
        let is_tls = Scheme::of(&server) == Some(Scheme::Tls);
        if self.tls_only && !is_tls {
            return Err(format!("{server} is not protected by TLS, as this agent's servers are"));
        }
        let mut endpoint = Endpoint::from_shared(server).map_err(|error| in_words(&error))?;
        if is_tls {
            let files = self.files.clone();
            // Anew for each connection, so that renewed files are taken; elsewhere, so that a disk holds up no heartbeat.
            let secured = tokio::task::spawn_blocking(move || {
                let tls = files.load().map_err(|error| error.to_string())?;
                endpoint.tls_config(tls.config()).map_err(|error| in_words(&error))
            });
            endpoint = secured.await.map_err(|error| error.to_string())??;
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        endpoint.connect().await.map_err(|error| in_words(&error))
    }
}

/// An error with its causes, or what to do about it where that is clear.
fn in_words(error: &(dyn Error + 'static)) -> String {
    if let Some(advice) = tls::explain(error) {
        return advice.to_owned();
    }
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_with_tls_is_not_led_away_from_it() {
        let channels = Channels::new(ClientFiles::default(), &["https://a.example".to_owned()]);
        let refused = channels.open("http://127.0.0.1:1".to_owned()).await.unwrap_err();
        assert!(refused.contains("not protected"), "{refused}");
    }
}
