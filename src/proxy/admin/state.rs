//! The handles the admin works with. Whoever starts the proxy fills them in.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::proxy::decisions::{Decisions, Malformed};
use crate::proxy::metrics::Metrics;
use crate::proxy::snapshot::{self, ServerId, Snapshot};
use crate::shutdown::Drain;
use crate::telemetry::LogControl;

/// Everything the endpoints read and command.
#[derive(Debug)]
pub struct AdminState {
    pub metrics: Arc<Metrics>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub decisions: Arc<Decisions>,
    pub malformed: Arc<Malformed>,
    /// `None`: this process's log is somebody else's.
    pub log: Option<LogControl>,
    pub control: mpsc::Sender<ControlCommand>,
    pub insight: Arc<dyn Insight>,
    /// The YAML of the running generation.
    pub config_text: Arc<ArcSwap<String>>,
    pub drain: Drain,
    pub started: Instant,
}

/// What only the owners of the parts can tell. Calls must not block: they run on the control thread.
pub trait Insight: Send + Sync + fmt::Debug {
    /// What would be done with this request now, as `understudy explain` prints it.
    ///
    /// # Errors
    /// One sentence for the operator: what is wrong with the question.
    fn explain(&self, snapshot: &Snapshot, ask: &ExplainAsk) -> Result<Value, String>;

    /// The learned shapes with their evidence.
    fn learned(&self, snapshot: &Snapshot) -> Value;

    /// What is known of a server beyond the snapshot: last check and its reason, version, cluster id, ejection,
    /// operator state. Added to the server's object.
    fn server(&self, snapshot: &Snapshot, server: ServerId) -> Map<String, Value>;
}

/// A request to explain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainAsk {
    /// `GET`, `LIST`, ...
    pub method: String,
    /// As on the wire, with or without the leading `/v1/`, query included.
    pub path: String,
    /// Names and values that matter to classification; at most 32.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// How a command ended; the error is a sentence for the operator. The sender may be gone.
pub type Reply<T> = oneshot::Sender<Result<T, String>>;

/// What the operator wants done.
#[derive(Debug)]
pub enum ControlCommand {
    /// Read the configuration again; the answer is the new generation.
    Reload(Reply<u64>),
    /// Readiness off, connections end with their running request; the process stays.
    Drain,
    /// Drain, then end the process. `None`: the configured grace.
    Shutdown {
        grace: Option<Duration>,
    },
    SetServerState {
        server: ServerId,
        state: snapshot::AdminState,
        reply: Reply<()>,
    },
    /// Check this server's health now; the answer is what the check found.
    Probe {
        server: ServerId,
        reply: Reply<Value>,
    },
    /// Forget everything learned; the answer is the number of shapes forgotten.
    ResetLearned(Reply<usize>),
}
