//! The proxy half. It knows Vault's wire (`api`), never a node's inside.
pub mod access_log;
pub mod admin;
pub mod affinity;
pub mod balance;
pub mod cluster;
pub mod decisions;
pub mod discovery;
pub mod endpoint;
pub mod error;
pub mod explain;
pub mod forward;
pub mod guard;
pub mod health;
pub mod learn;
pub mod metrics;
pub mod observation;
pub mod outlier;
pub mod rate;
pub mod retry;
pub mod route;
pub mod rules;
pub mod service;
pub mod snapshot;
#[cfg(test)]
mod testing;
pub mod worker;
