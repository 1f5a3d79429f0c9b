//! Frames of HTTP/2 as no decent client sends them.

use std::io::Write;
use std::net::TcpStream;

use super::drained;

pub(super) const HEADERS: u8 = 0x1;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const CONTINUATION: u8 = 0x9;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const REFUSED_STREAM: u32 = 0x7;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// `GET http://localhost/healthz`: three fields of HPACK's table, or their names with values.
pub(super) const GET_HEALTHZ: &[u8] = b"\x82\x86\x04\x08/healthz\x01\x09localhost";
/// `GET http://localhost/api/v1/scheduler/runs/events`, which does not end.
pub(super) const WATCH_RUNS: &[u8] = b"\x82\x86\x04\x1d/api/v1/scheduler/runs/events\x01\x09localhost";

/// How a server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    EnhanceYourCalm,
    Other,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Begins to speak HTTP/2.
pub(super) fn opened(stream: &mut TcpStream) {
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("written");
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).expect("written");
}

/// Reads to the end, and answers how it came.
pub(super) fn ending(stream: &mut TcpStream) -> Ending {
    let goaway = parsed(&drained(stream)).into_iter().rfind(|frame| frame.kind == GOAWAY);
    match goaway.and_then(|frame| frame.payload.get(4..8).map(code)) {
        Some(ENHANCE_YOUR_CALM) => Ending::EnhanceYourCalm,
        _ => Ending::Other,
    }
}

/// Reads what has come, and answers how many streams were refused.
pub(super) fn refused_streams(stream: &mut TcpStream) -> usize {
    let frames = parsed(&drained(stream));
    frames.iter().filter(|frame| frame.kind == RST_STREAM && code(&frame.payload) == REFUSED_STREAM).count()
}

struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

fn parsed(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).expect("24 bits");
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        frames.push(Frame { kind: head[3], payload: payload.to_vec() });
        bytes = rest;
    }
    frames
}

fn code(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(u32::MAX, u32::from_be_bytes)
}
