//! The process-wide end of the metrics: hands out rows and worker handles, and renders a scrape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::proxy::snapshot::{ServerId, Snapshot};

use super::cluster::ClusterCounters;
use super::export;
use super::label::{ConnectionState, Label as _};
use super::slot::{ListenerSlot, Slots};
use super::worker::{Cells, WorkerMetrics};

/// All counters of this process. Shared by reference; every method may be called from any thread.
#[derive(Debug)]
pub struct Metrics {
    pub(super) servers: Arc<Slots>,
    pub(super) listeners: Slots,
    pub(super) cluster: Arc<ClusterCounters>,
    /// One entry a worker for the life of the process: a counter never falls. Locked by start-up and scrapes only.
    pub(super) workers: Mutex<Vec<Arc<Cells>>>,
    pub(super) certificates: Mutex<Vec<CertificateExpiry>>,
    /// CPU time of each worker's thread at the last scrape.
    pub(super) last_busy: Mutex<Option<(Instant, Vec<Duration>)>>,
}

/// When a loaded certificate ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateExpiry {
    pub owner: CertificateOwner,
    /// The file's name as configured, without its folder.
    pub certificate: String,
    /// Unix seconds.
    pub not_after: i64,
}

/// Who presents a certificate; the names are those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateOwner {
    Listener(String),
    Server(String),
}

/// What a server has in hand. Read while the workers go on, so a number may be a moment old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerUse {
    pub in_flight: i64,
    pub pending: i64,
    pub connections_active: i64,
    pub connections_idle: i64,
}

impl Default for Metrics {
    fn default() -> Self {
        let servers = Arc::new(Slots::default());
        Self {
            cluster: Arc::new(ClusterCounters::new(Arc::clone(&servers))),
            servers,
            listeners: Slots::default(),
            workers: Mutex::default(),
            certificates: Mutex::default(),
            last_busy: Mutex::default(),
        }
    }
}

impl Metrics {
    /// The counters of one more worker.
    #[must_use]
    pub fn worker(&self) -> WorkerMetrics {
        let cells = Arc::new(Cells::new(Arc::clone(&self.servers)));
        self.workers.lock().push(Arc::clone(&cells));
        WorkerMetrics::new(cells)
    }

    /// The row of a listener; ask once when it is opened. More than 16 listeners share `other`.
    #[must_use]
    pub fn listener(&self, name: &str) -> ListenerSlot {
        ListenerSlot(self.listeners.of_name(name))
    }

    /// The counters of the cluster owner.
    #[must_use]
    pub fn cluster(&self) -> Arc<ClusterCounters> {
        Arc::clone(&self.cluster)
    }

    /// Replaces the list of loaded certificates.
    pub fn set_certificates(&self, certificates: Vec<CertificateExpiry>) {
        *self.certificates.lock() = certificates;
    }

    /// The loaded certificates, as last told.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateExpiry> {
        self.certificates.lock().clone()
    }

    /// What a server has in hand now, all workers together.
    #[must_use]
    pub fn server_use(&self, id: ServerId) -> ServerUse {
        let row = usize::from(self.servers.at(id.index()));
        let workers = self.workers.lock().clone();
        let sum = |value: &dyn Fn(&Cells) -> u64| {
            workers.iter().fold(0_u64, |sum, worker| sum.wrapping_add(value(worker))).cast_signed()
        };
        let connections =
            |state: ConnectionState| sum(&|worker| worker.connections.value([row, state.index()]));
        ServerUse {
            in_flight: sum(&|worker| worker.in_flight.value([row])),
            pending: sum(&|worker| worker.pending.value([row])),
            connections_active: connections(ConnectionState::Active),
            connections_idle: connections(ConnectionState::Idle),
        }
    }

    /// One scrape in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// The encoder's refusal, which names the family.
    pub fn render(&self, snapshot: &Snapshot) -> Result<String, prometheus::Error> {
        self.servers.place(snapshot.servers.iter().map(|server| server.name.as_ref()));
        let families = export::families(self, snapshot, Instant::now());
        prometheus::TextEncoder::new().encode_to_string(&families)
    }
}
