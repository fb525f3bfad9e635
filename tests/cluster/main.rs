//! End to end: the built binary in front of a real three-node OpenBao cluster.

#[path = "../support/mod.rs"]
mod support;

mod bring_up;
mod owner;
