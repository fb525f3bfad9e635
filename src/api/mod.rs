//! Vault's wire vocabulary, shared by proxy and node. It does not know who is up nor how bytes move.
pub mod classify;
pub mod header;
pub mod health;
pub mod mount;
pub mod operation;
pub mod template;
pub mod version;
