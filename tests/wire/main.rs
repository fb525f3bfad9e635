//! Bytes on real sockets: clients that lie, stall and vanish, backends that answer nonsense, against the built
//! binary. What must hold: the right status, counted, one reading of every request, nothing hangs.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::let_underscore_must_use, reason = "the other side may be gone already")]

mod answers;
mod backend;
mod client;
mod corpus;
mod desync;
mod frames;
mod h2_abuse;
mod headers;
mod proxy;
mod slow;
mod tls;
