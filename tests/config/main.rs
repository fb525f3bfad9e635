//! Configuration files as people write them: the samples, and every way to get one wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files has failed")]

mod files;
mod laws;
mod mistakes;
mod node;
mod samples;
