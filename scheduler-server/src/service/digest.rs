//! What a request says, in few bytes: the same for the same fields, whatever the release.

use prost::Message;
use sha2::{Digest, Sha256};

/// Of the request as it would be sent: fields in order, maps sorted.
fn hash(method: &str, request: &impl Message) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(method);
    hasher.update([0]);
    hasher.update(request.encode_to_vec());
    hasher.finalize().into()
}

/// What the ledger keeps of a numbered request.
pub(super) fn text(method: &str, request: &impl Message) -> String {
    hash(method, request)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What binds a page token to the other arguments of its request.
pub(super) fn short(method: &str, arguments: &impl Message) -> [u8; 8] {
    hash(method, arguments)[..8].try_into().expect("because it is longer")
}
