//! The session's promises, as tables of inputs and as properties.

mod attempts;
mod properties;
mod rig;
mod streams;
