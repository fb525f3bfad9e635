//! A running proxy: assembled here, stopped here. It wires and decides nothing about requests.
//!
//! ```text
//!   control thread                                      worker threads (one per core)
//!   ┌──────────────────────────────────────┐            ┌───────────────────────────────┐
//!   │ cluster owner, probers, discovery     │─Snapshot──>│ sockets, pools, counters       │
//!   │ admin listener, metrics               │<─observe───│ requests                       │
//!   │ signals, reload, file and cert watch  │─Command───>│                                │
//!   └──────────────────────────────────────┘            └───────────────────────────────┘
//! ```

mod control;
mod insight;
mod listeners;
mod parts;
mod workers;

pub use control::{Running, serve};
pub use parts::{Addresses, Source, Start, StartError};
