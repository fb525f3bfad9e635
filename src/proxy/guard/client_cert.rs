//! `Client-Cert` (RFC 9440): the client certificate our TLS verified, for certificate login behind us.
//!
//! What clients send under that name is gone before this file runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::PeerInfo;
use crate::config::proxy::Listener;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// Certificates are 1 to 4 KiB; one that would fill the head of every request is not passed on.
const MAX_DER_BYTES: usize = 16 * 1024;

pub fn apply(headers: &mut HeaderMap, peer: &PeerInfo, listener: &Listener) {
    let wanted = listener.tls.as_ref().is_some_and(|tls| tls.client_certs.forward_client_cert);
    if let (true, Some(value)) = (wanted, &peer.client_cert) {
        headers.insert(CLIENT_CERT, value.clone());
    }
}

/// A structured-field byte sequence: base64 between colons (RFC 8941 §3.3.5).
pub(super) fn header_value(der: &[u8]) -> Option<HeaderValue> {
    if der.len() > MAX_DER_BYTES {
        return None;
    }
    HeaderValue::try_from(format!(":{}:", STANDARD.encode(der))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_byte_sequences_of_bounded_size() {
        assert_eq!(header_value(b"\x30\x03abc").unwrap(), ":MANhYmM=:");
        assert_eq!(header_value(&vec![0; MAX_DER_BYTES + 1]), None);
    }
}
