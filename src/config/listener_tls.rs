//! `listeners[].tls`, and the certificate pairs both sides of the proxy use. Files are not opened here: see `files`.

use std::time::Duration;

use super::proxy::{Alpn, CertifiedKeyFiles, ClientCertMode, ClientCerts, ListenerTls, TlsVersion};
use super::raw::{ForwardAs, RawCertificate, RawClientCerts, RawListenerTls, RawTlsReload};
use super::report::Report;
use super::unit::FileName;

/// Version. TLS 1.0 and 1.1 are not implemented at all; 1.2 is still what some old clients speak.
pub(super) const MIN_VERSION: TlsVersion = TlsVersion::Tls12;
/// Protocols, most wanted first: one HTTP/2 connection replaces many from a busy client.
const ALPN: [Alpn; 2] = [Alpn::H2, Alpn::Http11];
/// Time. Certificates change every few days; two `stat` calls each half minute cost nothing.
const WATCH_INTERVAL: Duration = Duration::from_secs(30);
/// Shortest watch interval.
const WATCH_INTERVAL_LEAST: Duration = Duration::from_secs(1);
/// Mode. Tokens identify clients; certificates are for auth/cert and closed networks.
const CLIENT_CERT_MODE: ClientCertMode = ClientCertMode::None;

pub(crate) fn convert(raw: RawListenerTls, listener: &str, report: &Report) -> ListenerTls {
    let at = format!("{listener}.tls");
    let written = raw.certificates.given().unwrap_or_default();
    if written.is_empty() {
        report.missing(
            &format!("{at}.certificates"),
            "write `certificates: [{cert_file: ..., key_file: ...}]`",
        );
    }
    let certificates = written.into_iter().enumerate().filter_map(|(number, certificate)| {
        certificate_pair(certificate.given()?, &format!("{at}.certificates[{number}]"), report)
    });
    let certificates = certificates.collect();
    let alpn = raw.alpn.list();
    ListenerTls {
        certificates,
        watch_interval: watch_interval(&raw.reload.section(), &at, report),
        min_version: raw.min_version.or(MIN_VERSION),
        alpn: if alpn.is_empty() { ALPN.to_vec() } else { alpn },
        client_certs: client_certs(raw.client_certs.section(), &at, report),
    }
}

/// Both files, or a report of the one that is not named.
pub(crate) fn certificate_pair(raw: RawCertificate, at: &str, report: &Report) -> Option<CertifiedKeyFiles> {
    for (name, field) in [("cert_file", &raw.cert_file), ("key_file", &raw.key_file)] {
        if field.is_absent() {
            report.missing(&format!("{at}.{name}"), "a certificate is a pair: cert_file and key_file");
        }
    }
    let (FileName(cert_file), FileName(key_file)) = (raw.cert_file.given()?, raw.key_file.given()?);
    Some(CertifiedKeyFiles { cert_file, key_file })
}

fn watch_interval(raw: &RawTlsReload, at: &str, report: &Report) -> Duration {
    if raw.watch.or(true) {
        let interval = raw.interval.clone().or(WATCH_INTERVAL);
        report.no_shorter(&format!("{at}.reload.interval"), interval, WATCH_INTERVAL_LEAST)
    } else {
        Duration::ZERO
    }
}

fn client_certs(raw: RawClientCerts, at: &str, report: &Report) -> ClientCerts {
    let mode = raw.mode.or(CLIENT_CERT_MODE);
    if mode != ClientCertMode::None && raw.ca_file.is_absent() {
        report.missing(&format!("{at}.client_certs.ca_file"), "name the CA that signs client certificates");
    }
    let forward_client_cert = raw.forward_as.given() == Some(ForwardAs::ClientCert);
    if mode == ClientCertMode::None && forward_client_cert {
        let path = format!("{at}.client_certs.forward_as");
        report.warning(
            &path,
            "no certificate is asked for, so none is passed on",
            "set mode: optional or required",
        );
    }
    ClientCerts { mode, ca_file: raw.ca_file.given().map(|FileName(path)| path), forward_client_cert }
}
