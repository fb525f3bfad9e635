//! PEM files into keys, chains and roots; when they changed, when they expire, who may read them.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::TlsError;
use crate::config::proxy::CertifiedKeyFiles;

/// The system's whole root bundle is some 220 KiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// When a certificate ends, for metrics and warnings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    pub file: PathBuf,
    /// Seconds since 1970 of the first certificate in the file.
    pub not_after_unix_seconds: i64,
}

/// What a file looked like; differs after any way of replacing it, symlink swaps included. `None`: not there.
pub(super) type Stamp = Option<(SystemTime, u64, u64)>;

/// # Errors
/// Unreadable or unparsable files; see [`TlsError`].
pub fn certificate_info(cert_file: &Path) -> Result<CertificateInfo, TlsError> {
    let chain = read_certificates(cert_file)?;
    info_of(cert_file, &chain)
}

/// A warning text when others than owner and group may use the key file.
#[must_use]
pub fn key_exposure(key_file: &Path) -> Option<String> {
    const OTHERS: u32 = 0o007;
    let mode = fs::metadata(key_file).ok()?.mode();
    (mode & OTHERS != 0).then(|| {
        format!(
            "{}: the private key is open to every user (mode {:o}); chmod o-rwx it",
            key_file.display(),
            mode & 0o777
        )
    })
}

pub(super) fn stamp(file: &Path) -> Stamp {
    fs::metadata(file).ok().and_then(|metadata| stamp_of(&metadata))
}

pub(super) fn certified_key(
    files: &CertifiedKeyFiles,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = read_certificates(&files.cert_file)?;
    let key = read_key(&files.key_file)?;
    let signing = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| TlsError::UnsupportedKey { file: files.key_file.clone() })?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(TlsError::KeyMismatch {
                cert_file: files.cert_file.clone(),
                key_file: files.key_file.clone(),
            })
        }
        // The key type cannot tell its public half: the handshake will.
        Err(rustls::Error::InconsistentKeys(_)) => Ok(certified),
        Err(_) => Err(TlsError::Certificate { file: files.cert_file.clone(), position: 0 }),
    }
}

pub(super) fn roots(ca_file: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for (position, certificate) in read_certificates(ca_file)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|_| TlsError::Certificate { file: ca_file.to_owned(), position })?;
    }
    Ok(Arc::new(roots))
}

pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_bounded(file)?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::Pem { file: file.to_owned() })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { file: file.to_owned() });
    }
    Ok(certificates)
}

pub(super) fn info_of(file: &Path, chain: &[CertificateDer<'_>]) -> Result<CertificateInfo, TlsError> {
    let broken = || TlsError::Certificate { file: file.to_owned(), position: 0 };
    let first = chain.first().ok_or_else(broken)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(first).map_err(|_| broken())?;
    let not_after_unix_seconds = parsed.validity().not_after.timestamp();
    Ok(CertificateInfo { file: file.to_owned(), not_after_unix_seconds })
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read_bounded(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            return TlsError::NoKey { file: file.to_owned() };
        }
        TlsError::Pem { file: file.to_owned() }
    })
}

/// The text may be a key, so it is wiped.
fn read_bounded(file: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source| TlsError::Read { file: file.to_owned(), source };
    let mut text = Zeroizing::new(Vec::new());
    let mut reader = File::open(file).map_err(failed)?.take(MAX_FILE_BYTES + 1);
    reader.read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(TlsError::TooLarge { file: file.to_owned(), max_bytes: MAX_FILE_BYTES });
    }
    Ok(text)
}

fn stamp_of(metadata: &Metadata) -> Stamp {
    metadata.modified().ok().map(|modified| (modified, metadata.len(), metadata.ino()))
}
