//! What the proxy counts about itself, and how Prometheus reads it.
//!
//! ```text
//! worker 0 ── WorkerMetrics ─▶ cells ─┐
//! worker 1 ── WorkerMetrics ─▶ cells ─┼─▶ Metrics::render ─▶ text exposition
//! owner    ── ClusterCounters ────────┤
//! Snapshot (roles, indexes) ──────────┘
//! ```
//!
//! A worker writes only its own cells (plain load and store, no locked instruction); a scrape adds them up.
//! Labels are closed sets ([`label`]): no path, namespace, token, address or mount name ever becomes a label.
mod cell;
mod cluster;
mod export;
mod family;
pub mod label;
mod process;
mod registry;
mod slot;
mod worker;

pub use cluster::ClusterCounters;
pub use registry::{CertificateExpiry, CertificateOwner, Metrics, ServerUse};
pub use slot::{ListenerSlot, ServerSlot};
pub use worker::{Finished, WorkerMetrics};
