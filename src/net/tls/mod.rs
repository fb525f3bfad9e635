//! rustls for listeners and for servers, built from files and reloaded.
//!
//! One crypto provider (aws-lc-rs), always named, so no process default is needed. Nothing here opens a
//! socket or decides when to look at the files again: `net::listener` accepts, the proxy's owner task reloads.

pub mod client;
pub mod error;
pub mod files;
pub mod server;
pub mod sni;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{SupportedProtocolVersion, version};

use crate::config::proxy::TlsVersion;

pub use client::{client_config, server_name};
pub use error::TlsError;
pub use files::{CertificateInfo, certificate_info, key_exposure};
pub use server::{ReloadableServerTls, client_certificate};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match min {
        TlsVersion::Tls12 => &BOTH,
        TlsVersion::Tls13 => BOTH.split_at(1).0,
    }
}

#[cfg(test)]
mod tests;
