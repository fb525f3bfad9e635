//! What can be wrong with TLS files: which file, why, and what to do about it.
//!
//! The parsers' own errors quote input lines, and the input may be a private key; so they are not shown.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: cannot be read: {source}; check the path and that this user may read it", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{}: larger than {max_bytes} bytes; this is not a PEM certificate or key file", file.display())]
    TooLarge { file: PathBuf, max_bytes: u64 },
    #[error("{}: broken PEM; write the file again, from -----BEGIN to -----END", file.display())]
    Pem { file: PathBuf },
    #[error("{}: holds no CERTIFICATE block; put the certificate and its chain here in PEM", file.display())]
    NoCertificate { file: PathBuf },
    #[error("{}: holds no unencrypted PRIVATE KEY block; decrypt the key or name the right file", file.display())]
    NoKey { file: PathBuf },
    #[error("{}: this kind of private key is not supported; use ECDSA P-256/P-384, Ed25519 or RSA >= 2048", file.display())]
    UnsupportedKey { file: PathBuf },
    #[error("{}: is not the key of the first certificate in {}; name the pair that belongs together", key_file.display(), cert_file.display())]
    KeyMismatch { cert_file: PathBuf, key_file: PathBuf },
    #[error("{}: certificate {} is not usable X.509; export it again", file.display(), position + 1)]
    Certificate { file: PathBuf, position: usize },
    #[error("client_certs.mode needs client_certs.ca_file: name the CA that signs client certificates")]
    NoClientCa,
    #[error("{}: client certificates cannot be verified with it: {reason}; name a file with CA certificates", file.display())]
    ClientCa { file: PathBuf, reason: String },
    #[error("tls.certificates is empty: name at least one cert_file and key_file")]
    NoCertificates,
    #[error(
        "{name:?} is no DNS name or IP address; set cluster.tls.server_name to the name in the certificate"
    )]
    ServerName { name: String },
    #[error("TLS cannot be set up: {0}; this build's crypto provider lacks what the configuration asks for")]
    Setup(#[from] rustls::Error),
}
