//! The `tls_*` settings of a listener. Files are opened by `check`.

use std::time::Duration;

use super::section::Section;
use crate::config::proxy::{Alpn, CertifiedKeyFiles, ClientCertMode, ClientCerts, ListenerTls, TlsVersion};

/// Version. Older ones are not implemented at all.
const MIN_VERSION: TlsVersion = TlsVersion::Tls12;
/// Protocols, most wanted first: one HTTP/2 connection replaces many from a busy client.
const ALPN: [Alpn; 2] = [Alpn::H2, Alpn::Http11];
/// Time between two looks at the files when `tls_auto_reload` asks for them: certificates change every few days.
const WATCH_INTERVAL: Duration = Duration::from_secs(30);
/// Shortest such time.
const WATCH_INTERVAL_LEAST: Duration = Duration::from_secs(1);

/// `None`: `tls_disable`, or a unix socket without a certificate.
pub(super) fn read(section: &Section<'_>, is_unix: bool) -> Option<ListenerTls> {
    let disabled = section.is_on("tls_disable", is_unix);
    let (cert, key) = (section.path("tls_cert_file"), section.path("tls_key_file"));
    let settings = ListenerTls {
        certificates: Vec::new(),
        watch_interval: watch_interval(section),
        min_version: min_version(section),
        alpn: ALPN.to_vec(),
        client_certs: client_certs(section),
    };
    other_settings(section);
    if disabled {
        return None;
    }
    for (given, key) in [(&cert, "tls_cert_file"), (&key, "tls_key_file")] {
        if given.is_none() {
            let help = "name the PEM file, or write tls_disable = true for plain HTTP";
            section.notes.missing(&section.spot, key, help);
        }
    }
    let files = CertifiedKeyFiles { cert_file: cert?.value, key_file: key?.value };
    Some(ListenerTls { certificates: vec![files], ..settings })
}

fn min_version(section: &Section<'_>) -> TlsVersion {
    let word = |key| version(section, key, &["tls12", "tls13"]);
    if let Some(TlsVersion::Tls12) = word("tls_max_version") {
        section.unsupported("tls_max_version", "TLS 1.3 is always spoken; leave it out");
    }
    word("tls_min_version").unwrap_or(MIN_VERSION)
}

fn version(section: &Section<'_>, key: &'static str, known: &[&str]) -> Option<TlsVersion> {
    let given = section.text(key)?;
    match given.value.as_str() {
        "tls12" => Some(TlsVersion::Tls12),
        "tls13" => Some(TlsVersion::Tls13),
        "tls10" | "tls11" => {
            let message = "TLS 1.0 and 1.1 are not supported";
            section.notes.error_help(&given.spot, "unsupported", message, "write \"tls12\" or \"tls13\"");
            None
        }
        other => {
            section.notes.unknown_word(&given.spot, other, known);
            None
        }
    }
}

/// Zero: the files are read again on SIGHUP only.
fn watch_interval(section: &Section<'_>) -> Duration {
    let interval = section.time("tls_auto_reload_interval");
    if !section.is_on("tls_auto_reload", false) {
        return Duration::ZERO;
    }
    interval.map_or(WATCH_INTERVAL, |given| given.value.max(WATCH_INTERVAL_LEAST))
}

/// As Vault: a CA that is named is used for whatever certificate a client shows; only `require` makes it necessary.
fn client_certs(section: &Section<'_>) -> ClientCerts {
    let ca_file = section.path("tls_client_ca_file").map(|given| given.value);
    let require = section.flag("tls_require_and_verify_client_cert").filter(|given| given.value);
    let disable = section.flag("tls_disable_client_certs").filter(|given| given.value);
    if let (Some(require), Some(_)) = (&require, &disable) {
        let message = "client certificates cannot be both required and disabled";
        section.notes.error_help(&require.spot, "conflict", message, "keep one of the two");
    }
    if let (Some(require), None) = (&require, &ca_file) {
        let message = "no CA is named for client certificates";
        section.notes.error_help(&require.spot, "missing", message, "name it in tls_client_ca_file");
    }
    let mode = match (&ca_file, require.is_some(), disable.is_some()) {
        (_, _, true) | (None, ..) => ClientCertMode::None,
        (Some(_), true, _) => ClientCertMode::Required,
        (Some(_), false, _) => ClientCertMode::Optional,
    };
    ClientCerts { mode, ca_file, forward_client_cert: false }
}

fn other_settings(section: &Section<'_>) {
    const SUITES: &str = "TLS 1.2 and 1.3 are spoken with forward-secret AEAD suites only, in a fixed order";
    for key in ["tls_cipher_suites", "tls_prefer_server_cipher_suites", "tls_key_exchange_preferences"] {
        section.without_effect(key, SUITES);
    }
    for key in [
        "tls_acme_domains",
        "tls_acme_ca_directory",
        "tls_acme_ca_root",
        "tls_acme_test_ca_directory",
        "tls_acme_cache_path",
        "tls_acme_email",
        "tls_acme_eab_key_id",
        "tls_acme_eab_mac_key",
        "tls_acme_key_type",
        "tls_acme_challenge_host",
        "tls_acme_http_challenge_port",
        "tls_acme_alpn_challenge_port",
        "tls_acme_disable_http_challenge",
        "tls_acme_disable_alpn_challenge",
    ] {
        section.unsupported(key, "let an ACME client write tls_cert_file and tls_key_file, then send SIGHUP");
    }
}
