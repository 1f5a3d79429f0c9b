//! The page at `/` for a server without the dashboard: says what this is and where to go.
//!
//! It is one document without scripts, and loads nothing.

use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};

const PAGE: &str = include_str!("page.html");

/// Nothing may be loaded, no form sent and no frame drawn around it; the styles stand in the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 2] =
    [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")];

pub(super) async fn show() -> impl IntoResponse {
    (HEADERS, Html(PAGE.replace("{version}", env!("CARGO_PKG_VERSION"))))
}
