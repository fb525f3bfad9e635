//! Exactly the shape of the YAML file: what may be written, and nothing about what it means.
//!
//! Every setting is a `Field`, so the deserializer can report a bad one and go on. The doc comments here become
//! the descriptions in `config/proxy.schema.json`. Defaults live in the sections (`listener`, `cluster`, ...).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{Field, List, OneOrMany};
use super::proxy::{
    AdminLevel, Alpn, Api, Balance, ClientCertMode, ConsistencyMode, FirstSeen, ForwardedMode, LogFormat,
    LogLevel, LoggedPaths, OnStale, RetryOn, RuleClass, StandbyReads, TlsVersion, UnknownTo,
};
use super::secret_text::SecretText;
use super::unit::{
    Address, BindText, FileName, Network, Output, PathGlob, Percent, Share, Size, Time, Workers,
};

/// One section: all settings optional, unknown keys refused, described to editors.
macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident as $title:literal { $($(#[$meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        #[schemars(rename = $title)]
        pub(crate) struct $name { $($(#[$meta])* pub(crate) $field: $type,)* }
    )*};
}

sections! {
    /// Configuration of `understudy proxy`: one cluster behind any number of listeners.
    RawConfig as "UnderstudyProxy" {
        /// Version of this file format: 1.
        version: Field<u32>,
        /// The process.
        runtime: Field<RawRuntime>,
        /// Where clients connect. At least one.
        listeners: List<RawListener>,
        /// The one cluster behind this proxy.
        cluster: Field<RawCluster>,
        /// Which node answers which request.
        routing: Field<RawRouting>,
        /// What a client may read after what it wrote or read.
        consistency: Field<RawConsistency>,
        /// When a request is sent again.
        retry: Field<RawRetry>,
        /// Limits on a whole request.
        timeouts: Field<RawTimeouts>,
        /// Metrics, status and control, on a listener of their own. On by default at 127.0.0.1:8299.
        admin: Field<RawAdmin>,
        /// Access log and tracing.
        observability: Field<RawObservability>,
    }

    RawRuntime as "Runtime" {
        /// Worker threads: `auto` is one per usable core.
        workers: Field<Workers>,
        /// Client connections, all listeners together.
        max_connections: Field<usize>,
        /// How long a drain may take before what is left is cut.
        shutdown_grace: Field<Time>,
        /// The process's own log.
        log: Field<RawLog>,
    }

    RawLog as "Log" {
        /// Least severe level written.
        level: Field<LogLevel>,
        /// One JSON object a line, or text for people.
        format: Field<LogFormat>,
        /// `stdout`, `stderr` or a file.
        output: Field<Output>,
    }

    RawListener as "Listener" {
        /// Label in metrics and logs.
        name: Field<String>,
        /// Addresses to listen on: `ip:port`, `[ip]:port`, `unix:/path`.
        bind: Field<OneOrMany<BindText>>,
        /// Without it the listener speaks plain HTTP.
        tls: Field<RawListenerTls>,
        /// Accept HTTP/2 with prior knowledge on a plain-text bind.
        h2c: Field<bool>,
        /// PROXY protocol v1 and v2 on accepted connections.
        proxy_protocol: Field<RawProxyProtocol>,
        /// `X-Forwarded-*` headers.
        forwarded: Field<RawForwarded>,
        /// Which client addresses are served.
        access: Field<RawAccess>,
        /// Bounds on what a client may send.
        limits: Field<RawLimits>,
        /// How long a client may take.
        timeouts: Field<RawListenerTimeouts>,
        /// Add `X-Understudy-Served-By`, `-Role` and `-Reason` to answers.
        answer_headers: Field<bool>,
        /// Path globs (without `/v1/`) where `Upgrade` passes.
        upgrades: List<PathGlob>,
    }

    RawListenerTls as "ListenerTls" {
        /// Chosen by SNI; the first when SNI names none.
        certificates: List<RawCertificate>,
        /// When changed files are taken up.
        reload: Field<RawTlsReload>,
        /// Oldest TLS version spoken.
        min_version: Field<TlsVersion>,
        /// Protocols offered, most wanted first.
        alpn: List<Alpn>,
        /// Certificates of clients.
        client_certs: Field<RawClientCerts>,
    }

    RawCertificate as "Certificate" {
        /// PEM: the certificate, then its chain.
        cert_file: Field<FileName>,
        /// PEM: the private key.
        key_file: Field<FileName>,
    }

    RawTlsReload as "TlsReload" {
        /// Look at the files for changes (SIGHUP and POST /-/reload work in any case).
        watch: Field<bool>,
        /// How often.
        interval: Field<Time>,
    }

    RawClientCerts as "ClientCerts" {
        /// Whether clients are asked for a certificate.
        mode: Field<ClientCertMode>,
        /// PEM: who signs client certificates. Needed unless mode is none.
        ca_file: Field<FileName>,
        /// Pass the verified certificate on as the RFC 9440 `Client-Cert` header.
        forward_as: Field<ForwardAs>,
    }

    RawProxyProtocol as "ProxyProtocol" {
        /// Expect a PROXY header from trusted peers.
        accept: Field<bool>,
        /// Peers that must send it; others are served without it.
        trusted: List<Network>,
    }

    RawForwarded as "Forwarded" {
        /// What happens to `X-Forwarded-For` and its kin.
        mode: Field<ForwardedMode>,
        /// Peers whose `X-Forwarded-For` is believed.
        trusted_proxies: List<Network>,
        /// How many entries from the right are believed.
        trusted_hops: Field<usize>,
    }

    RawAccess as "Access" {
        /// Empty: everybody.
        allow: List<Network>,
        /// Wins over `allow`.
        deny: List<Network>,
    }

    RawLimits as "Limits" {
        /// All header lines of a request together.
        max_header_bytes: Field<Size>,
        /// Number of header lines.
        max_headers: Field<usize>,
        /// Request body; 0: unlimited. Raft snapshot uploads are exempt.
        max_body_bytes: Field<Size>,
        /// Requests at once on one HTTP/2 connection.
        max_concurrent_streams: Field<u32>,
        /// Connections of this listener.
        max_connections: Field<usize>,
        /// Connections of one client address; 0: unlimited.
        max_connections_per_ip: Field<usize>,
        /// Token bucket per client address.
        rate: Field<RawRate>,
    }

    RawRate as "Rate" {
        /// 0: off.
        requests_per_second: Field<f64>,
        /// Requests that may come at once; 0: as many as a second brings.
        burst: Field<u32>,
        /// What is counted.
        key: Field<RateKey>,
    }

    RawListenerTimeouts as "ListenerTimeouts" {
        /// First byte to the end of the header.
        request_header: Field<Time>,
        /// A kept-alive connection without a request.
        idle: Field<Time>,
        /// Longest pause between two pieces of a body.
        request_body: Field<Time>,
        /// A tunnel (sys/monitor, events, websocket) without a byte.
        tunnel: Field<Time>,
    }

    RawCluster as "Cluster" {
        /// Label in metrics and logs.
        name: Field<String>,
        /// Product behind the proxy; `auto` asks it.
        api: Field<Api>,
        /// URLs, or objects with name, address, zone and weight.
        servers: List<ServerEntry>,
        /// Servers by DNS, instead of `servers`.
        discovery: Field<RawDiscovery>,
        /// Zone of this proxy.
        local_zone: Field<String>,
        /// TLS towards the servers (`https://` addresses).
        tls: Field<RawUpstreamTls>,
        /// Connections towards the servers.
        connections: Field<RawConnections>,
        /// How nodes are asked for their role and health.
        health_check: Field<RawHealthCheck>,
        /// Standbys that fail requests are left out for a while.
        outlier_detection: Field<RawOutlierDetection>,
        /// While no active node is known.
        failover: Field<RawFailover>,
    }

    RawServer as "Server" {
        /// Label in metrics, logs and the admin interface.
        name: Field<String>,
        /// `https://host:port`.
        address: Field<Address>,
        /// Where it runs; see routing.prefer_local_zone.
        zone: Field<String>,
        /// 1 to 256.
        weight: Field<u32>,
    }

    RawDiscovery as "Discovery" {
        /// Name whose A and AAAA records are the servers.
        dns: Field<String>,
        /// Kind of record.
        r#type: Field<RecordType>,
        /// Port of every server.
        port: Field<u16>,
        /// Speak https to them.
        tls: Field<bool>,
        /// How often the name is looked up.
        interval: Field<Time>,
    }

    RawUpstreamTls as "UpstreamTls" {
        /// PEM: who signs the servers' certificates. Without it: the public roots.
        ca_file: Field<FileName>,
        /// Name to ask for and to verify, for all servers.
        server_name: Field<String>,
        /// Certificate of this proxy.
        client_cert: Field<RawCertificate>,
        /// Oldest TLS version spoken.
        min_version: Field<TlsVersion>,
        /// Only http/1.1.
        alpn: List<UpstreamAlpn>,
    }

    RawConnections as "Connections" {
        /// TCP and TLS together.
        connect_timeout: Field<Time>,
        /// Connections of one server.
        max_per_server: Field<usize>,
        /// Requests waiting for a connection.
        max_pending: Field<usize>,
        /// Kept open without a request.
        max_idle_per_server: Field<usize>,
        /// Below the server's own http_idle_timeout (5m).
        idle_timeout: Field<Time>,
        /// 0: no limit.
        max_requests_per_connection: Field<u64>,
    }

    RawHealthCheck as "HealthCheck" {
        /// Path asked.
        path: Field<String>,
        /// Between two checks of a node.
        interval: Field<Time>,
        /// While a change of state is being confirmed.
        fast_interval: Field<Time>,
        /// While a node is down.
        down_interval: Field<Time>,
        /// Part of the interval by which checks are spread.
        jitter: Field<Share>,
        /// One check.
        timeout: Field<Time>,
        /// Failed checks until a node is down.
        unhealthy_threshold: Field<u32>,
        /// Good checks until it is up again.
        healthy_threshold: Field<u32>,
        /// Ask sys/leader as well: leader address and lag.
        leader_probe: Field<bool>,
        /// How often a plain standby is asked whether it serves reads.
        capability_interval: Field<Time>,
    }

    RawOutlierDetection as "OutlierDetection" {
        /// 0: off.
        consecutive_failures: Field<u32>,
        /// First ejection; later ones are longer.
        base_ejection: Field<Time>,
        /// Of the standbys that serve reads, at once.
        max_ejection_percent: Field<Percent>,
    }

    RawFailover as "Failover" {
        /// Hold writes this long while no active node is known; 0: fail at once.
        hold_writes: Field<Time>,
        /// Go on serving standby reads during an election.
        read_without_leader: Field<bool>,
        /// ... for this long.
        read_without_leader_for: Field<Time>,
    }

    RawRouting as "Routing" {
        /// How one of several fit standbys is chosen.
        balance: Field<Balance>,
        /// A standby that comes back gets its full share after this time; 0: at once.
        slow_start: Field<Time>,
        /// Prefer standbys of cluster.local_zone.
        prefer_local_zone: Field<bool>,
        /// What a plain (429) standby may serve.
        standby_reads: Field<StandbyReads>,
        /// Part of the reads the active takes as well.
        active_share: Field<Share>,
        /// Where requests go that nothing is known about.
        unknown: Field<UnknownTo>,
        /// Learning from answers.
        learn: Field<RawLearn>,
        /// A standby further behind gets no reads.
        max_lag: Field<RawMaxLag>,
        /// How mount types are known.
        mount_discovery: Field<RawMountDiscovery>,
        /// First match wins, before the built-in table.
        rules: List<RawRule>,
    }

    RawLearn as "Learn" {
        /// Learn which reads standbys forward.
        enabled: Field<bool>,
        /// Answers seen before a verdict.
        min_samples: Field<u32>,
        /// A shape forwarded more often than this goes to the active.
        flip_at: Field<Share>,
        /// Part of the flipped reads still tried on a standby.
        explore: Field<Share>,
        /// Shapes remembered.
        max_shapes: Field<usize>,
        /// Evidence halves in this time.
        half_life: Field<Time>,
    }

    RawMaxLag as "MaxLag" {
        /// Log entries.
        entries: Field<u64>,
        /// Since it last was seen to follow.
        time: Field<Time>,
    }

    RawMountDiscovery as "MountDiscovery" {
        /// Token that may list sys/internal/ui/mounts.
        token_file: Field<FileName>,
        /// How often.
        interval: Field<Time>,
        /// Fixed knowledge: mount path to engine type.
        types: Field<BTreeMap<String, Field<String>>>,
    }

    RawRule as "Rule" {
        /// Label in metrics and `explain`.
        name: Field<String>,
        /// Every given condition must hold.
        r#match: Field<RawRuleMatch>,
        /// Role that answers.
        to: Field<RuleTarget>,
        /// Instead of `to`: refuse, or only set what stands beside.
        action: Field<RuleVerb>,
        /// Status of `action: deny`, 400 to 599.
        status: Field<u16>,
        /// Consistency of these requests.
        consistency: Field<ConsistencyMode>,
        /// Instead of timeouts.request.
        timeout: Field<Time>,
        /// Instead of limits.max_body_bytes; 0: unlimited.
        max_body_bytes: Field<Size>,
    }

    RawRuleMatch as "RuleMatch" {
        /// Glob over the path without `/v1/`.
        path: Field<PathGlob>,
        /// HTTP methods.
        method: Field<OneOrMany<String>>,
        /// Glob over the namespace.
        namespace: Field<String>,
        /// What the built-in table calls the request.
        class: Field<RuleClass>,
        /// A request header.
        header: Field<RawRuleHeader>,
    }

    RawRuleHeader as "RuleHeader" {
        /// Header name.
        name: Field<String>,
        /// Glob over its value.
        value: Field<String>,
    }

    RawConsistency as "Consistency" {
        /// Of requests that say nothing else.
        mode: Field<ConsistencyMode>,
        /// What a session is.
        session_key: Field<SessionKey>,
        /// Sessions remembered.
        max_sessions: Field<usize>,
        /// Floor of a session seen for the first time.
        first_seen: Field<FirstSeen>,
        /// Later reads of a session never go back in time.
        monotonic: Field<bool>,
        /// When no standby is fresh enough.
        on_stale: Field<OnStale>,
        /// Longest wait for a standby to catch up.
        max_wait: Field<Time>,
        /// How long a changed mount, auth, policy or namespace prefix stays on the active.
        mount_change_window: Field<Time>,
        /// Clients may set the mode with `X-Understudy-Consistency`.
        request_override: Field<bool>,
    }

    RawRetry as "Retry" {
        /// Further attempts after the first.
        attempts: Field<u32>,
        /// One attempt.
        per_try_timeout: Field<Time>,
        /// Causes after which any request is sent again.
        on: List<RetryOn>,
        /// Further causes for reads.
        on_read: List<RetryOn>,
        /// Bound on retries at once.
        budget: Field<RawRetryBudget>,
        /// Pause before a retry.
        backoff: Field<RawBackoff>,
        /// Request bodies up to this size are kept to be sent again.
        buffer_bytes: Field<Size>,
    }

    RawRetryBudget as "RetryBudget" {
        /// Of the requests in flight.
        percent: Field<Percent>,
        /// Always allowed.
        min_concurrent: Field<u32>,
    }

    RawBackoff as "Backoff" {
        /// First pause.
        base: Field<Time>,
        /// Longest pause.
        max: Field<Time>,
    }

    RawTimeouts as "Timeouts" {
        /// First byte in to the head of the answer.
        request: Field<Time>,
    }

    RawAdmin as "Admin" {
        /// `false` opens no admin listener.
        enabled: Field<bool>,
        /// `ip:port` or `unix:/path`.
        bind: Field<BindText>,
        /// Prometheus.
        metrics: Field<RawMetrics>,
        /// Who may do what. Needed unless bound to loopback or a socket.
        tokens: List<RawAdminToken>,
    }

    RawMetrics as "Metrics" {
        /// Path of the metrics.
        path: Field<String>,
    }

    RawAdminToken as "AdminToken" {
        /// Label in the log.
        name: Field<String>,
        /// SHA-256 of the token in hex, `${VARIABLE}` or `file:/path`.
        sha256: Field<SecretText>,
        /// File with the SHA-256 of the token, as sha256sum writes it.
        sha256_file: Field<FileName>,
        /// `viewer` reads, `operator` changes.
        level: Field<AdminLevel>,
    }

    RawObservability as "Observability" {
        /// One line a request. Off unless this section is present.
        access_log: Field<RawAccessLog>,
        /// Trace headers.
        tracing: Field<RawTracing>,
    }

    RawAccessLog as "AccessLog" {
        /// `stdout`, `stderr` or a file.
        output: Field<Output>,
        /// Only json.
        format: Field<AccessLogFormat>,
        /// Part of the successful requests; errors are always logged.
        sample: Field<Share>,
        /// How much of the path is written. `full` may hold secrets.
        paths: Field<LoggedPaths>,
    }

    RawTracing as "Tracing" {
        /// Pass `traceparent` and `tracestate` on, or drop them.
        propagate: Field<Propagate>,
    }
}

/// `"https://10.0.1.11:8200"`, or a mapping.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename = "$text_or_map", rename_all = "lowercase")]
#[schemars(rename = "ServerEntry", untagged)]
pub(crate) enum ServerEntry {
    Text(Address),
    Map(RawServer),
}

/// Settings of which this version knows a single value, or a plain pair.
macro_rules! choices {
    ($($name:ident { $($variant:ident = $word:literal),* })*) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
        pub(crate) enum $name { $(#[serde(rename = $word)] $variant,)* }
    )*};
}

choices! {
    ForwardAs { ClientCert = "client-cert", None = "none" }
    RateKey { ClientIp = "client_ip" }
    RecordType { A = "a" }
    UpstreamAlpn { Http11 = "http/1.1" }
    RuleTarget { Active = "active", Standby = "standby", Any = "any" }
    RuleVerb { Deny = "deny", Continue = "continue" }
    SessionKey { Token = "token" }
    AccessLogFormat { Json = "json" }
    Propagate { W3c = "w3c", None = "none" }
}
