//! `totp`: codes that change with time (RFC 6238), made for others or asked of them.
//!
//! ```text
//!   keys ─> key (settings, uri, base32) ─> store: key/<name>
//!   code ─> code (the algorithm) ─> used/<name>: steps whose code was accepted
//! ```
//!
//! A code is good once in the whole cluster: that it was used is written with the answer's own transaction.

mod backend;
mod barcode;
mod base32;
mod code;
mod key;
mod routes;
mod uri;

pub(super) use backend::Totp;
