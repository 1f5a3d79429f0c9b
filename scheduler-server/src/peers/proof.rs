//! What a node says of the caller whose call it passes on (the address, and whether a certificate was shown), and how the
//! leader knows that a node of its cluster says it: all nodes have the same secret.
//!
//! The proof holds for one method and one token, so that who has seen it can say nothing of anybody else's calls. It never has
//! the secret in it: the leader's address is what etcd says, and whoever can write there learns no secret by it.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ring::hmac::{self, HMAC_SHA256, Key};

const CALLER: HeaderName = HeaderName::from_static("punctual-forwarded-for");
const PROOF: HeaderName = HeaderName::from_static("punctual-forwarded-proof");
const WITH_CERTIFICATE: &str = "; certificate";
/// No text that a person makes up is this long by accident; random ones are.
const SHORTEST: usize = 32;

/// The secret of a cluster.
#[derive(Clone)]
pub struct PeerSecret(Key);

/// A caller as the node saw them that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalledFrom {
    pub address: IpAddr,
    pub has_certificate: bool,
}

impl PeerSecret {
    /// Reads it from a file.
    pub fn read(file: &Path) -> Result<Self> {
        let about = || format!("--peer-secret-file {}", file.display());
        let text = std::fs::read_to_string(file).with_context(about)?;
        if text.trim().len() < SHORTEST {
            bail!("{}: at least {SHORTEST} random characters, as of `openssl rand -hex 32`", about());
        }
        Ok(Self::new(text.trim()))
    }

    pub(super) fn new(text: &str) -> Self {
        Self(Key::new(HMAC_SHA256, text.as_bytes()))
    }

    /// Says in the headers of a call from where it came.
    pub(super) fn vouch(&self, headers: &mut HeaderMap, path: &str, from: CalledFrom) {
        let certificate = if from.has_certificate { WITH_CERTIFICATE } else { "" };
        let said = format!("{}{certificate}", from.address);
        let proof = hex(hmac::sign(&self.0, &signed(headers, path, &said)).as_ref());
        if let (Ok(said), Ok(proof)) = (HeaderValue::from_str(&said), HeaderValue::from_str(&proof)) {
            headers.insert(CALLER, said);
            headers.insert(PROOF, proof);
        }
    }

    /// From where a call came that another node has passed on; `None`: no node of this cluster says it.
    pub(super) fn vouched(&self, headers: &HeaderMap, path: &str) -> Option<CalledFrom> {
        let said = headers.get(CALLER)?.to_str().ok()?;
        let proof = unhex(headers.get(PROOF)?.to_str().ok()?)?;
        hmac::verify(&self.0, &signed(headers, path, said), &proof).ok()?;
        let (address, has_certificate) = match said.strip_suffix(WITH_CERTIFICATE) {
            Some(address) => (address, true),
            None => (said, false),
        };
        Some(CalledFrom { address: address.parse().ok()?, has_certificate })
    }
}

/// What clients may not say of themselves.
pub(super) fn strip(headers: &mut HeaderMap) {
    headers.remove(CALLER);
    headers.remove(PROOF);
}

/// Parts of which none can run into the next: neither path nor addresses have line feeds.
fn signed(headers: &HeaderMap, path: &str, said: &str) -> Vec<u8> {
    let mut signed = format!("punctual-forwarded-for 1\n{path}\n{said}\n").into_bytes();
    for token in headers.get_all(header::AUTHORIZATION) {
        signed.extend_from_slice(token.as_bytes());
        signed.push(b'\n');
    }
    signed
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair.filter(|pair| pair.len() == 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/punctual.v1.JobService/PauseJob";

    fn headers(token: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(token))])
    }

    #[test]
    fn only_a_node_with_the_secret_is_believed_and_only_for_the_call_that_it_passed_on() {
        let secret = PeerSecret::new("the secret of one cluster");
        let from = CalledFrom { address: [10, 0, 0, 7].into(), has_certificate: true };
        let mut sent = headers("Bearer a");
        secret.vouch(&mut sent, PATH, from);
        assert_eq!(secret.vouched(&sent, PATH), Some(from));
        assert_eq!(secret.vouched(&sent, "/punctual.v1.JobService/DeleteJob"), None);
        assert_eq!(PeerSecret::new("another").vouched(&sent, PATH), None);
        assert_eq!(secret.vouched(&headers("Bearer a"), PATH), None);
        for (name, value) in [
            (header::AUTHORIZATION, "Bearer b"),
            (CALLER, "10.0.0.8; certificate"),
            (CALLER, "10.0.0.7"),
            (PROOF, "00"),
            (PROOF, "nothing"),
        ] {
            let mut changed = sent.clone();
            changed.insert(name.clone(), HeaderValue::from_static(value));
            assert_eq!(secret.vouched(&changed, PATH), None, "{name}: {value}");
        }
        let without = CalledFrom { address: "fd00::1".parse().unwrap(), has_certificate: false };
        secret.vouch(&mut sent, PATH, without);
        assert_eq!(secret.vouched(&sent, PATH), Some(without));
        strip(&mut sent);
        assert_eq!(secret.vouched(&sent, PATH), None);
    }

    #[test]
    fn a_secret_that_is_too_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "swordfish\n").unwrap();
        let refused = PeerSecret::read(&file).err().unwrap().to_string();
        assert!(refused.contains("--peer-secret-file") && !refused.contains("swordfish"), "{refused}");
        std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        assert!(PeerSecret::read(&file).is_ok());
    }
}
