//! TLS and the PROXY protocol on the built binary's listeners.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use super::backend::Backend;
use super::client::exchange;
use super::proxy::{Proxy, get};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn authority(dir: &TempDir) -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = Ca::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
    ca
}

fn issue(ca: &Ca, dir: &Path, file: &str, name: &str) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    fs::write(dir.join(format!("{file}.crt")), certificate.pem()).unwrap();
    fs::write(dir.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

fn listener(dir: &TempDir) -> String {
    let dir = dir.path().display();
    format!(
        r#"  - name: tls
    bind: "unix:{dir}/tls.sock"
    tls:
      certificates: [{{cert_file: {dir}/a.crt, key_file: {dir}/a.key}}, {{cert_file: {dir}/b.crt, key_file: {dir}/b.key}}]
      client_certs: {{mode: optional, ca_file: {dir}/ca.pem, forward_as: client-cert}}"#
    )
}

/// The server's certificate and its answer to a GET, or the error that ended the handshake.
fn ask(proxy: &Proxy, ca: &Ca, name: &str, identity: Option<&str>) -> std::io::Result<(Vec<u8>, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let chain = CertificateDer::from_pem_file(proxy.path(&format!("{file}.crt"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(proxy.path(&format!("{file}.key"))).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, UnixStream::connect(proxy.path("tls.sock"))?);
    stream.sock.set_read_timeout(Some(super::client::PATIENCE))?;
    stream.write_all(get("/v1/secret/a").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let served = stream.conn.peer_certificates().unwrap()[0].to_vec();
    Ok((served, String::from_utf8(answer).unwrap()))
}

fn der(proxy: &Proxy, file: &str) -> Vec<u8> {
    CertificateDer::from_pem_file(proxy.path(file)).unwrap().to_vec()
}

#[test]
fn sni_client_certificates_and_reload() {
    let dir = TempDir::new().unwrap();
    let ca = authority(&dir);
    for (file, name) in [("a", "a.example"), ("b", "b.example"), ("client", "client")] {
        issue(&ca, dir.path(), file, name);
    }
    let backend = Backend::plain();
    let listener = listener(&dir);
    let proxy = Proxy::with_listener(&backend, dir, &listener);

    let (served, answer) = ask(&proxy, &ca, "b.example", None).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(served, der(&proxy, "b.crt"));
    assert!(!backend.seen()[0].to_lowercase().contains("client-cert"));

    ask(&proxy, &ca, "a.example", Some("client")).unwrap();
    let head = backend.seen()[1].to_lowercase();
    assert!(
        head.contains("\r\nclient-cert: :") && head.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"),
        "{head}"
    );

    let stranger = authority(&TempDir::new().unwrap());
    issue(&stranger, proxy.path("").as_path(), "stranger", "client");
    assert!(ask(&proxy, &ca, "a.example", Some("stranger")).is_err());
    proxy.wait_for("the refused handshake is counted", |proxy| proxy.rejected("tls") >= 1.0);

    let old = der(&proxy, "a.crt");
    issue(&ca, proxy.path("").as_path(), "a", "a.example");
    proxy.signal("-HUP");
    proxy.wait_for("the new certificate is served", |proxy| {
        ask(proxy, &ca, "a.example", None).is_ok_and(|(served, _)| served == der(proxy, "a.crt"))
    });
    assert_ne!(der(&proxy, "a.crt"), old);

    let good = der(&proxy, "a.crt");
    fs::write(proxy.path("a.crt"), "-----BEGIN CERTIFICATE-----\nbroken\n").unwrap();
    proxy.signal("-HUP");
    proxy.wait_for("the failed reload is shown", |proxy| {
        proxy.metric("understudy_proxy_config_last_reload_success", &[]) == 0.0
    });
    let (served, answer) = ask(&proxy, &ca, "a.example", None).unwrap();
    assert!(served == good && answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn plain_http_on_a_tls_listener_is_cut() {
    let dir = TempDir::new().unwrap();
    let ca = authority(&dir);
    issue(&ca, dir.path(), "a", "a.example");
    issue(&ca, dir.path(), "b", "b.example");
    let backend = Backend::plain();
    let listener = listener(&dir);
    let proxy = Proxy::with_listener(&backend, dir, &listener);
    let answer = exchange(&proxy.path("tls.sock"), get("/v1/secret/a").as_bytes());
    assert_eq!(answer.statuses(), Vec::<u16>::new());
    assert!(ask(&proxy, &ca, "a.example", None).is_ok());
}

#[test]
fn the_proxy_protocol_names_the_client_and_is_required_of_trusted_peers() {
    let dir = TempDir::new().unwrap();
    let listener = format!(
        r#"  - {{name: pp, bind: "unix:{}/pp.sock", proxy_protocol: {{accept: true, trusted: ["127.0.0.0/8"]}}}}"#,
        dir.path().display()
    );
    let backend = Backend::plain();
    let proxy = Proxy::with_listener(&backend, dir, &listener);
    let socket = proxy.path("pp.sock");
    let request = get("/v1/secret/a");
    let v1 = [b"PROXY TCP4 192.0.2.7 198.51.100.1 1000 8200\r\n", request.as_bytes()].concat();
    assert_eq!(exchange(&socket, &v1).statuses(), [200]);
    let v2_head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x08\xc6\x33\x64\x01\x03\xe8\x20\x08";
    assert_eq!(exchange(&socket, &[v2_head, request.as_bytes()].concat()).statuses(), [200]);
    let seen = backend.seen();
    assert!(seen[0].to_lowercase().contains("\r\nx-forwarded-for: 192.0.2.7\r\n"), "{}", seen[0]);
    assert!(seen[1].to_lowercase().contains("\r\nx-forwarded-for: 192.0.2.8\r\n"), "{}", seen[1]);
    for bad in [request.as_bytes(), b"PROXY TCP4 x y 1 2\r\n", &[b'x'; 5000]] {
        assert!(!exchange(&socket, bad).statuses().contains(&200));
    }
    assert_eq!(backend.seen().len(), 2);
}
