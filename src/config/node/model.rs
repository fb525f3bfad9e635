//! The typed configuration of a node: what the rest of the program reads.
//!
//! Invariant: every value here is complete and checked; no `Option` means "unset, use the default", each says itself
//! what its absence is. Defaults and their reasons are beside the readers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::config::proxy::{ListenerTls, LogFormat, LogLevel, LogOutput};

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// At least one.
    pub listeners: Vec<Listener>,
    pub storage: Storage,
    pub seal: Seal,
    pub cluster: Cluster,
    pub leases: Leases,
    pub audit: Audit,
    pub log: Log,
    pub response_headers: ResponseHeaders,
    pub endpoints: Endpoints,
    pub telemetry: Telemetry,
    /// `None`: this node is announced nowhere.
    pub service_registration: Option<ServiceRegistration>,
    /// `None`: no file holds the process id.
    pub pid_file: Option<PathBuf>,
    /// All of it as operators may see it.
    pub sanitized: serde_json::Map<String, serde_json::Value>,
}

/// `listener "tcp"` or `listener "unix"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    pub bind: Bind,
    /// Where the cluster port listens; `None` on a unix socket.
    pub cluster_bind: Option<Bind>,
    /// `None`: plain HTTP.
    pub tls: Option<ListenerTls>,
    pub timeouts: ListenerTimeouts,
    pub limits: RequestLimits,
    /// `None`: `X-Forwarded-For` means nothing here.
    pub forwarded: Option<Forwarded>,
    pub custom_headers: CustomHeaders,
    pub open: OpenEndpoints,
    pub consistency: Consistency,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    Tcp(SocketAddr),
    /// Every interface, IPv4 and IPv6: `:8200` and `[::]:8200`.
    Everywhere(u16),
    /// A name, looked up when the node starts.
    Name(String, u16),
    Unix(UnixSocket),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    pub path: PathBuf,
    /// Permission bits of the socket file.
    pub mode: u32,
}

/// How long a client may take. Zero: without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTimeouts {
    pub read_header: Duration,
    pub read: Duration,
    pub write: Duration,
    pub idle: Duration,
}

/// What one request may cost. `None`: without limit, as a negative number in the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of a body.
    pub size: Option<u64>,
    /// How long it may run.
    pub duration: Option<Duration>,
    /// Bytes its JSON may take when it is decoded.
    pub json_memory: Option<u64>,
    /// Strings its JSON may hold.
    pub json_strings: Option<u64>,
}

/// `x_forwarded_for_*`: whose word about the client's address is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// At least one.
    pub authorized: Vec<IpNet>,
    /// Entries at the end of the header that are proxies, too.
    pub hop_skips: usize,
    pub reject_not_present: bool,
    pub reject_not_authorized: bool,
}

/// Headers added to answers: status, `4xx` or `default` → name → values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomHeaders(pub BTreeMap<StatusClass, Vec<(String, Vec<String>)>>);

/// Which answers get a header. The most special one that has a header wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusClass {
    Every,
    /// `2` for `2xx`.
    Hundred(u16),
    Exactly(u16),
}

/// Endpoints that answer without a token, per listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenEndpoints {
    pub rekey: bool,
    pub generate_root: bool,
    /// `sys/metrics` without a token.
    pub metrics: bool,
}

/// What a standby does for a request that names an index it has not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consistency {
    pub max_index_wait: Duration,
    pub fallback: Fallback,
    /// Requests that say nothing about consistency go to the active node.
    pub missing_header_forward: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    Fail,
    Forward,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    Inmem,
    File { path: PathBuf },
    Raft(Raft),
}

/// `storage "raft"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raft {
    pub path: PathBuf,
    /// `None`: made up at the first start and kept in `path`.
    pub node_id: Option<String>,
    pub retry_join: Vec<RetryJoin>,
    /// Join as a non-voter.
    pub non_voter: bool,
    /// Multiplies the election and heartbeat times: 1 is for production, more for slow machines.
    pub performance_multiplier: u32,
    /// Log entries kept after a snapshot.
    pub trailing_logs: u64,
    /// Log entries between two snapshots.
    pub snapshot_threshold: u64,
    /// Bytes of one log entry.
    pub max_entry_size: u64,
    pub autopilot_reconcile_interval: Duration,
    pub autopilot_update_interval: Duration,
}

/// A node to ask for membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryJoin {
    /// `https://host:8200`
    pub leader_api_addr: String,
    /// The name in its certificate; `None`: the host's.
    pub tls_server_name: Option<String>,
    /// `None`: the CAs of the system.
    pub ca_cert: Option<Pem>,
    /// Certificate and key; `None`: none is shown.
    pub client: Option<(Pem, Pem)>,
}

/// A certificate or key, in the file itself or in another. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    Text(Zeroizing<String>),
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    Shamir,
    Static(StaticSeal),
}

/// `seal "static"`: the key that protects the root key, given by its keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticSeal {
    pub current: SealKey,
    /// What the root key was protected with before; taken off when it is no longer needed.
    pub previous: Option<SealKey>,
}

/// A key's name, and the key or where it is (`file:///path`, `env://NAME`): the seal looks it up. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey {
    pub id: String,
    pub text: Zeroizing<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `None`: made up when the cluster is initialised.
    pub name: Option<String>,
    /// What clients and other nodes call this node: `https://10.0.1.11:8200`.
    pub api_addr: String,
    /// What other nodes call its cluster port: `https://10.0.1.11:8201`.
    pub cluster_addr: String,
    pub performance_standby: bool,
    pub standby_reads: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leases {
    pub default_ttl: Duration,
    pub max_ttl: Duration,
}

/// Audit devices of the file, and what the API may do about others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub devices: Vec<AuditDevice>,
    pub allow_api_creation: bool,
    pub allow_prefix: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDevice {
    /// `file`, `socket`, ...
    pub kind: String,
    /// Ends in `/`.
    pub path: String,
    pub description: String,
    pub options: BTreeMap<String, String>,
    pub local: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    pub output: LogOutput,
}

/// Who answered, on every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeaders {
    pub hostname: bool,
    pub raft_node_id: bool,
}

/// Endpoints that are off unless asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    pub raw_storage: bool,
    pub introspection: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Whether there is the Prometheus form.
    pub prometheus: bool,
    /// First word of their names.
    pub prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceRegistration {
    Consul(Consul),
    Kubernetes(Kubernetes),
}

#[derive(Clone, PartialEq, Eq)]
pub struct Consul {
    /// `host:port`
    pub address: String,
    pub tls: bool,
    /// Empty: none is sent.
    pub token: Zeroizing<String>,
    pub service: String,
    pub service_tags: Vec<String>,
    /// `None`: the host of `api_addr`.
    pub service_address: Option<String>,
    pub check_timeout: Duration,
    pub register: bool,
    /// `None`: the CAs of the system.
    pub tls_ca_file: Option<PathBuf>,
    pub tls_client: Option<(PathBuf, PathBuf)>,
}

/// Both are there, from the file or from the pod's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubernetes {
    pub namespace: String,
    pub pod_name: String,
}

// === impl StatusClass ===

impl StatusClass {
    /// Whether an answer with this status is of the class.
    #[must_use]
    pub fn holds(self, status: u16) -> bool {
        match self {
            Self::Every => true,
            Self::Hundred(hundred) => status / 100 == hundred,
            Self::Exactly(exactly) => status == exactly,
        }
    }
}

// === secrets are not printed ===

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(***)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consul")
            .field("address", &self.address)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
