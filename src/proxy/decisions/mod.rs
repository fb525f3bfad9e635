//! The last things that happened, kept in memory for the operator: routing decisions, and malformed input.
//!
//! Both are bounded rings that reuse their memory. A worker never waits for a reader: when the admin is reading just
//! then, the entry is skipped.
mod malformed;
mod ring;

pub use malformed::{BadSide, Malformed, MalformedEntry};
pub use ring::{Decision, Decisions, WorkerDecisions};
