//! The cluster owner: the one task that knows every server's state and publishes the [`Snapshot`] all workers read.
//!
//! ```text
//!  workers ──Observation──┐                                 ┌──> ArcSwap<Snapshot> ──> every worker
//!  probers ──ProbeEvent───┼──> owner ──> state ──> decide ──┤
//!  admin ───ClusterCommand┤    (task)   (facts)   (pure)    └──> Orders ──> each prober
//!  discovery ─────────────┘
//! ```
//! Invariant: nothing else changes a snapshot, a role or the learned evidence; the numbers of `ServerLive` are the
//! one exception, and they only rise.

pub mod decide;
#[cfg(test)]
mod decide_tests;
pub mod history;
mod owner;
pub mod state;
#[cfg(test)]
mod state_tests;
pub mod status;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::config::proxy::ProxyConfig;
use crate::net::tls::TlsError;

use super::learn::LearnedReport;
use super::metrics::ClusterCounters;
use super::observation::Observation;
use super::snapshot::{AdminState, Snapshot};

pub use self::status::ClusterStatus;

/// Observations waiting for the owner. Full: the worker drops and counts, the next answer tells the same again.
pub const MAX_OBSERVATIONS: usize = 4096;
/// Commands waiting for the owner; the admin side waits when it is full.
const MAX_COMMANDS: usize = 16;

/// What everybody else holds of the owner. Cheap to clone; when the last one is dropped the owner ends.
#[derive(Debug, Clone)]
pub struct ClusterHandle {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Counts published snapshots: wait on it to see the next.
    pub changed: watch::Receiver<u64>,
    /// Workers use `try_send`.
    pub observe: mpsc::Sender<Observation>,
    pub command: mpsc::Sender<ClusterCommand>,
}

/// What an operator may ask.
#[derive(Debug)]
pub enum ClusterCommand {
    /// A checked configuration. Answers with the new generation, or why the old one stays.
    Reload {
        config: Arc<ProxyConfig>,
        done: oneshot::Sender<Result<u64, TlsError>>,
    },
    AdminState {
        server: String,
        state: AdminState,
        done: oneshot::Sender<Result<(), UnknownServer>>,
    },
    /// 0 (nothing new by balancing) to 256, until the next reload.
    Weight {
        server: String,
        weight: u32,
        done: oneshot::Sender<Result<(), UnknownServer>>,
    },
    ProbeNow,
    ResetLearned,
    Status {
        done: oneshot::Sender<ClusterStatus>,
    },
    Learned {
        done: oneshot::Sender<LearnedReport>,
    },
}

/// No server of that name is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no server is called `{0}`")]
pub struct UnknownServer(pub String);

/// The owner has ended: the process is going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cluster owner has ended")]
pub struct OwnerGone;

/// Why a reload did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    OwnerGone(#[from] OwnerGone),
}

/// Starts the owner and its probers on the current tokio runtime (the control thread's). The first snapshot, in
/// which nothing is known yet, is there on return.
///
/// # Errors
/// A TLS file of the configuration cannot be used.
pub fn spawn(
    config: Arc<ProxyConfig>,
    clock: Clock,
    counters: Arc<ClusterCounters>,
) -> Result<ClusterHandle, TlsError> {
    let (observe, observations) = mpsc::channel(MAX_OBSERVATIONS);
    let (command, commands) = mpsc::channel(MAX_COMMANDS);
    let (owner, snapshot, changed) = owner::Owner::new(config, clock, counters, observations, commands)?;
    tokio::spawn(owner.run());
    Ok(ClusterHandle { snapshot, changed, observe, command })
}

// === impl ClusterHandle ===

impl ClusterHandle {
    /// Replaces the configuration.
    ///
    /// # Errors
    /// A TLS file cannot be used (the old generation stays), or the owner has ended.
    pub async fn reload(&self, config: Arc<ProxyConfig>) -> Result<u64, ReloadError> {
        let generation = self.ask(|done| ClusterCommand::Reload { config, done }).await?;
        Ok(generation?)
    }

    /// # Errors
    /// The owner has ended.
    pub async fn status(&self) -> Result<ClusterStatus, OwnerGone> {
        self.ask(|done| ClusterCommand::Status { done }).await
    }

    /// # Errors
    /// The owner has ended.
    pub async fn learned(&self) -> Result<LearnedReport, OwnerGone> {
        self.ask(|done| ClusterCommand::Learned { done }).await
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// The owner has ended.
    pub async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> ClusterCommand,
    ) -> Result<T, OwnerGone> {
        let (done, answer) = oneshot::channel();
        self.command.send(command(done)).await.map_err(|_| OwnerGone)?;
        answer.await.map_err(|_| OwnerGone)
    }
}
