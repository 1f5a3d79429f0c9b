//! The one port with every surface that it serves, over real sockets: what is behind it are services of this test.

mod authority;
mod client;
mod server;

mod connections;
mod encrypted;
mod grpc;
mod guard;
mod pages;
mod rest;
mod streams;
