//! The admin over real sockets: every request here is written to a connection byte by byte.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::*;
use crate::config::proxy::{Admin, AdminLevel, AdminToken, Bind, ServerAddress};
use crate::proxy::decisions::{BadSide, Decisions, Malformed};
use crate::proxy::snapshot::{self, ServerId, Snapshot};
use crate::proxy::testing;
use crate::shutdown::{Drainer, drain};

#[derive(Debug)]
struct Known;

impl Insight for Known {
    fn explain(&self, _snapshot: &Snapshot, ask: &ExplainAsk) -> Result<Value, String> {
        if ask.method == "BREW" { Err("no such method".into()) } else { Ok(json!({ "path": ask.path })) }
    }

    fn learned(&self, _snapshot: &Snapshot) -> Value {
        json!({ "shapes": [] })
    }

    fn server(&self, _snapshot: &Snapshot, server: ServerId) -> Map<String, Value> {
        [("last_check".to_owned(), json!(server.index()))].into_iter().collect()
    }
}

struct Running {
    address: SocketAddr,
    state: Arc<AdminState>,
    commands: mpsc::Receiver<ControlCommand>,
    drainer: Drainer,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn state(snapshot: Snapshot) -> (Arc<AdminState>, mpsc::Receiver<ControlCommand>, Drainer) {
    let (control, commands) = mpsc::channel(4);
    let (drainer, drain) = drain();
    let state = AdminState {
        metrics: Arc::default(),
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        decisions: Arc::new(Decisions::default()),
        malformed: Arc::new(Malformed::default()),
        log: None,
        control,
        insight: Arc::new(Known),
        config_text: Arc::new(ArcSwap::from_pointee(
            "admin: {tokens: [{name: a, sha256: canary}]}".to_owned(),
        )),
        drain,
        started: Instant::now(),
    };
    (Arc::new(state), commands, drainer)
}

fn start(snapshot: Snapshot) -> Running {
    let (state, commands, drainer) = state(snapshot);
    let listener = AdminListener::bind(&Bind::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = listener.address().unwrap();
    let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
    Running { address, state, commands, drainer, serving }
}

fn cluster() -> Snapshot {
    testing::snapshot(&["n1", "n2"])
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8(answer).unwrap();
    let status = text.get(9..12).unwrap_or("0").parse().unwrap();
    (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

impl Running {
    async fn send(&self, method: &str, target: &str, headers: &str, body: &str) -> (u16, String) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (address, length) = (self.address, body.len());
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}");
        talk(stream, &format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
    }

    async fn get(&self, target: &str) -> (u16, Value) {
        let (status, body) = self.send("GET", target, "", "").await;
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }
}

#[tokio::test]
async fn reading_shows_the_snapshot() {
    let admin = start(cluster());
    let (status, index) = admin.get("/").await;
    assert!(status == 200 && index.as_str().unwrap().contains("/v1/status"));
    let (_, all) = admin.get("/v1/status").await;
    assert_eq!((&all["active"], &all["generation"], &all["ready"]), (&json!("n1"), &json!(1), &json!(true)));
    assert_eq!(all["servers"][1]["lag_entries"], 10);
    let (_, one) = admin.get("/v1/servers/n2").await;
    assert_eq!(
        (&one["role"], &one["reads"], &one["last_check"]),
        (&json!("standby"), &json!(true), &json!(1))
    );
    let (status, error) = admin.get("/v1/servers/n9").await;
    assert_eq!((status, error["error"].as_str().unwrap()), (404, "no such server; there are: n1, n2"));
    let (status, metrics) = admin.get("/metrics").await;
    assert!(status == 200 && metrics.as_str().unwrap().contains("understudy_proxy_server_role{"));
    let (_, config) = admin.get("/v1/config").await;
    assert_eq!(config["config"]["admin"]["tokens"][0]["sha256"], "[redacted]");
}

#[tokio::test]
async fn rings_are_shown() {
    let admin = start(cluster());
    admin.state.decisions.worker().record(&crate::proxy::access_log::tests_record());
    admin.state.malformed.record(BadSide::Server, "n2", "no status line", b"garbage", 5);
    let (_, decisions) = admin.get("/v1/decisions?last=1").await;
    assert_eq!(decisions["decisions"][0]["path"], "secret/data/:x");
    let (_, errors) = admin.get("/v1/errors").await;
    assert_eq!(errors["answers"][0]["place"], "n2");
    assert_eq!(admin.get("/v1/decisions?last=many").await.0, 400);
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_apart() {
    let admin = start(cluster());
    assert_eq!(admin.get("/v1/nothing").await.0, 404);
    assert_eq!(admin.get("/-/reload").await.0, 405);
    let (status, body) = admin.send("DELETE", "/v1/status", "", "").await;
    assert!(status == 405 && body.contains("GET, HEAD"), "{body}");
    assert_eq!(admin.send("HEAD", "/v1/status", "", "").await, (200, String::new()));
}

#[tokio::test]
async fn readiness_follows_servers_and_drain() {
    let mut lonely = cluster();
    lonely.active = None;
    let admin = start(lonely);
    assert_eq!(admin.get("/-/live").await.0, 200);
    assert_eq!(admin.get("/-/ready").await.0, 200);
    assert_eq!(admin.get("/-/ready?require=active").await.0, 503);
    assert_eq!(admin.get("/-/ready?require=much").await.0, 400);
    admin.drainer.begin();
    let (status, body) = admin.get("/-/ready").await;
    assert_eq!((status, &body["error"]), (503, &json!("draining")));
}

#[tokio::test]
async fn commands_reach_their_owner() {
    let mut admin = start(cluster());
    let mut commands = std::mem::replace(&mut admin.commands, mpsc::channel(1).1);
    let owner = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(command) = commands.recv().await {
            seen.push(format!("{command:?}").split([' ', '(']).next().unwrap().to_owned());
            match command {
                ControlCommand::Reload(reply) => drop(reply.send(Err("line 3: no".into()))),
                ControlCommand::Probe { reply, .. } => drop(reply.send(Ok(json!({ "role": "standby" })))),
                ControlCommand::ResetLearned(reply) => drop(reply.send(Ok(7))),
                ControlCommand::SetServerState { state, reply, .. } => {
                    assert_eq!(state, snapshot::AdminState::Drain);
                    drop(reply.send(Ok(())));
                }
                ControlCommand::Drain => {}
                ControlCommand::Shutdown { grace } => {
                    assert_eq!(grace, Some(Duration::from_secs(5)));
                    return seen;
                }
            }
        }
        seen
    });
    assert_eq!(admin.send("POST", "/-/reload", "", "").await, (422, "{\"error\":\"line 3: no\"}\n".into()));
    assert_eq!(admin.send("POST", "/v1/servers/n2/probe", "", "").await.0, 200);
    assert_eq!(admin.send("POST", "/v1/servers/n2/state", "", r#"{"state":"drain"}"#).await.0, 200);
    assert_eq!(admin.send("POST", "/v1/servers/n2/state", "", r#"{"state":"dance"}"#).await.0, 400);
    assert_eq!(admin.send("POST", "/v1/learned/reset", "", "").await, (200, "{\"forgotten\":7}\n".into()));
    assert_eq!(admin.send("POST", "/-/drain", "", "").await.0, 202);
    assert_eq!(admin.send("POST", "/-/shutdown?grace=forever", "", "").await.0, 400);
    assert_eq!(admin.send("POST", "/-/shutdown?grace=5s", "", "").await.0, 202);
    let seen = owner.await.unwrap();
    assert_eq!(seen, ["Reload", "Probe", "SetServerState", "ResetLearned", "Drain", "Shutdown"]);
    assert_eq!(admin.send("POST", "/-/drain", "", "").await.0, 503, "the owner is gone");
}

#[tokio::test]
async fn questions_and_candidates_are_bounded() {
    let admin = start(cluster());
    let (_, explained) = admin.get("/v1/explain?method=LIST&path=secret%2Fmetadata").await;
    assert_eq!(explained["path"], "secret/metadata");
    let body = r#"{"method":"BREW","path":"x"}"#;
    assert_eq!(
        admin.send("POST", "/v1/explain", "", body).await,
        (400, "{\"error\":\"no such method\"}\n".into())
    );
    assert_eq!(admin.get("/v1/explain").await.0, 400);
    let (status, checked) = admin.send("POST", "/v1/config/check", "", "cluster: 7").await;
    let checked: Value = serde_json::from_str(&checked).unwrap();
    assert_eq!((status, &checked["valid"]), (200, &json!(false)));
    assert!(!checked["findings"].as_array().unwrap().is_empty());
    let huge = "x".repeat((1 << 20) + 1);
    assert_eq!(admin.send("POST", "/v1/config/check", "", &huge).await.0, 413);
}

#[tokio::test]
async fn tokens_decide_when_there_are_some() {
    let mut guarded = cluster();
    let token = |name: &str, level| AdminToken {
        name: name.into(),
        sha256: Sha256::digest(name.as_bytes()).into(),
        level,
    };
    let mut config = (*guarded.config).clone();
    config.admin = Some(Admin {
        bind: Bind::Tcp("127.0.0.1:0".parse().unwrap()),
        metrics_path: "/prom".into(),
        tokens: vec![token("see", AdminLevel::Viewer), token("do", AdminLevel::Operator)],
    });
    guarded.config = Arc::new(config);
    let admin = start(guarded);
    assert_eq!(admin.get("/v1/status").await.0, 401);
    assert_eq!(admin.get("/-/ready").await.0, 200);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(admin.send("GET", "/prom", &bearer("see"), "").await.0, 200);
    assert_eq!(admin.send("GET", "/metrics", &bearer("see"), "").await.0, 404);
    assert_eq!(admin.send("POST", "/-/drain", &bearer("see"), "").await.0, 403);
    assert_eq!(admin.send("POST", "/-/drain", &bearer("do"), "").await.0, 202);
    assert_eq!(admin.send("GET", "/v1/status", &bearer("guess"), "").await.0, 401);
}

#[tokio::test]
async fn pages_of_other_sites_get_nothing() {
    let admin = start(cluster());
    let stream = TcpStream::connect(admin.address).await.unwrap();
    let rebound = "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(talk(stream, rebound).await.0, 403);
    let (status, _) = admin.send("POST", "/-/shutdown", "Origin: http://evil.example\r\n", "").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn a_unix_socket_is_private_and_open_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("admin.sock");
    let bind = Bind::Unix(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = AdminListener::bind(&bind).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(AdminListener::bind(&bind).unwrap_err().to_string().contains("another process listens"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let (state, _commands, _drainer) = state(cluster());
    let serving = tokio::spawn(serve(listener, state));
    let stream = UnixStream::connect(&path).await.unwrap();
    let request = "GET /v1/status HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n";
    assert_eq!(talk(stream, request).await.0, 200);
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert!(!path.exists());
}

/// A server that answers once with what it was asked, in pieces.
async fn echo_node() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"end") {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
        }
        let head =
            "HTTP/1.1 473 Odd\r\nTransfer-Encoding: chunked\r\nX-Node: yes\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", asked.len(), String::from_utf8(asked).unwrap());
        stream.write_all(chunk.as_bytes()).await.unwrap();
    });
    address
}

#[tokio::test]
async fn a_named_node_gets_the_request_as_it_is() {
    let node = echo_node().await;
    let mut snapshot = cluster();
    let address = ServerAddress { tls: false, host: node.ip().to_string(), port: node.port() };
    snapshot.servers[1].address = Arc::new(address);
    let admin = start(snapshot);
    let headers = "X-Vault-Token: s.1\r\nAuthorization: Bearer admin\r\nKeep-Alive: 5\r\n";
    let (status, body) = admin.send("PUT", "/node/n2/v1/sys/unseal%2Fx?y=1", headers, "the end").await;
    assert_eq!(status, 473);
    assert!(body.contains("PUT /v1/sys/unseal%2Fx?y=1 HTTP/1.1"), "{body}");
    let lower = body.to_ascii_lowercase();
    assert!(lower.contains("x-vault-token: s.1") && lower.contains(&format!("host: {node}")), "{body}");
    assert!(!lower.contains("authorization") && !lower.contains("keep-alive"), "{body}");
}

#[tokio::test]
async fn a_node_that_is_down_is_a_bad_gateway() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut snapshot = cluster();
    let address = ServerAddress { tls: false, host: free.ip().to_string(), port: free.port() };
    snapshot.servers[0].address = Arc::new(address);
    let admin = start(snapshot);
    let (status, error) = admin.get("/node/n1/v1/sys/health").await;
    assert!(status == 502 && error["error"].as_str().unwrap().starts_with("server n1:"), "{error}");
    assert_eq!(admin.get("/node/n7/v1/sys/health").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_let_go() {
    let admin = start(cluster());
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection was closed");
}

/// At the most talkative level, with tokens of every kind in every place.
#[tokio::test]
async fn no_secret_reaches_the_log_or_an_endpoint() {
    use crate::secret::SecretString;
    use crate::telemetry::{Format, Output};
    const CANARY: &str = "hvs.canary0123456789";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("understudy.log");
    let output = Output::File(path.clone());
    let (subscriber, log) = crate::telemetry::build(tracing::Level::INFO, Format::Json, &output).unwrap();
    let _here = tracing::subscriber::set_default(subscriber);
    let (mut state, _commands, _drainer) = state(cluster());
    Arc::get_mut(&mut state).unwrap().log = Some(log);
    let listener = AdminListener::bind(&Bind::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let (address, commands) = (listener.address().unwrap(), mpsc::channel(1).1);
    let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
    let admin = Running { address, state, commands, drainer: drain().0, serving };

    assert_eq!(admin.send("PUT", "/v1/log-level", "", r#"{"level":"loud"}"#).await.0, 400);
    assert_eq!(admin.send("PUT", "/v1/log-level", "", r#"{"level":"trace"}"#).await.0, 200);
    assert_eq!(admin.get("/v1/log-level").await.1["level"], "trace");
    tracing::trace!(token = ?SecretString::new(CANARY.into()), "a token was seen");
    let headers = format!("X-Vault-Token: {CANARY}\r\nAuthorization: Bearer {CANARY}\r\n");
    admin.send("POST", &format!("/v1/explain?token={CANARY}"), &headers, CANARY).await;
    admin.send("GET", &format!("/node/n9/v1/auth/token/lookup/{CANARY}"), &headers, "").await;
    let head = format!("GET /v1/{CANARY}/{CANARY}?token={CANARY} HTTP/1.1\r\n{headers}\r\n{CANARY}");
    admin.state.malformed.record(BadSide::Client, "main", "two lengths", head.as_bytes(), 1);
    let hex_canary = hex::encode(CANARY);
    for target in ["/v1/errors", "/v1/decisions", "/v1/status", "/v1/config", "/metrics"] {
        let (_, body) = admin.send("GET", target, &headers, "").await;
        assert!(!body.contains(CANARY) && !body.contains(&hex_canary), "{target}: {body}");
    }
    let log = std::fs::read_to_string(path).unwrap();
    assert!(log.contains("a token was seen") && !log.contains("canary0"), "{log}");
}
