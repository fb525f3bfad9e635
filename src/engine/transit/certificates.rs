//! Certificates of a version's public key.

use super::encoding;
use super::record::Version;

/// The chain as PEM; empty when there is none.
pub(super) fn chain_pem(version: &Version) -> String {
    let certificates = version.certificates.iter().filter_map(|der| encoding::decode(der).ok());
    certificates.map(|der| encoding::pem("CERTIFICATE", &der).to_string()).collect()
}
