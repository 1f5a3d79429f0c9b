//! The protocol: `punctual.v1`'s messages, clients and servers, generated from `proto/`, their
//! descriptor set, and the schemas of the built-in task types' payloads.
//!
//! Clients, servers, the REST transcoder and reflection all start from here, so that there is one
//! description of every shape. This crate holds no rule about what the messages mean: that is the work of
//! `job-spec` and of the services.

pub mod payloads;

/// All messages, clients and servers of the package `punctual.v1`.
#[allow(clippy::all, clippy::semicolon_if_nothing_returned, unreachable_pub, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("punctual.v1");
}

/// The encoded `google.protobuf.FileDescriptorSet` of `punctual.v1` and all that it imports, with comments
/// and `google.api.http` options.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));
