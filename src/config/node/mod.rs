//! A node's configuration: Vault's files in HCL or JSON, several of them or directories, to a checked [`NodeConfig`],
//! with every mistake reported at once.
//!
//! ```text
//! files ─ hcl ─▶ bodies ─ Section (all files as one) ─ root, listener, storage, ... ─▶ NodeConfig ─ check
//!                             └─────────────────────────────┴──▶ notes ─▶ findings
//! ```
//!
//! Unlike Vault, a key nobody knows is an error: a setting that is misspelt protects nothing. Settings of Vault's that
//! mean nothing here are accepted with a warning that says why.

pub mod environment;
pub mod model;

mod address;
mod audit;
mod check;
mod cluster;
mod custom_headers;
mod idle;
mod listener;
mod listener_tls;
mod load;
mod notes;
mod registration;
mod root;
mod sanitized;
mod seal;
mod section;
mod storage;
mod value;

pub use environment::Environment;
pub use load::{Loaded, load, parse};
pub use model::NodeConfig;
pub use root::{format as log_format, level as log_level};
