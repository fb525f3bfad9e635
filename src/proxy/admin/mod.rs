//! The operator's door: metrics, health, status and control, on a listener of its own, never on the clients'.
//!
//! ```text
//! connection ─▶ listener (limits) ─▶ access (who may) ─▶ route (what) ─▶ handlers ─▶ JSON
//!                                                               └▶ node: one server, streamed
//! ```
//!
//! It runs on the control thread, so it answers while the workers are overloaded. It decides nothing about the
//! cluster: changes are [`ControlCommand`]s to whoever owns the thing, and what it shows comes from the snapshot, the
//! counters and an [`Insight`].
mod access;
mod answer;
mod body;
mod command;
mod config_view;
mod handle;
mod listener;
mod node;
mod query;
mod question;
mod read;
mod route;
mod state;
mod status;
#[cfg(test)]
mod tests;

pub use listener::{AdminListener, serve};
pub use state::{AdminState, ControlCommand, ExplainAsk, Insight, Reply};
