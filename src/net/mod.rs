//! Bytes ↔ HTTP. It knows no Vault.
pub mod body;
pub mod boxes;
pub mod client;
pub mod codec;
pub mod listener;
pub mod pool;
pub mod proxy_protocol;
pub mod serve;
pub mod tls;
pub mod upstream;
