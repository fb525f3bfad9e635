//! TLS towards the servers of the cluster.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use super::{TlsError, files, provider, versions};
use crate::config::proxy::UpstreamTls;

/// One configuration for all servers and workers, so that sessions are resumed across them. HTTP/1.1 by ALPN.
///
/// # Errors
/// The first file that cannot be used.
pub fn client_config(settings: &UpstreamTls) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match &settings.ca_file {
        Some(ca_file) => files::roots(ca_file)?,
        None => public_roots(),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))?
        .with_root_certificates(roots);
    let mut config = with_identity(builder, settings)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The name to ask for and to verify: `cluster.tls.server_name`, else the server's own host.
///
/// # Errors
/// The name is neither a DNS name nor an IP address.
pub fn server_name(settings: &UpstreamTls, host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = settings.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName { name: name.to_owned() })
}

fn public_roots() -> Arc<RootCertStore> {
    Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
}

fn with_identity(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    settings: &UpstreamTls,
) -> Result<ClientConfig, TlsError> {
    let Some(pair) = &settings.client_cert else { return Ok(builder.with_no_client_auth()) };
    let key = files::certified_key(pair, builder.crypto_provider())?;
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))))
}
