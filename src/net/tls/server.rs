//! TLS of a listener: built from its files, replaced as a whole, never half.
//!
//! An open connection keeps the configuration it was accepted with; a broken new file leaves the old
//! configuration in use.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::{ServerConfig, ServerConnection};

use super::files::{self, CertificateInfo, Stamp};
use super::sni::SniResolver;
use super::{TlsError, provider, versions};
use crate::config::proxy::{Alpn, ClientCertMode, ClientCerts, ListenerTls};

/// The TLS configuration of one listener, shared by all workers.
pub struct ReloadableServerTls {
    settings: ListenerTls,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Loaded>,
    /// The files as last looked at, good or bad, so that one broken file is reported once.
    stamps: Mutex<Vec<Stamp>>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    certificates: Vec<CertificateInfo>,
}

/// The verified certificate of the client, in DER, after the handshake.
#[must_use]
pub fn client_certificate(connection: &ServerConnection) -> Option<&[u8]> {
    connection.peer_certificates().and_then(<[_]>::first).map(AsRef::as_ref)
}

impl ReloadableServerTls {
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(settings: &ListenerTls) -> Result<Self, TlsError> {
        let provider = provider();
        let stamps = stamps(settings);
        let ticketer = Ticketer::new()?;
        let loaded = build(settings, &provider, ticketer)?;
        Ok(Self {
            settings: settings.clone(),
            provider,
            current: ArcSwap::from_pointee(loaded),
            stamps: Mutex::new(stamps),
        })
    }

    /// For the next accepted connection.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// The certificates in use, in configured order.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        self.current.load().certificates.clone()
    }

    /// Whether a file differs from when it was last read, successfully or not. Reads metadata only.
    #[must_use]
    pub fn changed(&self) -> bool {
        stamps(&self.settings) != *self.stamps.lock()
    }

    /// Read the files again. Session tickets stay valid, unless client certificates are verified: a resumed
    /// session is not verified again, so a new CA must not accept old tickets.
    ///
    /// # Errors
    /// The first file that cannot be used; the old configuration stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.stamps.lock() = stamps(&self.settings);
        let ticketer = self.ticketer()?;
        let loaded = build(&self.settings, &self.provider, ticketer)?;
        self.current.store(Arc::new(loaded));
        Ok(())
    }

    fn ticketer(&self) -> Result<Arc<dyn ProducesTickets>, TlsError> {
        match self.settings.client_certs.mode {
            ClientCertMode::None => Ok(Arc::clone(&self.current.load().config.ticketer)),
            ClientCertMode::Optional | ClientCertMode::Required => Ok(Ticketer::new()?),
        }
    }
}

impl fmt::Debug for ReloadableServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadableServerTls")
            .field("certificates", &self.certificates())
            .finish_non_exhaustive()
    }
}

fn build(
    settings: &ListenerTls,
    provider: &Arc<CryptoProvider>,
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<Loaded, TlsError> {
    let mut keys = Vec::with_capacity(settings.certificates.len());
    let mut certificates = Vec::with_capacity(settings.certificates.len());
    for pair in &settings.certificates {
        let key = files::certified_key(pair, provider)?;
        certificates.push(files::info_of(&pair.cert_file, &key.cert)?);
        keys.push(key);
    }
    let resolver = SniResolver::new(keys).ok_or(TlsError::NoCertificates)?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions(settings.min_version))?
        .with_client_cert_verifier(client_verifier(&settings.client_certs, provider)?)
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = settings.alpn.iter().map(|alpn| alpn_name(*alpn).to_vec()).collect();
    config.ticketer = ticketer;
    Ok(Loaded { config: Arc::new(config), certificates })
}

fn client_verifier(
    settings: &ClientCerts,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if settings.mode == ClientCertMode::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let ca_file = settings.ca_file.as_ref().ok_or(TlsError::NoClientCa)?;
    let builder = WebPkiClientVerifier::builder_with_provider(files::roots(ca_file)?, Arc::clone(provider));
    let builder =
        if settings.mode == ClientCertMode::Optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| TlsError::ClientCa { file: ca_file.clone(), reason: error.to_string() })
}

const fn alpn_name(alpn: Alpn) -> &'static [u8] {
    match alpn {
        Alpn::H2 => b"h2",
        Alpn::Http11 => b"http/1.1",
    }
}

fn stamps(settings: &ListenerTls) -> Vec<Stamp> {
    let pairs = settings.certificates.iter().flat_map(|pair| [&pair.cert_file, &pair.key_file]);
    pairs.chain(settings.client_certs.ca_file.as_ref()).map(PathBuf::as_path).map(files::stamp).collect()
}
