//! Handshakes in memory with throw-away certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, ServerConfig, ServerConnection};
use tempfile::TempDir;

use super::*;
use crate::config::proxy::{Alpn, CertifiedKeyFiles, ClientCertMode, ClientCerts, ListenerTls, UpstreamTls};

struct Pki {
    dir: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { dir, ca };
        fs::write(pki.ca_file(), pki.ca.pem()).unwrap();
        pki
    }

    fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn issue(&self, file: &str, names: &[&str]) -> CertifiedKeyFiles {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let pair = CertifiedKeyFiles {
            cert_file: self.dir.path().join(format!("{file}.crt")),
            key_file: self.dir.path().join(format!("{file}.key")),
        };
        fs::write(&pair.cert_file, certificate.pem()).unwrap();
        fs::write(&pair.key_file, key.serialize_pem()).unwrap();
        pair
    }

    fn upstream(&self) -> UpstreamTls {
        UpstreamTls {
            ca_file: Some(self.ca_file()),
            server_name: None,
            client_cert: None,
            min_version: TlsVersion::Tls12,
        }
    }

    fn client(&self) -> Arc<ClientConfig> {
        client_config(&self.upstream()).unwrap()
    }
}

fn listener(certificates: Vec<CertifiedKeyFiles>) -> ListenerTls {
    ListenerTls {
        certificates,
        watch_interval: std::time::Duration::ZERO,
        min_version: TlsVersion::Tls12,
        alpn: vec![Alpn::H2, Alpn::Http11],
        client_certs: ClientCerts { mode: ClientCertMode::None, ca_file: None, forward_client_cert: false },
    }
}

/// Move bytes both ways until both sides are done or one refuses.
fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let mut client = ClientConnection::new(client, ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok((client, server))
}

fn served(client: &ClientConnection) -> Vec<u8> {
    client.peer_certificates().unwrap()[0].to_vec()
}

fn der(pair: &CertifiedKeyFiles) -> Vec<u8> {
    files::read_certificates(&pair.cert_file).unwrap()[0].to_vec()
}

#[test]
fn the_name_asked_for_picks_the_certificate() {
    let pki = Pki::new();
    let first = pki.issue("first", &["a.example", "unknown.test", "127.0.0.1"]);
    let second = pki.issue("second", &["b.example", "*.wild.example"]);
    let tls = ReloadableServerTls::load(&listener(vec![first.clone(), second.clone()])).unwrap();
    let table = [
        ("a.example", &first),
        ("b.example", &second),
        ("B.Example", &second),
        ("x.wild.example", &second),
        ("unknown.test", &first),
        ("127.0.0.1", &first),
    ];
    for (name, expected) in table {
        let (client, _) = handshake(pki.client(), tls.current(), name).unwrap();
        assert_eq!(served(&client), der(expected), "{name}");
    }
}

#[test]
fn alpn_prefers_the_listeners_order_and_upstream_speaks_http_1() {
    let pki = Pki::new();
    let tls = ReloadableServerTls::load(&listener(vec![pki.issue("s", &["s.example"])])).unwrap();
    let (client, _) = handshake(pki.client(), tls.current(), "s.example").unwrap();
    assert_eq!(client.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut both = (*pki.client()).clone();
    both.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let (client, _) = handshake(Arc::new(both), tls.current(), "s.example").unwrap();
    assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
}

#[test]
fn a_reload_serves_the_new_certificate_and_a_broken_file_the_old() {
    let pki = Pki::new();
    let pair = pki.issue("s", &["s.example"]);
    let tls = ReloadableServerTls::load(&listener(vec![pair.clone()])).unwrap();
    let old = der(&pair);
    assert!(!tls.changed());

    pki.issue("s", &["s.example"]);
    assert!(tls.changed());
    tls.reload().unwrap();
    assert!(!tls.changed());
    let (client, _) = handshake(pki.client(), tls.current(), "s.example").unwrap();
    let new = served(&client);
    assert_ne!(new, old);

    fs::write(&pair.cert_file, "-----BEGIN CERTIFICATE-----\nno\n").unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("s.crt: broken PEM"), "{error}");
    assert!(!tls.changed(), "one broken file is reported once");
    let (client, _) = handshake(pki.client(), tls.current(), "s.example").unwrap();
    assert_eq!(served(&client), new);

    fs::remove_file(&pair.cert_file).unwrap();
    assert!(tls.changed());
}

#[test]
fn tickets_survive_a_reload() {
    let pki = Pki::new();
    let tls = ReloadableServerTls::load(&listener(vec![pki.issue("s", &["s.example"])])).unwrap();
    let client = pki.client();
    handshake(Arc::clone(&client), tls.current(), "s.example").unwrap();
    tls.reload().unwrap();
    let (resumed, _) = handshake(client, tls.current(), "s.example").unwrap();
    assert_eq!(resumed.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
}

#[test]
fn client_certificates() {
    let pki = Pki::new();
    let identity = pki.issue("client", &["client"]);
    let with = |pair: CertifiedKeyFiles| {
        let upstream = UpstreamTls { client_cert: Some(pair), ..pki.upstream() };
        client_config(&upstream).unwrap()
    };
    let stranger = with(Pki::new().issue("stranger", &["client"]));
    let known = with(identity.clone());
    let mut settings = listener(vec![pki.issue("s", &["s.example"])]);
    settings.client_certs.ca_file = Some(pki.ca_file());

    settings.client_certs.mode = ClientCertMode::Required;
    let required = ReloadableServerTls::load(&settings).unwrap();
    assert!(handshake(pki.client(), required.current(), "s.example").is_err());
    assert!(handshake(Arc::clone(&stranger), required.current(), "s.example").is_err());
    let (_, server) = handshake(Arc::clone(&known), required.current(), "s.example").unwrap();
    assert_eq!(client_certificate(&server).unwrap(), der(&identity));

    settings.client_certs.mode = ClientCertMode::Optional;
    let optional = ReloadableServerTls::load(&settings).unwrap();
    let (_, server) = handshake(pki.client(), optional.current(), "s.example").unwrap();
    assert_eq!(client_certificate(&server), None);
    assert!(handshake(stranger, optional.current(), "s.example").is_err());
}

#[test]
fn a_session_made_under_one_client_ca_is_not_resumed_after_a_reload() {
    let pki = Pki::new();
    let mut settings = listener(vec![pki.issue("s", &["s.example"])]);
    settings.client_certs = ClientCerts {
        mode: ClientCertMode::Required,
        ca_file: Some(pki.ca_file()),
        forward_client_cert: true,
    };
    let tls = ReloadableServerTls::load(&settings).unwrap();
    let upstream = UpstreamTls { client_cert: Some(pki.issue("client", &["client"])), ..pki.upstream() };
    let client = client_config(&upstream).unwrap();
    handshake(Arc::clone(&client), tls.current(), "s.example").unwrap();
    fs::write(pki.ca_file(), Pki::new().ca.pem()).unwrap();
    tls.reload().unwrap();
    assert!(handshake(client, tls.current(), "s.example").is_err());
}

#[test]
fn a_server_of_another_ca_or_name_is_refused() {
    let pki = Pki::new();
    let tls = ReloadableServerTls::load(&listener(vec![pki.issue("s", &["s.example"])])).unwrap();
    assert!(handshake(Pki::new().client(), tls.current(), "s.example").is_err());
    assert!(handshake(pki.client(), tls.current(), "other.example").is_err());
}

#[test]
fn minimum_versions() {
    let pki = Pki::new();
    let pair = pki.issue("s", &["s.example"]);
    let tls12 = Arc::new(
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(files::roots(&pki.ca_file()).unwrap())
            .with_no_client_auth(),
    );
    let mut settings = listener(vec![pair]);
    let open = ReloadableServerTls::load(&settings).unwrap();
    let (client, _) = handshake(Arc::clone(&tls12), open.current(), "s.example").unwrap();
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    settings.min_version = TlsVersion::Tls13;
    let strict = ReloadableServerTls::load(&settings).unwrap();
    assert!(handshake(tls12, strict.current(), "s.example").is_err());
    let upstream = UpstreamTls { min_version: TlsVersion::Tls13, ..pki.upstream() };
    let (client, _) = handshake(client_config(&upstream).unwrap(), open.current(), "s.example").unwrap();
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn errors_name_the_file_and_the_fix() {
    let pki = Pki::new();
    let good = pki.issue("good", &["good"]);
    let other = pki.issue("other", &["other"]);
    let broken = |cert: &Path, key: &Path| {
        let pair = CertifiedKeyFiles { cert_file: cert.to_owned(), key_file: key.to_owned() };
        ReloadableServerTls::load(&listener(vec![pair])).unwrap_err().to_string()
    };
    let missing = pki.dir.path().join("missing");
    let big = pki.dir.path().join("big");
    fs::write(&big, vec![b'x'; 1024 * 1024 + 1]).unwrap();
    let table = [
        (broken(&missing, &good.key_file), "missing: cannot be read"),
        (broken(&good.cert_file, &missing), "missing: cannot be read"),
        (broken(&good.key_file, &good.key_file), "good.key: holds no CERTIFICATE"),
        (broken(&good.cert_file, &good.cert_file), "good.crt: holds no unencrypted PRIVATE KEY"),
        (broken(&good.cert_file, &other.key_file), "other.key: is not the key of the first certificate in"),
        (broken(&big, &good.key_file), "big: larger than"),
    ];
    for (error, expected) in table {
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("; "), "says what to do: {error}");
    }
    let mut settings = listener(vec![good]);
    settings.client_certs.mode = ClientCertMode::Required;
    assert!(ReloadableServerTls::load(&settings).unwrap_err().to_string().contains("ca_file"));
    assert!(ReloadableServerTls::load(&listener(vec![])).unwrap_err().to_string().contains("is empty"));
    assert!(server_name(&pki.upstream(), "no name").unwrap_err().to_string().contains("server_name"));
}

#[test]
fn names_dates_and_modes() {
    let pki = Pki::new();
    let pair = pki.issue("s", &["s.example"]);
    let tls = ReloadableServerTls::load(&listener(vec![pair.clone()])).unwrap();
    let info = certificate_info(&pair.cert_file).unwrap();
    assert_eq!(tls.certificates(), std::slice::from_ref(&info));
    assert_eq!(info.not_after_unix_seconds, 4_102_444_800, "2100-01-01");
    let named = UpstreamTls { server_name: Some("vault.example".into()), ..pki.upstream() };
    assert_eq!(server_name(&named, "10.0.0.1").unwrap().to_str(), "vault.example");
    assert_eq!(server_name(&pki.upstream(), "::1").unwrap().to_str(), "::1");

    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&pair.key_file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(key_exposure(&pair.key_file).unwrap().contains("mode 644"));
    fs::set_permissions(&pair.key_file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(key_exposure(&pair.key_file), None);
}
