//! The proxy's configuration: from a YAML file to a checked [`proxy::ProxyConfig`], with every mistake reported at once.
//!
//! ```text
//! text ─ tree ─▶ nodes with places ─ decode ─▶ raw types ─ sections ─▶ ProxyConfig ─ cross_check, files
//!          └──────────────┴────────────────────────┴───────────────────────┴──▶ report ─▶ findings
//! ```
//!
//! A node's configuration is in [`node`]; it shares the findings and how they are reported.
//!
//! Invariant: nothing here stops at the first mistake, and no finding holds a secret.

pub mod finding;
pub mod load;
pub mod node;
pub mod proxy;
pub mod schema;

mod decode;
mod field;
mod mask;
mod raw;
mod report;
mod secret_text;
pub(crate) mod tree;
mod unit;
mod vocabulary;

mod admin;
mod cluster;
mod consistency;
mod health;
mod listener;
mod listener_tls;
mod observability;
mod retry;
mod routing;
mod rule;
mod runtime;

mod cross_check;
mod files;
mod rule_check;

pub use finding::{Finding, Severity};
pub use load::{Loaded, load, parse};
