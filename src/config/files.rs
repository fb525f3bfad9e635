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
    for Flaw { setting, message, help } in pair_flaws(pair) {
        let path = format!("{at}.{setting}");
        match help {
            Some(help) => report.error_help(&path, "file", message, help),
            None => report.error(&path, "file", message),
        }
    }
}

/// What is wrong with one of the two files.
pub(crate) struct Flaw {
    /// `cert_file` or `key_file`.
    pub(crate) setting: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Opens both files: there, readable, and belonging together.
pub(crate) fn pair_flaws(pair: &CertifiedKeyFiles) -> Vec<Flaw> {
    let flaw = |setting, message, help| Flaw { setting, message, help };
    let chain = certificates(&pair.cert_file).map_err(|why| flaw("cert_file", why, None));
    let key = PrivateKeyDer::from_pem_file(&pair.key_file).map_err(|error| {
        flaw("key_file", format!("no private key in {}: {error}", pair.key_file.display()), None)
    });
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return chain.err().into_iter().chain(key.err()).collect(),
    };
    let Ok(signer) = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key) else {
        let message = "this kind of private key is not supported; use RSA, ECDSA or Ed25519";
        return vec![flaw("key_file", message.to_owned(), None)];
    };
    let fits = CertifiedKey::new(chain, signer).keys_match();
    let misfit = fits.err().map(|error| {
        let help = format!("it must be the key of {}", pair.cert_file.display());
        flaw("key_file", format!("this key does not fit the certificate: {error}"), Some(help))
    });
    misfit.into_iter().collect()
}

fn authorities(path: &Path, at: &str, report: &Report) {
    if let Some(why) = authorities_flaw(path) {
        report.error(at, "file", why);
    }
}

/// Why the file's certificates cannot be CAs.
pub(crate) fn authorities_flaw(path: &Path) -> Option<String> {
    let mut roots = rustls::RootCertStore::empty();
    match certificates(path) {
        Ok(found) => found
            .into_iter()
            .find_map(|authority| roots.add(authority).err())
            .map(|error| format!("{} holds a certificate that cannot be a CA: {error}", path.display())),
        Err(why) => Some(why),
    }
}

/// The certificates in a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{} holds no certificate in PEM form", path.display())),
        Err(error) => Err(format!("cannot read certificates from {}: {error}", path.display())),
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
