//! A small cluster for unit tests: a complete configuration and a snapshot made from it.

use std::sync::Arc;
use std::time::Duration;

use crate::config::proxy::*;

use super::snapshot::{Dialect, Role, ServerId, ServerLive, ServerView, Snapshot};

/// One listener, the named servers on unroutable addresses, every feature at a plain value.
pub(in crate::proxy) fn config(servers: &[&str]) -> ProxyConfig {
    ProxyConfig {
        runtime: Runtime {
            workers: 1,
            max_connections: 100,
            shutdown_grace: Duration::from_secs(1),
            log: Log { level: LogLevel::Info, format: LogFormat::Text, output: LogOutput::Stderr },
        },
        listeners: Vec::new(),
        cluster: cluster(servers),
        routing: routing(),
        consistency: Consistency {
            mode: ConsistencyMode::Session,
            max_sessions: 1000,
            first_seen: FirstSeen::Global,
            monotonic: true,
            on_stale: OnStale::WaitThenActive,
            max_wait: Duration::from_millis(100),
            mount_change_window: Duration::from_secs(1),
            request_override: true,
        },
        retry: Retry {
            attempts: 2,
            per_try_timeout: Duration::from_secs(5),
            on: Vec::new(),
            on_read: Vec::new(),
            budget: RetryBudget { share: 0.2, min_concurrent: 3 },
            backoff_base: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
            buffer_bytes: 65_536,
        },
        timeouts: Timeouts { request: Duration::from_secs(95) },
        admin: None,
        observability: Observability { access_log: None, propagate_trace: true },
    }
}

fn cluster(servers: &[&str]) -> Cluster {
    Cluster {
        name: "test".into(),
        api: Api::Auto,
        servers: servers.iter().map(|name| server(name)).collect(),
        discovery: None,
        local_zone: None,
        tls: UpstreamTls {
            ca_file: None,
            server_name: None,
            client_cert: None,
            min_version: TlsVersion::Tls12,
        },
        connections: Connections {
            connect_timeout: Duration::from_secs(1),
            max_per_server: 100,
            max_pending: 100,
            max_idle_per_server: 10,
            idle_timeout: Duration::from_secs(60),
            max_requests_per_connection: 0,
        },
        health_check: HealthCheck {
            path: "/v1/sys/health".into(),
            interval: Duration::from_secs(1),
            fast_interval: Duration::from_millis(100),
            down_interval: Duration::from_secs(1),
            jitter: 0.1,
            timeout: Duration::from_secs(1),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
            leader_probe: true,
            capability_interval: Duration::from_secs(10),
        },
        outlier_detection: OutlierDetection {
            consecutive_failures: 5,
            base_ejection: Duration::from_secs(10),
            max_ejection: 0.5,
        },
        failover: Failover {
            hold_writes: Duration::from_secs(10),
            read_without_leader: true,
            read_without_leader_for: Duration::from_secs(10),
        },
    }
}

fn server(name: &str) -> Server {
    // TEST-NET-1 (RFC 5737): nothing answers there.
    let address = ServerAddress { tls: false, host: "192.0.2.1".into(), port: 8200 };
    Server { name: name.into(), address, zone: None, weight: 1 }
}

fn routing() -> Routing {
    Routing {
        balance: Balance::LeastRequest,
        slow_start: Duration::ZERO,
        prefer_local_zone: false,
        standby_reads: StandbyReads::Auto,
        active_share: 0.0,
        unknown: UnknownTo::Active,
        learn: Learn {
            enabled: true,
            min_samples: 3,
            flip_at: 0.2,
            explore: 0.01,
            max_shapes: 1000,
            half_life: Duration::from_secs(600),
        },
        max_lag: MaxLag { entries: 1000, time: Duration::from_secs(10) },
        mount_discovery: MountDiscovery {
            token_file: None,
            interval: Duration::from_secs(60),
            types: Vec::new(),
        },
        rules: Vec::new(),
    }
}

/// The first server leads at index 100, the others are readable standbys at 90.
pub(in crate::proxy) fn snapshot(servers: &[&str]) -> Snapshot {
    let config = Arc::new(config(servers));
    let views = config.cluster.servers.iter().enumerate().map(|(at, server)| view(at, server)).collect();
    Snapshot {
        generation: 1,
        config,
        servers: views,
        active: Some(ServerId(0)),
        cluster_id: Some("11111111-2222-3333-4444-555555555555".into()),
        cluster_name: Some("test".into()),
        mounts: Arc::default(),
        learned: Arc::default(),
        epoch: 0,
    }
}

fn view(at: usize, server: &Server) -> ServerView {
    let live = ServerLive::default();
    live.raise_applied_index(if at == 0 { 100 } else { 90 });
    ServerView {
        id: ServerId(u16::try_from(at).unwrap()),
        name: server.name.as_str().into(),
        address: Arc::new(server.address.clone()),
        zone: None,
        weight: 1,
        role: if at == 0 { Role::Active } else { Role::Standby },
        usable: true,
        reads: at != 0,
        reads_reason: if at == 0 { "active" } else { "ok" },
        dialect: Dialect::OpenBao,
        node_id: None,
        hostname: None,
        ready_since: None,
        caught_up_to_ms: 0,
        catch_up_us: 0,
        live: Arc::new(live),
    }
}
