//! A node from outside, as a process: killed while it writes, and asked what nobody should ask.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod canary;
mod hostile;
mod kill;
mod process;
mod restore;
