//! # Understudy
//!
//! The single client endpoint of a Vault-API cluster: standbys take the reads, the active node takes the
//! writes, and no client ever reads the past.

pub mod backoff;
pub mod clock;
pub mod index;
pub mod path;
pub mod secret;
pub mod shutdown;
pub mod telemetry;

pub mod api;
pub mod config;

pub mod net;

pub mod proxy;

pub mod cli;
