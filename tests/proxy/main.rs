//! The built binary in front of scripted backends: what a real cluster cannot be made to do at will.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod drain;
mod http2;
mod leadership;
mod learning;
mod misbehaving;
mod reload;
mod streaming;
mod upgrade;
