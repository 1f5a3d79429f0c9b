//! The text of a token: `pct_`, its id, and 256 random bits with a checksum.
//!
//! The prefix and the checksum let scanners of repositories and logs find one that has leaked, and tell a mistyped one
//! without asking the ledger. Only this module has the text; it is never printed but by who creates the token.

use std::fmt;

use ledger::SecretHash;
use scheduler_core::ids::TokenId;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const PREFIX: &str = "pct_";
const SECRET_BYTES: usize = 32;
const CHECK_BYTES: usize = 4;

/// A token as its bearer has it.
#[derive(Clone)]
pub struct Secret {
    id: TokenId,
    secret: [u8; SECRET_BYTES],
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("this is no token: tokens begin with pct_")]
    NoToken,
    #[error("the token is not whole: a character is wrong or missing")]
    Damaged,
    #[error("the system has no randomness to give")]
    NoRandomness,
}

impl Secret {
    /// A new one for the token.
    pub fn new(id: TokenId) -> Result<Self, SecretError> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|_| SecretError::NoRandomness)?;
        Ok(Self { id, secret })
    }

    pub fn read(text: &str) -> Result<Self, SecretError> {
        let (id, rest) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(SecretError::NoToken)?;
        let id = Uuid::from_bytes(bytes(id).ok_or(SecretError::Damaged)?);
        let rest: [u8; SECRET_BYTES + CHECK_BYTES] = bytes(rest).ok_or(SecretError::Damaged)?;
        let (secret, check) = rest.split_first_chunk().ok_or(SecretError::Damaged)?;
        let this = Self { id: TokenId(id), secret: *secret };
        if check == this.check() { Ok(this) } else { Err(SecretError::Damaged) }
    }

    pub fn id(&self) -> TokenId {
        self.id
    }

    /// What the ledger keeps: who reads it there cannot call with it.
    pub fn hash(&self) -> SecretHash {
        Sha256::digest(self.secret).into()
    }

    /// Takes as long whatever is wrong.
    pub fn is_of(&self, hash: &SecretHash) -> bool {
        self.hash().ct_eq(hash).into()
    }

    /// For whoever asked for the token, once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}{}", self.id.0.simple(), hex(&self.secret), hex(&self.check()))
    }

    fn check(&self) -> [u8; CHECK_BYTES] {
        let digest: [u8; 32] = Sha256::new().chain_update(self.id.0).chain_update(self.secret).finalize().into();
        *digest.first_chunk().expect("because it is longer")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lower case only, so that a token has one spelling.
fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use scheduler_core::time::Timestamp;

    use super::*;

    fn secret() -> Secret {
        Secret::new(TokenId::at(Timestamp::from_secs(1_770_000_000), 7)).unwrap()
    }

    #[test]
    fn a_token_is_read_back_and_is_of_its_own_hash_only() {
        let (one, other) = (secret(), secret());
        let read = Secret::read(&one.reveal()).unwrap();
        assert_eq!(read.id(), one.id());
        assert!(read.is_of(&one.hash()) && !read.is_of(&other.hash()));
        assert_ne!(one.reveal(), other.reveal());
    }

    #[test]
    fn a_mistyped_token_is_told_without_the_ledger() {
        let text = secret().reveal();
        for at in [6, 40, text.len() - 1] {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(Secret::read(str::from_utf8(&wrong).unwrap()).unwrap_err(), SecretError::Damaged, "{at}");
        }
        assert_eq!(Secret::read(&text[..text.len() - 1]).unwrap_err(), SecretError::Damaged);
        assert_eq!(Secret::read(&text.replace("pct_", "PCT_")).unwrap_err(), SecretError::NoToken);
        assert_eq!(Secret::read("").unwrap_err(), SecretError::NoToken);
    }

    #[test]
    fn a_secret_is_not_in_what_is_printed_for_debugging() {
        let secret = secret();
        let hex = hex(&secret.secret);
        assert!(!format!("{secret:?}").contains(&hex) && secret.reveal().contains(&hex));
    }
}
