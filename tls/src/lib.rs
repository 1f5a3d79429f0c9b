//! TLS: what a server shows and asks for, and whom a client trusts.
//!
//! All of Punctual's own connections go by it, so that server, agent and command line read the same files in the same way
//! and refuse the same mistakes in the same words. (Tasks that call others over HTTPS are the agent's handlers' own.) There is one provider of cryptography, ring. Who may do what is not
//! decided here: a server learns the certificate that a client has proved to hold ([`PeerCertificate`]), and that is all.

mod client;
mod peer;
mod pem;
pub mod plain;
mod server;

pub use self::client::{ClientFiles, ClientTls, Scheme, explain, is_exposed, with_scheme};
pub use self::peer::PeerCertificate;
pub use self::pem::FileError;
pub use self::server::{Reload, ServerError, ServerFiles, ServerTls};
