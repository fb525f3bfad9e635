//! What a start needs, what it can fail with, and what it reports.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::proxy::ProxyConfig;
use crate::net::listener::{Address, BindError};
use crate::net::tls::TlsError;
use crate::telemetry::LogControl;

/// Everything a proxy is started from.
#[derive(Debug)]
pub struct Start {
    pub config: Arc<ProxyConfig>,
    /// The configuration as text, for `/v1/config`.
    pub text: String,
    /// Where it came from: what a reload reads again.
    pub source: Source,
    /// The process's log, when this proxy may change its level and reopen it.
    pub log: Option<LogControl>,
    /// `NOTIFY_SOCKET`.
    pub notify: Option<OsString>,
}

/// Where a reload finds the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// Made by this program: there is nothing to read again.
    Memory,
}

/// What a proxy listens on, with the ports the kernel chose for 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    pub listeners: Vec<(String, Address)>,
    pub admin: Option<String>,
    pub admin_tcp: Option<SocketAddr>,
}

/// Why a proxy did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the admin listener: {0}")]
    Admin(#[source] io::Error),
    #[error("the access log: {0}")]
    AccessLog(#[source] io::Error),
    #[error("the service manager's socket: {0}")]
    Notify(#[source] io::Error),
    #[error("a worker thread: {0}")]
    Thread(#[source] io::Error),
    #[error("the operating system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
    #[error("signals: {0}")]
    Signals(#[source] io::Error),
}
