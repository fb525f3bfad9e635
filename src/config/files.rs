//! Opens the certificate, key and CA files a configuration names: there, readable, and belonging together.
//!
//! Only `load` does this; a sample checked on another machine has no such files.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::proxy::{CertifiedKeyFiles, ProxyConfig};
use super::report::Report;
use super::secret_text::read_secret_file;

pub(crate) fn check(config: &ProxyConfig, report: &Report) {
    for (number, listener) in config.listeners.iter().enumerate() {
        let Some(tls) = &listener.tls else { continue };
        let at = format!("listeners[{number}].tls");
        for (index, pair) in tls.certificates.iter().enumerate() {
            certificate_pair(pair, &format!("{at}.certificates[{index}]"), report);
        }
        if let Some(path) = &tls.client_certs.ca_file {
            authorities(path, &format!("{at}.client_certs.ca_file"), report);
        }
    }
    let upstream = &config.cluster.tls;
    if let Some(path) = &upstream.ca_file {
        authorities(path, "cluster.tls.ca_file", report);
    }
    if let Some(pair) = &upstream.client_cert {
        certificate_pair(pair, "cluster.tls.client_cert", report);
    }
    if let Some(path) = &config.routing.mount_discovery.token_file {
        token(path, report);
    }
}

fn certificate_pair(pair: &CertifiedKeyFiles, at: &str, report: &Report) {
    let chain = certificates(&pair.cert_file, &format!("{at}.cert_file"), report);
    let path = format!("{at}.key_file");
    let key = PrivateKeyDer::from_pem_file(&pair.key_file)
        .map_err(|error| {
            report.error(&path, "file", format!("no private key in {}: {error}", pair.key_file.display()))
        })
        .ok();
    let (Some(chain), Some(key)) = (chain, key) else { return };
    let Ok(signer) = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key) else {
        return report.error(
            &path,
            "file",
            "this kind of private key is not supported; use RSA, ECDSA or Ed25519",
        );
    };
    if let Err(error) = CertifiedKey::new(chain, signer).keys_match() {
        let help = format!("it must be the key of {}", pair.cert_file.display());
        report.error_help(&path, "file", format!("this key does not fit the certificate: {error}"), help);
    }
}

fn authorities(path: &Path, at: &str, report: &Report) {
    let Some(found) = certificates(path, at, report) else { return };
    let mut roots = rustls::RootCertStore::empty();
    if let Some(error) = found.into_iter().find_map(|authority| roots.add(authority).err()) {
        report.error(
            at,
            "file",
            format!("{} holds a certificate that cannot be a CA: {error}", path.display()),
        );
    }
}

/// The certificates in a PEM file, at least one.
fn certificates(path: &Path, at: &str, report: &Report) -> Option<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Some(found),
        Ok(_) => {
            report.error(at, "file", format!("{} holds no certificate in PEM form", path.display()));
            None
        }
        Err(error) => {
            report.error(at, "file", format!("cannot read certificates from {}: {error}", path.display()));
            None
        }
    }
}

fn token(path: &Path, report: &Report) {
    let at = "routing.mount_discovery.token_file";
    match read_secret_file(path) {
        Ok(text) if text.is_empty() => report.error(at, "file", format!("{} is empty", path.display())),
        Ok(_) => {}
        Err(why) => report.error(at, "file", why),
    }
}
