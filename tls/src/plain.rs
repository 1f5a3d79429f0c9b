//! Whoever speaks without TLS to a port that has it is told so, in the version of HTTP that it began to speak.

/// What it is told.
pub const ADVICE: &str = "this port speaks TLS: write https:// instead of http://";

/// These many first bytes are enough to tell the versions of HTTP from each other.
pub const ENOUGH: usize = 4;

/// The first byte of every connection that begins with TLS: a record with a part of the handshake.
const HANDSHAKE: u8 = 0x16;

/// Whether a connection that begins so may be TLS.
pub fn is_tls(first: u8) -> bool {
    first == HANDSHAKE
}

/// The answer to a connection that begins with these bytes.
pub fn answer(first: &[u8]) -> Vec<u8> {
    if first.starts_with(b"PRI ") { over_http2() } else { over_http1() }
}

fn over_http1() -> Vec<u8> {
    let length = ADVICE.len() + 1;
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{ADVICE}\n"
    )
    .into_bytes()
}

/// Empty SETTINGS, and GOAWAY with the reason in words: gRPC clients print them.
fn over_http2() -> Vec<u8> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 0x4, 0, 0, 0, 0, 0];
    const GOAWAY: u8 = 0x7;
    const INADEQUATE_SECURITY: [u8; 4] = [0, 0, 0, 0xc];
    const NO_STREAM: [u8; 4] = [0; 4];
    let length = u8::try_from(NO_STREAM.len() + INADEQUATE_SECURITY.len() + ADVICE.len());
    let length = length.expect("because the advice is one short line");
    let mut frames = SETTINGS.to_vec();
    frames.extend([0, 0, length, GOAWAY, 0]);
    frames.extend(NO_STREAM);
    frames.extend(NO_STREAM);
    frames.extend(INADEQUATE_SECURITY);
    frames.extend(ADVICE.as_bytes());
    frames
}
