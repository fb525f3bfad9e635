//! The typed proxy configuration: what the rest of the program reads.
//!
//! Invariant: every value here is complete and checked; no `Option` means "unset, use the default".
//! It leaves the file's shape to `raw` and the reporting of mistakes to `report`. Only the enums that are one word
//! in the file are read by serde directly: a second copy of each would say the same.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One proxy process: exactly one cluster behind any number of listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyConfig {
    pub runtime: Runtime,
    pub listeners: Vec<Listener>,
    pub cluster: Cluster,
    pub routing: Routing,
    pub consistency: Consistency,
    pub retry: Retry,
    pub timeouts: Timeouts,
    /// `None`: no admin listener is opened.
    pub admin: Option<Admin>,
    pub observability: Observability,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Runtime {
    /// Worker threads, at least 1. `auto` is resolved to the usable cores when the file is read.
    pub workers: usize,
    /// Client connections, all listeners together.
    pub max_connections: usize,
    /// How long a drain may take before what is left is cut.
    pub shutdown_grace: Duration,
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    pub output: LogOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Json,
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    Stdout,
    Stderr,
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    pub name: String,
    /// At least one.
    pub binds: Vec<Bind>,
    pub tls: Option<ListenerTls>,
    /// Accept HTTP/2 with prior knowledge on a plain-text bind.
    pub h2c: bool,
    pub proxy_protocol: ProxyProtocol,
    pub forwarded: Forwarded,
    pub access: Access,
    pub limits: Limits,
    pub timeouts: ListenerTimeouts,
    /// Add `X-Understudy-Served-By`, `-Role` and `-Reason` to answers.
    pub answer_headers: bool,
    /// Path globs (canonical, without `/v1/`) where `Upgrade` passes.
    pub upgrades: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListenerTls {
    /// At least one; the first is used when SNI names none of them.
    pub certificates: Vec<CertifiedKeyFiles>,
    /// How often the files are looked at for a change; zero: only on reload.
    pub watch_interval: Duration,
    pub min_version: TlsVersion,
    pub alpn: Vec<Alpn>,
    pub client_certs: ClientCerts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedKeyFiles {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    #[serde(rename = "tls1.2")]
    Tls12,
    #[serde(rename = "tls1.3")]
    Tls13,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Alpn {
    #[serde(rename = "h2")]
    H2,
    #[serde(rename = "http/1.1")]
    Http11,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCerts {
    pub mode: ClientCertMode,
    /// Needed unless the mode is `None`.
    pub ca_file: Option<PathBuf>,
    /// Pass the verified certificate on as RFC 9440 `Client-Cert`.
    pub forward_client_cert: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertMode {
    None,
    Optional,
    Required,
}

/// PROXY protocol v1 and v2 on accepted connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    pub accept: bool,
    /// Peers that must send it; others are served without it.
    pub trusted: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    pub mode: ForwardedMode,
    pub trusted_proxies: Vec<IpNet>,
    /// How many entries from the right of `X-Forwarded-For` are believed when the peer is trusted.
    pub trusted_hops: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedMode {
    Append,
    Replace,
    None,
}

/// `deny` wins over `allow`; an empty `allow` admits everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub allow: Vec<IpNet>,
    pub deny: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub max_header_bytes: usize,
    pub max_headers: usize,
    /// 0: unlimited. Raft snapshot uploads are exempt.
    pub max_body_bytes: u64,
    pub max_concurrent_streams: u32,
    pub max_connections: usize,
    /// Connections of one client address; 0: unlimited.
    pub max_connections_per_ip: usize,
    pub rate: RateLimit,
}

/// Token bucket per client address; `requests_per_second` 0: off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    pub requests_per_second: f64,
    pub burst: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTimeouts {
    pub request_header: Duration,
    pub idle: Duration,
    /// Longest pause between two pieces of a request body, and of an answer the client reads.
    pub request_body: Duration,
    pub tunnel: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub name: String,
    pub api: Api,
    /// Empty only when `discovery` is set.
    pub servers: Vec<Server>,
    pub discovery: Option<DnsDiscovery>,
    /// Prefer read servers of this zone when `routing.prefer_local_zone`.
    pub local_zone: Option<String>,
    pub tls: UpstreamTls,
    pub connections: Connections,
    pub health_check: HealthCheck,
    pub outlier_detection: OutlierDetection,
    pub failover: Failover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    Auto,
    Vault,
    OpenBao,
    Understudy,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    pub name: String,
    pub address: ServerAddress,
    pub zone: Option<String>,
    /// 1..=256.
    pub weight: u32,
}

/// `http://host:port` or `https://host:port`, parsed once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    pub tls: bool,
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsDiscovery {
    pub name: String,
    pub port: u16,
    pub tls: bool,
    pub interval: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// `None`: the public roots.
    pub ca_file: Option<PathBuf>,
    /// `None`: the server's own host name.
    pub server_name: Option<String>,
    pub client_cert: Option<CertifiedKeyFiles>,
    pub min_version: TlsVersion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    pub connect_timeout: Duration,
    pub max_per_server: usize,
    pub max_pending: usize,
    pub max_idle_per_server: usize,
    pub idle_timeout: Duration,
    /// 0: no limit.
    pub max_requests_per_connection: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    pub path: String,
    pub interval: Duration,
    pub fast_interval: Duration,
    pub down_interval: Duration,
    /// 0.0..=1.0 of the interval.
    pub jitter: f64,
    pub timeout: Duration,
    pub unhealthy_threshold: u32,
    pub healthy_threshold: u32,
    pub leader_probe: bool,
    /// How often a plain standby is asked whether it serves reads.
    pub capability_interval: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OutlierDetection {
    /// 0: off.
    pub consecutive_failures: u32,
    pub base_ejection: Duration,
    /// 0.0..=1.0 of the read-serving standbys; the active node is never ejected.
    pub max_ejection: f64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// Zero: fail at once.
    pub hold_writes: Duration,
    pub read_without_leader: bool,
    /// How long reads go on without a visible leader when `read_without_leader`.
    pub read_without_leader_for: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    pub balance: Balance,
    pub slow_start: Duration,
    pub prefer_local_zone: bool,
    pub standby_reads: StandbyReads,
    /// 0.0..=1.0: part of the reads the active takes as well.
    pub active_share: f64,
    pub unknown: UnknownTo,
    pub learn: Learn,
    pub max_lag: MaxLag,
    pub mount_discovery: MountDiscovery,
    /// First match wins, before the built-in table.
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    RoundRobin,
    LeastRequest,
    PeakEwma,
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StandbyReads {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownTo {
    Active,
    Standby,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Learn {
    pub enabled: bool,
    pub min_samples: u32,
    /// 0.0..=1.0: a shape forwarded more often than this goes to the active.
    pub flip_at: f64,
    /// 0.0..=1.0: part of the flipped reads still tried on a standby, so that it can unlearn.
    pub explore: f64,
    pub max_shapes: usize,
    /// Evidence halves in this time.
    pub half_life: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxLag {
    pub entries: u64,
    pub time: Duration,
}

/// How the proxy learns mount types: with a token it may list `sys/internal/ui/mounts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountDiscovery {
    /// `None`: shapes and learning only.
    pub token_file: Option<PathBuf>,
    pub interval: Duration,
    /// Fixed knowledge: mount path (with a trailing slash) to engine type.
    pub types: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub name: String,
    pub matches: RuleMatch,
    pub action: RuleAction,
    pub consistency: Option<ConsistencyMode>,
    pub timeout: Option<Duration>,
    /// `Some(0)`: unlimited.
    pub max_body_bytes: Option<u64>,
}

/// Every given field must match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleMatch {
    /// Glob over the canonical path without `/v1/`: `*` any run inside or across segments, `+` one segment.
    pub path: Option<String>,
    /// Upper-case method names.
    pub methods: Vec<String>,
    /// Glob over the namespace, without leading or trailing slash.
    pub namespace: Option<String>,
    pub class: Option<RuleClass>,
    /// Lower-case header name and a glob over its value.
    pub header: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleClass {
    Read,
    Write,
    Local,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    ToActive,
    ToStandby,
    ToAny,
    /// The built-in table decides; the rule only sets consistency, timeout or body limit.
    Continue,
    Deny {
        status: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    pub mode: ConsistencyMode,
    pub max_sessions: usize,
    pub first_seen: FirstSeen,
    pub monotonic: bool,
    pub on_stale: OnStale,
    pub max_wait: Duration,
    /// How long a changed mount, auth, policy or namespace prefix stays on the active after the standbys passed its index.
    pub mount_change_window: Duration,
    /// Clients may lower or raise the mode per request with `X-Understudy-Consistency`.
    pub request_override: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyMode {
    Eventual,
    Session,
    Global,
    Strong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstSeen {
    Global,
    Active,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    WaitThenActive,
    Active,
    Fail,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Further attempts after the first.
    pub attempts: u32,
    pub per_try_timeout: Duration,
    pub on: Vec<RetryOn>,
    pub on_read: Vec<RetryOn>,
    pub budget: RetryBudget,
    pub backoff_base: Duration,
    pub backoff_max: Duration,
    /// Request bodies up to this many bytes are kept so that they can be sent again.
    pub buffer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    ConnectFailure,
    RefusedStream,
    NotLeader,
    StaleIndex,
    Reset,
    GatewayError,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudget {
    /// 0.0..=1.0 of the requests in flight.
    pub share: f64,
    pub min_concurrent: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// First byte in to the head of the answer; streaming paths are exempt.
    pub request: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub bind: Bind,
    pub metrics_path: String,
    pub tokens: Vec<AdminToken>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken {
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    pub level: AdminLevel,
}

/// A short token could be found from its digest, so that is not printed either.
impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminToken")
            .field("name", &self.name)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdminLevel {
    Viewer,
    Operator,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observability {
    /// `None`: no access log.
    pub access_log: Option<AccessLog>,
    /// Pass `traceparent` and `tracestate` on (they are dropped otherwise).
    pub propagate_trace: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    pub output: LogOutput,
    /// 0.0..=1.0 of the successful requests; errors are always logged.
    pub sample: f64,
    pub paths: LoggedPaths,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoggedPaths {
    Template,
    Mount,
    Full,
    None,
}
