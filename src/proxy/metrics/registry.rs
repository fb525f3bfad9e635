//! The process-wide end of the metrics: hands out rows and worker handles, and renders a scrape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::proxy::snapshot::Snapshot;

use super::cluster::ClusterCounters;
use super::export;
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
