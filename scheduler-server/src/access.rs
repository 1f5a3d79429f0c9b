//! Who calls, and what they may: tokens are proved here, and one table says what each method needs.
//!
//! The port asks twice, whichever way a call comes in: [`SignIn`] says who calls, before anything of the request is read;
//! [`Gate::admit`] says whether they may, by [`rules`], before a service sees it. The services know the [`Caller`], and ask it
//! only for which namespaces a list may show.

mod bootstrap;
mod caller;
mod gate;
mod proved;
mod rates;
mod refusals;
pub mod rules;
mod secret;
mod sign_in;
mod wire;

pub use bootstrap::{Bootstrap, BootstrapError, bootstrap, issue};
pub use caller::{Admission, Caller, Reach};
pub use gate::{Admitted, Denied, Gate};
pub use proved::Proved;
pub use rates::Rate;
pub use refusals::{Keeping, Refusals, keep};
pub use secret::{Secret, SecretError};
pub use sign_in::{SignIn, SignInError};

use std::sync::Arc;

use scheduler_core::time::Now;

/// Where both clocks are read.
pub type Clocks = Arc<dyn Fn() -> Now + Send + Sync>;
