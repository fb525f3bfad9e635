//! Agreement on a log of bytes: the consensus library, its log on disk and its state machine, behind one handle.
//!
//! The library is an alpha and stays inside: what others see is [`Node`], [`Machine`] and plain types, and what is on
//! the disk is ours (`record`, `log`). This layer knows neither keys nor values; `storage::raft` brings the machine.

mod answer;
pub mod archive;
mod group;
mod log;
mod machine;
mod network;
mod node;
mod record;
#[cfg(test)]
mod tests;
mod types;

pub use log::LogFigures;
pub use machine::{Image, Machine, Step};
pub use node::{Member, Node, Options, ProposeError, Proposed, StartError, Status, start};
pub use types::{MAX_NODE_ID_BYTES, NodeId, Peer, Verdict};
