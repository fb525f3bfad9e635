//! The owner in front of scripted servers: what a real OpenBao cannot be made to say. Bodies are those of
//! Vault Enterprise as its sources and documents give them.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use understudy::clock::Clock;
use understudy::config::proxy::ProxyConfig;
use understudy::proxy::cluster::{ClusterCommand, ClusterHandle, spawn};
use understudy::proxy::health::inspect::{Level, inspect};
use understudy::proxy::metrics::Metrics;
use understudy::proxy::snapshot::{AdminState, Role, Snapshot};

use crate::support::backend::{Backend, RawBackend, full, json};

/// What one scripted node says now.
#[derive(Clone)]
struct Says {
    health: Value,
    leader: (u16, Value),
    capability: u16,
}

type Script = Arc<Mutex<Says>>;

async fn node(script: Script) -> Backend {
    Backend::start(move |request: Request<Incoming>| {
        let says = script.lock().unwrap().clone();
        async move {
            match request.uri().path() {
                "/v1/sys/health" if request.uri().query().is_some_and(|q| q.contains("removedcode=299")) => {
                    json(299, &says.health)
                }
                "/v1/sys/leader" => json(says.leader.0, &says.leader.1),
                "/v1/sys/internal/ui/mounts" => {
                    let forwards = request.headers().get("x-vault-no-request-forwarding").is_none();
                    json(if forwards { 500 } else { says.capability }, &json!({"data": {}}))
                }
                _ => Response::builder().status(404).body(full("")).unwrap(),
            }
        }
    })
    .await
}

/// Vault Enterprise 1.19: `state` is merged over an unsealed performance standby.
fn enterprise(state: &Value) -> Value {
    let mut body = json!({
        "initialized": true, "sealed": false, "standby": true, "performance_standby": true,
        "replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
        "server_time_utc": 1_795_374_528, "version": "1.19.0+ent", "enterprise": true,
        "cluster_name": "vault-cluster-1", "cluster_id": "ent-1", "echo_duration_ms": 1, "clock_skew_ms": 0,
        "replication_primary_canary_age_ms": 20, "removed_from_cluster": false, "ha_connection_healthy": true,
        "last_request_forwarding_heartbeat_ms": 900,
    });
    for (key, value) in state.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn enterprise_leader(at: usize, wal: u64) -> Value {
    let mut body = json!({
        "ha_enabled": true, "is_self": at == 0, "leader_address": "https://vault.corp:8200",
        "leader_cluster_address": "https://10.0.0.1:8201", "performance_standby": at != 0,
        "performance_standby_last_remote_wal": if at == 0 { 0 } else { wal },
        "raft_committed_index": 99_000, "raft_applied_index": 99_000,
    });
    if at == 0 {
        body["last_wal"] = json!(wal);
        body["active_time"] = json!("2026-11-22T19:08:05.537220968Z");
    }
    body
}

/// Three Enterprise nodes behind one `api_addr`: the first active, the others performance standbys.
async fn enterprise_cluster() -> (Vec<Script>, Vec<Backend>) {
    let mut scripts = Vec::new();
    let mut nodes = Vec::new();
    for at in 0..3 {
        let state = if at == 0 { json!({"standby": false, "performance_standby": false}) } else { json!({}) };
        // A performance standby ignores the no-forward header: 200.
        let says =
            Says { health: enterprise(&state), leader: (200, enterprise_leader(at, 700)), capability: 200 };
        let script = Arc::new(Mutex::new(says));
        nodes.push(node(Arc::clone(&script)).await);
        scripts.push(script);
    }
    (scripts, nodes)
}

fn config(addresses: &[SocketAddr]) -> ProxyConfig {
    let servers: Vec<_> = addresses.iter().map(|address| format!("\"http://{address}\"")).collect();
    let text = format!(
        "version: 1\nlisteners: [{{bind: \"127.0.0.1:1\"}}]\ncluster:\n  servers: [{}]\n  health_check: \
         {{interval: 50ms, fast_interval: 20ms, down_interval: 50ms, timeout: 300ms}}\n",
        servers.join(", ")
    );
    let loaded = understudy::config::load::parse(&text, "test.yaml");
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

fn watch(addresses: &[SocketAddr]) -> ClusterHandle {
    let counters = Metrics::default().cluster();
    spawn(Arc::new(config(addresses)), Clock::starting_at(Instant::now()), counters).expect("no TLS here")
}

async fn until(handle: &ClusterHandle, what: &str, fits: impl Fn(&Snapshot) -> bool) {
    let mut changed = handle.changed.clone();
    let wait = async {
        while !fits(&handle.snapshot.load()) {
            changed.changed().await.expect("the owner lives");
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
        panic!("never: {what}; {:#?}", handle.status().await);
    }
}

fn addresses(nodes: &[Backend]) -> Vec<SocketAddr> {
    nodes.iter().map(|node| node.address).collect()
}

#[tokio::test]
async fn vault_enterprise_from_end_to_end() {
    let (scripts, nodes) = enterprise_cluster().await;
    let handle = watch(&addresses(&nodes));
    until(&handle, "two performance standbys read", |snapshot| {
        snapshot.active.is_some() && snapshot.servers.iter().all(|server| server.reads)
    })
    .await;
    let snapshot = handle.snapshot.load_full();
    let roles: Vec<Role> = snapshot.servers.iter().map(|server| server.role).collect();
    assert_eq!(roles, [Role::Active, Role::PerfStandby, Role::PerfStandby]);
    assert_eq!(snapshot.servers[1].live.applied_index(), 700, "WAL entries, as its index header counts");

    for (state, role, reason) in [
        (json!({"performance_standby": false}), Role::Standby, "no_standby_reads"),
        (json!({"ha_connection_healthy": false}), Role::Unhealthy, "lost_active"),
        (json!({"replication_dr_mode": "secondary"}), Role::DrSecondary, "dr_secondary"),
        (json!({"removed_from_cluster": true}), Role::Removed, "removed"),
        (json!({"sealed": true}), Role::Sealed, "sealed"),
        (json!({"cluster_id": "ent-2"}), Role::Foreign, "other_cluster"),
        (json!({}), Role::PerfStandby, "ok"),
    ] {
        {
            let mut says = scripts[2].lock().unwrap();
            says.health = enterprise(&state);
            says.capability = if role == Role::Standby { 307 } else { 200 };
        }
        until(&handle, reason, |snapshot| {
            snapshot.servers[2].role == role && snapshot.servers[2].reads_reason == reason
        })
        .await;
        assert_eq!(handle.snapshot.load().active.map(|id| id.index()), Some(0));
        assert!(handle.snapshot.load().servers[1].reads, "its neighbour is not touched");
    }
}

#[tokio::test]
async fn a_quota_on_sys_leader_does_not_kill_a_server() {
    let (scripts, nodes) = enterprise_cluster().await;
    let handle = watch(&addresses(&nodes));
    until(&handle, "whole", |s| s.servers.iter().all(|server| server.reads)).await;
    for script in &scripts {
        script.lock().unwrap().leader = (429, json!({"errors": ["rate limit quota exceeded"]}));
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let snapshot = handle.snapshot.load_full();
    assert!(snapshot.active.is_some() && snapshot.servers.iter().all(|server| server.reads));
}

#[tokio::test]
async fn servers_that_talk_nonsense_are_not_used_and_hang_nobody() {
    let (_scripts, nodes) = enterprise_cluster().await;
    let dropped = Arc::new(AtomicBool::new(false));
    let garbage = RawBackend::start(|mut stream| async move {
        let mut head = [0; 4096];
        let _: usize = stream.read(&mut head).await?;
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await
    })
    .await;
    let half = RawBackend::start(|mut stream| async move {
        let mut head = [0; 4096];
        let _: usize = stream.read(&mut head).await?;
        stream.write_all(b"HTTP/1.1 299 OK\r\nContent-Length: 500\r\n\r\n{\"initialized\":true").await?;
        stream.read(&mut head).await.map(drop)
    })
    .await;
    let endless = RawBackend::start(|mut stream| async move {
        let mut head = [0; 4096];
        let _: usize = stream.read(&mut head).await?;
        stream.write_all(b"HTTP/1.1 299 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(piece.as_bytes()).await.is_ok() {}
        Ok(())
    })
    .await;
    let closed = Arc::clone(&dropped);
    let silent = RawBackend::start(move |mut stream| {
        let closed = Arc::clone(&closed);
        async move {
            let mut head = [0; 4096];
            while stream.read(&mut head).await? > 0 {}
            closed.store(true, Ordering::SeqCst);
            Ok(())
        }
    })
    .await;
    let page = Backend::start(|_| async { Response::new(full("<html>It works!</html>")) }).await;
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let mut all = vec![nodes[0].address];
    all.extend([garbage.address, half.address, endless.address, silent.address, page.address, refused]);
    let handle = watch(&all);
    until(&handle, "six unreachable servers", |snapshot| {
        snapshot.servers.iter().skip(1).all(|server| server.role == Role::Unreachable)
    })
    .await;
    let snapshot = handle.snapshot.load_full();
    assert_eq!(snapshot.active.map(|id| id.index()), Some(0));
    assert!(snapshot.servers.iter().skip(1).all(|server| !server.usable && !server.reads));
    assert!(dropped.load(Ordering::SeqCst), "the silent server's connection was given up");
    let results: Vec<_> =
        handle.status().await.expect("alive").servers.iter().map(|server| server.check.clone()).collect();
    let words: Vec<_> = results.iter().flatten().map(|check| check.result).collect();
    assert_eq!(words, ["ok", "connect", "timeout", "parse", "timeout", "parse", "connect"]);
}

#[tokio::test]
async fn inspection_finds_what_a_person_should_know() {
    let (_scripts, nodes) = enterprise_cluster().await;
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let config = config(&[nodes[1].address, refused]);
    let good = inspect(&config.cluster.servers[0], &config.cluster, None).await;
    let steps: Vec<_> = good.steps.iter().map(|step| (step.name, step.level)).collect();
    let expected = [
        ("resolve", Level::Ok),
        ("connect", Level::Ok),
        ("health", Level::Ok),
        ("leader", Level::Ok),
        ("capability", Level::Ok),
        ("index", Level::Note),
        ("node_id", Level::Note),
    ];
    assert_eq!(steps, expected);
    assert_eq!((good.role, good.cluster_id.as_deref()), (Some("perf_standby"), Some("ent-1")));
    let bad = inspect(&config.cluster.servers[1], &config.cluster, None).await;
    assert_eq!(bad.worst(), Level::Error);
    assert_eq!(bad.steps.last().map(|step| step.name), Some("connect"));
}

#[tokio::test]
async fn a_reload_replaces_servers_and_commands_are_obeyed() {
    let (_scripts, nodes) = enterprise_cluster().await;
    let at = addresses(&nodes);
    let handle = watch(&at[..2]);
    until(&handle, "two servers", |s| s.servers.iter().all(|server| server.reads)).await;
    let generation = handle.reload(Arc::new(config(&[at[2], at[0]]))).await.expect("alive");
    assert_eq!((generation, handle.snapshot.load().generation), (2, 2), "published before the answer");
    until(&handle, "the third reads, the first still leads", |snapshot| {
        snapshot.servers.iter().all(|server| server.reads) && snapshot.active.map(|id| id.index()) == Some(1)
    })
    .await;
    let name = handle.snapshot.load().servers[0].name.to_string();
    let drain = |server: &str, state: AdminState| {
        let server = server.to_owned();
        handle.ask(move |done| ClusterCommand::AdminState { server, state, done })
    };
    drain(&name, AdminState::Drain).await.expect("alive").expect("known");
    assert_eq!(handle.snapshot.load().servers[0].reads_reason, "drained");
    drain(&name, AdminState::Ready).await.expect("alive").expect("known");
    assert!(handle.snapshot.load().servers[0].reads);
    drain("nobody", AdminState::Ready).await.expect("alive").expect_err("no such server");
    let weigh = |weight: u32| {
        let server = name.clone();
        handle.ask(move |done| ClusterCommand::Weight { server, weight, done })
    };
    weigh(7).await.expect("alive").expect("known");
    assert_eq!(handle.snapshot.load().servers[0].weight, 7);
    let before = nodes[2].received("/v1/sys/health").len();
    handle.command.send(ClusterCommand::ProbeNow).await.expect("alive");
    crate::support::until("a probe at once", || async { nodes[2].received("/v1/sys/health").len() > before })
        .await;
    assert!(handle.learned().await.expect("alive").enabled);
}

#[tokio::test]
async fn servers_behind_a_name_are_found() {
    let (_scripts, nodes) = enterprise_cluster().await;
    let text = format!(
        "version: 1\nlisteners: [{{bind: \"127.0.0.1:1\"}}]\ncluster:\n  discovery: {{dns: localhost, port: {}, tls: false, interval: 1s}}\n",
        nodes[0].address.port()
    );
    let loaded = understudy::config::load::parse(&text, "test.yaml");
    let config = Arc::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings)));
    let counters = Metrics::default().cluster();
    let handle =
        spawn(Arc::clone(&config), Clock::starting_at(Instant::now()), counters).expect("no TLS here");
    assert!(handle.snapshot.load().servers.is_empty());
    until(&handle, "the active node at 127.0.0.1", |snapshot| {
        snapshot.active_server().is_some_and(|server| &*server.name == "127.0.0.1")
    })
    .await;
    handle.reload(config).await.expect("alive");
    assert!(handle.snapshot.load().active_server().is_some(), "a reload does not forget the found servers");
}
