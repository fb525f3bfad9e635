//! Probes over TLS: a server whose certificate is good, and one whose certificate is not.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use understudy::clock::Clock;
use understudy::config::proxy::ProxyConfig;
use understudy::proxy::cluster::spawn;
use understudy::proxy::health::UpstreamIdentity;
use understudy::proxy::health::inspect::{Level, inspect};
use understudy::proxy::metrics::Metrics;

use crate::support::backend::{Reply, json};
use crate::support::until;

/// A single active node over TLS. Returns its address and its certificate, which is its own CA.
async fn active_node(name: &str) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certificates: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let answer = |request: Request<Incoming>| async move {
                    Ok::<Reply, Infallible>(reply(request.uri().path()))
                };
                let served = hyper::server::conn::http1::Builder::new();
                drop(served.serve_connection(TokioIo::new(tls), service_fn(answer)).await);
            });
        }
    });
    (address, made.cert.pem())
}

fn reply(path: &str) -> Reply {
    match path {
        "/v1/sys/health" => {
            json(200, &json!({"initialized": true, "sealed": false, "standby": false, "cluster_id": "c"}))
        }
        "/v1/sys/leader" => json(200, &json!({"ha_enabled": false})),
        _ => json(200, &json!({"data": {}})),
    }
}

fn config(address: SocketAddr, ca: &Path, name: &str) -> Arc<ProxyConfig> {
    let text = format!(
        "version: 1\nlisteners: [{{bind: \"127.0.0.1:1\"}}]\ncluster:\n  servers: [\"https://{address}\"]\n  tls: {{ca_file: {}, \
         server_name: {name}}}\n  health_check: {{interval: 50ms, fast_interval: 20ms}}\n",
        ca.display()
    );
    let loaded = understudy::config::load::parse(&text, "test.yaml");
    Arc::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings)))
}

#[tokio::test]
async fn a_good_certificate_is_trusted_and_another_name_is_not() {
    let (address, pem) = active_node("vault.test").await;
    let scratch = tempfile::tempdir().unwrap();
    let ca = scratch.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    for (name, good) in [("vault.test", true), ("other.test", false)] {
        let config = config(address, &ca, name);
        let counters = Metrics::default().cluster();
        let handle = spawn(Arc::clone(&config), Clock::starting_at(Instant::now()), counters).unwrap();
        until("one probe", || async { handle.status().await.unwrap().servers[0].check.is_some() }).await;
        let server = handle.status().await.unwrap().servers.remove(0);
        assert_eq!(server.check.unwrap().result, if good { "ok" } else { "tls" });
        assert_eq!(handle.snapshot.load().active.is_some(), good);

        let identity = UpstreamIdentity::load(&config.cluster).unwrap();
        let report = inspect(&config.cluster.servers[0], &config.cluster, Some(&identity)).await;
        let tls = report.steps.iter().find(|step| step.name == "tls").unwrap();
        assert_eq!(tls.level, if good { Level::Ok } else { Level::Error }, "{}", tls.message);
    }
}

#[tokio::test]
async fn a_missing_ca_file_is_an_error_at_the_start() {
    let config = config("127.0.0.1:1".parse().unwrap(), Path::new("/nowhere/ca.pem"), "vault.test");
    let counters = Metrics::default().cluster();
    let error = spawn(config, Clock::starting_at(Instant::now()), counters).unwrap_err().to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
}
