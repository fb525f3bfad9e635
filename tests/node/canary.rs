//! Secrets stay where they belong. A node with everything on that could tell (TLS, log level trace, an audit device,
//! metrics) is given texts that are nowhere else, on good ways and on every way that ends in an error; then its log, its
//! audit log, its metrics, its errors and its disk are searched for them, and it is made to die as if by a fault.
//!
//! The rule:
//!
//! * Values, tokens, passwords, keys: nowhere, in no spelling (plain, hex, base64).
//! * Segments of a secret's path: in the audit log as the path of the request, as in Vault, and in the store, where they
//!   name the record; nowhere else.
//! * What was wrong with a request may be told to whoever sent it, and to nobody else.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use regex::bytes::RegexSet;
use serde_json::{Value, json};

use crate::process::{Place, free_address};
use crate::support::client::Client;

/// Texts to look for, each with what it stands for.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    /// A new text.
    fn new_one(&mut self, what: &str) -> String {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(16).collect();
        self.keep(what, &format!("cnry{random}"))
    }

    /// A text the node made.
    fn keep(&mut self, what: &str, text: &str) -> String {
        assert!(text.len() >= 8, "{what} is too short to be told from chance: {text:?}");
        self.0.push((what.to_owned(), text.to_owned()));
        text.to_owned()
    }

    /// What of them stands in there.
    fn seen_in(&self, text: &[u8]) -> Vec<&str> {
        let spelled = self.0.iter().map(|(_, text)| spellings(text).join("|"));
        let found = RegexSet::new(spelled).unwrap().matches(text);
        found.into_iter().filter_map(|at| self.0.get(at)).map(|(what, _)| what.as_str()).collect()
    }
}

/// Plain, hex, and base64 wherever it begins in what is encoded; as regular expressions.
fn spellings(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned(), hex::encode(text)];
    for before in 0..3 {
        let shifted = [vec![0; before], text.as_bytes().to_vec()].concat();
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(shifted);
        // The characters that also depend on what stands around are left out.
        let whole: String = encoded.chars().skip((before * 8).div_ceil(6)).collect();
        forms.push(whole.chars().take(text.len() * 8 / 6 - 2).collect());
    }
    forms.iter().map(|form| regex::escape(form)).collect()
}

/// The node, what it was told, and what its errors said.
struct Story {
    place: Place,
    root: Client,
    /// Nowhere at all.
    secrets: Canaries,
    /// Only as the path of a request in the audit log.
    paths: Canaries,
    /// Only in the error of whoever sent them.
    wrong: Canaries,
    errors: Vec<u8>,
}

#[tokio::test]
async fn no_secret_leaves_its_place() {
    let mut place = Place::new("file");
    let tls = free_address();
    place.configure(&talkative(place.path(), tls));
    let running = place.start().await;
    let mut story = Story::new(place);
    story.engines().await;
    story.logins().await;
    story.tokens().await;
    story.refusals().await;
    story.over_tls(tls).await;
    story.sealed_and_back().await;
    story.look_at_what_it_tells().await;
    story.look_at_its_files();
    let directory = story.place.path().to_owned();
    let ended = tokio::task::spawn_blocking(move || running.abort()).await.unwrap();
    assert_eq!(ended.signal(), Some(6));
    assert!(!ended.core_dumped(), "a core file holds every key");
    assert!(!names(&directory).iter().any(|name| name.starts_with("core")));
}

/// TLS, an audit device and the lowest log level; the certificate is written beside.
fn talkative(place: &Path, tls: SocketAddr) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(place.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(place.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(place.join("tls.der"), made.cert.der()).unwrap();
    let place = place.display();
    format!(
        "listener \"tcp\" {{\n  address = \"{tls}\"\n  tls_cert_file = \"{place}/tls.crt\"\n  tls_key_file = \"{place}/tls.key\"\n}}\n\
         audit \"file\" \"file\" {{\n  options {{\n    file_path = \"{place}/audit.log\"\n  }}\n}}\nlog_level = \"trace\"\n"
    )
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

// === impl Story ===

impl Story {
    fn new(place: Place) -> Self {
        let mut secrets = Canaries::default();
        let (unseal, token) = place.keys();
        secrets.keep("the unseal key in hex", unseal);
        let key = hex::decode(unseal).unwrap();
        secrets.keep("the unseal key in base64", &base64::engine::general_purpose::STANDARD.encode(key));
        secrets.keep("the root token", token);
        let root = place.root();
        let (paths, wrong) = (Canaries::default(), Canaries::default());
        Self { place, root, secrets, paths, wrong, errors: Vec::new() }
    }

    /// Asks and keeps the answer if it is an error.
    async fn ask(&mut self, method: Method, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        self.send(method, path, body).await.1
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> (StatusCode, Value) {
        let answer = self.root.send(method, path, body).await.unwrap();
        if !answer.status.is_success() {
            self.errors.extend_from_slice(&answer.body);
        }
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    async fn must(&mut self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.ask(method.clone(), path, &body).await;
        assert!(answer["errors"].is_null(), "{method} {path}: {answer}");
        answer
    }

    async fn engines(&mut self) {
        for (path, kind, version) in
            [("one", "kv", "1"), ("two", "kv", "2"), ("transit", "transit", ""), ("totp", "totp", "")]
        {
            let options = if version.is_empty() { json!({}) } else { json!({ "version": version }) };
            self.must(
                Method::POST,
                &format!("/v1/sys/mounts/{path}"),
                json!({"type": kind, "options": options}),
            )
            .await;
        }
        let value = |story: &mut Self, what: &str| story.secrets.new_one(what);
        let segment = self.paths.new_one("a path of kv version 1");
        let body = json!({"v": value(self, "a value of kv version 1"), "deep": [{"v": value(self, "a deep value")}]});
        self.must(Method::POST, &format!("/v1/one/{segment}/a"), body).await;
        self.must(Method::GET, &format!("/v1/one/{segment}/a"), Value::Null).await;
        self.ask(Method::GET, &format!("/v1/one/{segment}/none"), &Value::Null).await;
        self.must(Method::GET, &format!("/v1/one/{segment}?list=true"), Value::Null).await;
        let segment = self.paths.new_one("a path of kv version 2");
        for what in ["a value of kv version 2", "a second version"] {
            let body = json!({"data": {"v": value(self, what)}});
            self.must(Method::POST, &format!("/v1/two/data/{segment}"), body).await;
        }
        let wrong = json!({"data": {"v": self.wrong.new_one("a value that lost")}, "options": {"cas": 9}});
        self.ask(Method::POST, &format!("/v1/two/data/{segment}"), &wrong).await;
        self.must(Method::DELETE, &format!("/v1/two/data/{segment}"), Value::Null).await;
        self.ask(Method::GET, &format!("/v1/two/data/{segment}"), &Value::Null).await;
        let body = json!({"v": value(self, "a value of the cubbyhole")});
        self.must(Method::POST, "/v1/cubbyhole/a", body).await;
        self.transit().await;
        let made = json!({"generate": true, "issuer": "i", "account_name": "a", "exported": true});
        let made = self.must(Method::POST, "/v1/totp/keys/k", made).await;
        let url = made["data"]["url"].as_str().unwrap().to_owned();
        let secret = url.split("secret=").nth(1).and_then(|rest| rest.split('&').next()).unwrap();
        self.secrets.keep("the key of a TOTP", secret);
        self.must(Method::GET, "/v1/totp/code/k", Value::Null).await;
    }

    async fn transit(&mut self) {
        let plain = self.secrets.new_one("a plaintext of transit");
        let encoded = base64::engine::general_purpose::STANDARD.encode(&plain);
        self.must(
            Method::POST,
            "/v1/transit/keys/k",
            json!({"exportable": true, "allow_plaintext_backup": true}),
        )
        .await;
        let sealed = self.must(Method::POST, "/v1/transit/encrypt/k", json!({"plaintext": encoded})).await;
        let ciphertext = sealed["data"]["ciphertext"].clone();
        self.must(Method::POST, "/v1/transit/decrypt/k", json!({"ciphertext": ciphertext})).await;
        let exported = self.must(Method::GET, "/v1/transit/export/encryption-key/k", Value::Null).await;
        self.secrets.keep("an exported key", exported["data"]["keys"]["1"].as_str().unwrap());
        let made = self.must(Method::POST, "/v1/transit/datakey/plaintext/k", json!({})).await;
        self.secrets.keep("a data key", made["data"]["plaintext"].as_str().unwrap());
        let kept = self.must(Method::GET, "/v1/transit/backup/k", Value::Null).await;
        let backup: String = kept["data"]["backup"].as_str().unwrap().chars().take(400).collect();
        self.secrets.keep("a backup", &backup);
        let wrong = self.wrong.new_one("a plaintext that is no base64");
        self.ask(Method::POST, "/v1/transit/encrypt/k", &json!({"plaintext": format!("{wrong}!")})).await;
        let wrong = self.wrong.new_one("a ciphertext that is none");
        self.ask(Method::POST, "/v1/transit/decrypt/k", &json!({"ciphertext": wrong})).await;
        self.ask(Method::POST, "/v1/transit/restore/other", &json!({"backup": wrong})).await;
    }

    async fn logins(&mut self) {
        self.must(Method::POST, "/v1/sys/auth/userpass", json!({"type": "userpass"})).await;
        self.must(Method::POST, "/v1/sys/auth/approle", json!({"type": "approle"})).await;
        let password = self.secrets.new_one("a password");
        self.must(Method::POST, "/v1/auth/userpass/users/ann", json!({"password": password})).await;
        let login =
            self.must(Method::POST, "/v1/auth/userpass/login/ann", json!({"password": password})).await;
        self.secrets.keep("the token of a login", login["auth"]["client_token"].as_str().unwrap());
        let wrong = self.wrong.new_one("a wrong password");
        for name in ["ann", "nobody"] {
            self.ask(Method::POST, &format!("/v1/auth/userpass/login/{name}"), &json!({"password": wrong}))
                .await;
        }
        self.must(Method::POST, "/v1/auth/approle/role/r", json!({"token_policies": "p"})).await;
        let role =
            self.must(Method::GET, "/v1/auth/approle/role/r/role-id", Value::Null).await["data"]["role_id"]
                .clone();
        let made = self.must(Method::POST, "/v1/auth/approle/role/r/secret-id", json!({})).await;
        let secret = self.secrets.keep("a secret id", made["data"]["secret_id"].as_str().unwrap());
        let custom = self.secrets.new_one("a chosen secret id");
        self.must(Method::POST, "/v1/auth/approle/role/r/custom-secret-id", json!({"secret_id": custom}))
            .await;
        for given in [secret, custom] {
            self.must(Method::POST, "/v1/auth/approle/login", json!({"role_id": role, "secret_id": given}))
                .await;
        }
        let wrong = self.wrong.new_one("a wrong secret id");
        self.ask(Method::POST, "/v1/auth/approle/login", &json!({"role_id": role, "secret_id": wrong})).await;
        self.ask(Method::POST, "/v1/auth/approle/login", &json!({"role_id": wrong, "secret_id": wrong}))
            .await;
        self.ask(Method::POST, "/v1/auth/approle/role/r/secret-id/lookup", &json!({"secret_id": wrong}))
            .await;
    }

    async fn tokens(&mut self) {
        let chosen = self.secrets.new_one("a chosen token");
        self.must(Method::POST, "/v1/auth/token/create", json!({"id": chosen, "policies": ["p"]})).await;
        let batch = self
            .must(
                Method::POST,
                "/v1/auth/token/create",
                json!({"type": "batch", "policies": ["p"], "ttl": "10m"}),
            )
            .await;
        self.secrets.keep("a batch token", batch["auth"]["client_token"].as_str().unwrap());
        for path in ["lookup", "renew", "revoke"] {
            let wrong = self.wrong.new_one("a token that is none");
            self.ask(Method::POST, &format!("/v1/auth/token/{path}"), &json!({"token": wrong})).await;
        }
        self.must(Method::POST, "/v1/auth/token/lookup", json!({"token": chosen})).await;
        self.must(Method::POST, "/v1/sys/capabilities", json!({"token": chosen, "paths": ["one/a"]})).await;
        let wrapped = self.secrets.new_one("a wrapped value");
        for opens in [true, false] {
            self.root.headers = vec![("x-vault-wrap-ttl", "60".to_owned())];
            let made = self.must(Method::POST, "/v1/sys/wrapping/wrap", json!({"v": wrapped})).await;
            self.root.headers.clear();
            let token = self.secrets.keep("a wrapping token", made["wrap_info"]["token"].as_str().unwrap());
            let path = if opens { "/v1/sys/wrapping/unwrap" } else { "/v1/sys/wrapping/rewrap" };
            let got = self.must(Method::POST, path, json!({"token": token})).await;
            if let Some(token) = got["wrap_info"]["token"].as_str() {
                self.secrets.keep("a rewrapped token", token);
            }
            self.ask(Method::POST, path, &json!({"token": token})).await;
        }
    }

    /// Every way a request is refused before a backend sees it.
    async fn refusals(&mut self) {
        let mut wrong = |what: &str| self.wrong.new_one(what);
        let broken = [
            (format!("{{\"v\": \"{}", wrong("a body that breaks off")), "/v1/one/x"),
            (format!("[\"{}\"]", wrong("a body that is a list")), "/v1/one/x"),
            (format!("{{\"v\":\"{}\"}} trailing", wrong("a body with a tail")), "/v1/one/x"),
            (format!("{}{}", wrong("a body of no JSON"), "x".repeat(100)), "/v1/one/x"),
            (format!("{{\"v\":\"{}{}\"}}", wrong("a value too large"), "x".repeat(1_100_000)), "/v1/one/x"),
            (format!("{{\"ttl\":\"{}\"}}", wrong("a ttl that is none")), "/v1/auth/token/create"),
            (format!("{{\"policy\":\"path {}\"}}", wrong("a policy that is none")), "/v1/sys/policy/w"),
            (format!("{{\"type\":\"{}\"}}", wrong("an engine that is none")), "/v1/sys/mounts/w"),
            (format!("{{\"key\":\"{}\"}}", wrong("an unseal key that is none")), "/v1/sys/unseal"),
            (format!("{{\"otp\":\"{}\"}}", wrong("an OTP that is none")), "/v1/sys/generate-root/attempt"),
            (format!("{{\"v\":\"{}\"}}", wrong("a value for nobody")), "/v1/nowhere/x"),
        ];
        for (body, path) in broken {
            self.send(Method::PUT, path, body.into()).await;
        }
        let hidden = [
            ("x-vault-token", wrong_header(&mut self.wrong, "a bogus token")),
            ("authorization", format!("Bearer {}", wrong_header(&mut self.wrong, "a bogus bearer"))),
            ("x-vault-wrap-ttl", wrong_header(&mut self.wrong, "a wrapping time that is none")),
            ("cookie", wrong_header(&mut self.wrong, "a cookie")),
            ("x-forwarded-for", wrong_header(&mut self.wrong, "an address that is none")),
            ("x-vault-namespace", wrong_header(&mut self.wrong, "a namespace that is none")),
        ];
        for header in hidden {
            let mut other = Client::new(self.place.address);
            other.headers = vec![header];
            let answer = other.get("/v1/one/a").await.unwrap();
            self.errors.extend_from_slice(&answer.body);
        }
        let query = self.wrong.new_one("a query");
        self.ask(Method::GET, &format!("/v1/one/a?secret={query}&version={query}"), &Value::Null).await;
    }

    /// HTTP/2 over TLS: frames and header tables have logs of their own.
    async fn over_tls(&mut self, to: SocketAddr) {
        let value = self.secrets.new_one("a value over HTTP/2");
        let segment = self.paths.new_one("a path over HTTP/2");
        let bogus = self.wrong.new_one("a bogus token over HTTP/2");
        let body = json!({ "v": value }).to_string();
        let (_, token) = self.place.keys();
        let token = token.to_owned();
        let der = std::fs::read(self.place.path().join("tls.der")).unwrap();
        let written = over_http2(to, der.clone(), &token, &segment, body.clone()).await;
        assert_eq!(written, StatusCode::NO_CONTENT);
        assert_eq!(over_http2(to, der, &bogus, &segment, body).await, StatusCode::FORBIDDEN);
    }

    /// Wrong keys first.
    async fn sealed_and_back(&mut self) {
        self.must(Method::PUT, "/v1/sys/rotate", Value::Null).await;
        self.must(Method::PUT, "/v1/sys/seal", Value::Null).await;
        let refused = hex::encode(self.wrong.new_one("a wrong unseal key of the right length!!").repeat(2));
        let refused: String = refused.chars().take(66).collect();
        self.ask(Method::PUT, "/v1/sys/unseal", &json!({ "key": refused })).await;
        self.ask(Method::GET, "/v1/one/a", &Value::Null).await;
        let (unseal, _) = self.place.keys();
        let key = json!({ "key": unseal });
        self.must(Method::PUT, "/v1/sys/unseal", key).await;
    }

    /// What it says of itself, to root and to anybody.
    async fn look_at_what_it_tells(&mut self) {
        assert_eq!(self.secrets.seen_in(&self.errors), [] as [&str; 0], "in an error");
        for path in [
            "metrics?format=prometheus",
            "metrics",
            "host-info",
            "in-flight-req",
            "seal-status",
            "health",
            "leader",
            "ha-status",
            "key-status",
            "internal/ui/mounts",
            "internal/counters/tokens",
            "audit",
            "config/state/sanitized",
        ] {
            let answer = self.root.get(&format!("/v1/sys/{path}")).await.unwrap();
            self.nothing_in(&format!("sys/{path}"), &answer.body);
        }
    }

    fn nothing_in(&self, place: &str, text: &[u8]) {
        for (kind, canaries) in [("secret", &self.secrets), ("path", &self.paths), ("refused", &self.wrong)] {
            assert_eq!(canaries.seen_in(text), [] as [&str; 0], "{kind}: in {place}");
        }
    }

    fn look_at_its_files(&self) {
        let log = self.place.log();
        assert!(log.contains("[TRACE]") || log.contains("[DEBUG]"), "the log is as talkative as asked for");
        self.nothing_in("the log", log.as_bytes());
        let audit = std::fs::read_to_string(self.place.path().join("audit.log")).unwrap();
        assert!(audit.lines().count() > 100, "the audit log was written");
        assert_eq!(
            self.paths.seen_in(audit.as_bytes()).len(),
            self.paths.0.len(),
            "paths stand in the audit log"
        );
        let pathless: Vec<String> = audit.lines().map(without_path).collect();
        self.nothing_in("the audit log", pathless.join("\n").as_bytes());
        let mut files = Vec::new();
        all_files(&self.place.path().join("data"), &mut files);
        let kept: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
        assert!(kept.len() > 10_000, "the store was written");
        for (kind, canaries) in [("secret", &self.secrets), ("refused", &self.wrong)] {
            assert_eq!(canaries.seen_in(&kept), [] as [&str; 0], "{kind}: in the store");
        }
    }
}

fn wrong_header(wrong: &mut Canaries, what: &str) -> String {
    wrong.new_one(what)
}

/// The line without the places where Vault shows a path too.
fn without_path(line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap();
    line["request"]["path"] = Value::Null;
    if let Some(info) = line.pointer_mut("/response/wrap_info/creation_path") {
        *info = Value::Null;
    }
    line.to_string()
}

fn all_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all_files(&path, found) } else { found.push(path) }
    }
}

async fn over_http2(to: SocketAddr, der: Vec<u8>, token: &str, segment: &str, body: String) -> StatusCode {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der.into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = tokio::net::TcpStream::connect(to).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::put(format!("https://localhost/v1/one/{segment}"))
        .header("x-vault-token", token)
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    answer.into_body().collect().await.unwrap();
    driver.abort();
    status
}

#[test]
fn every_spelling_is_found() {
    let mut canaries = Canaries::default();
    let text = canaries.new_one("it");
    for before in ["", "a", "ab", "abc"] {
        let whole = format!("{before}{text}after");
        let encoded = base64::engine::general_purpose::STANDARD.encode(&whole);
        assert_eq!(canaries.seen_in(encoded.as_bytes()), ["it"], "{whole}");
        assert_eq!(canaries.seen_in(hex::encode(&whole).as_bytes()), ["it"]);
        assert_eq!(canaries.seen_in(whole.as_bytes()), ["it"]);
    }
    assert!(canaries.seen_in(b"cnry").is_empty());
}
