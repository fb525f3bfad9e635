//! A node from outside, as a process: killed while it writes, and asked what nobody should ask.

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod kill;
mod process;
