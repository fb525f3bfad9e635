//! End to end: the built binary in front of a real three-node OpenBao cluster.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod bring_up;
mod clients;
mod dev;
mod failover;
mod load;
mod operations;
mod owner;
mod scripted;
mod scripted_tls;
mod sessions;
