//! What the admin may know beyond the snapshot: a mirror of the cluster owner's status, refreshed by the control
//! thread, because admin calls must not wait.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};

use crate::proxy::admin::{ExplainAsk, Insight};
use crate::proxy::cluster::{ClusterHandle, ClusterStatus};
use crate::proxy::explain::{self, Asked};
use crate::proxy::learn::LearnedReport;
use crate::proxy::snapshot::{ServerId, Snapshot};
use crate::proxy::worker::Shared;

/// The mirror.
#[derive(Debug)]
pub(super) struct Mirror {
    shared: Arc<Shared>,
    status: ArcSwap<Option<ClusterStatus>>,
    learned: ArcSwap<Option<LearnedReport>>,
}

// === impl Mirror ===

impl Mirror {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, status: ArcSwap::default(), learned: ArcSwap::default() }
    }

    /// Asks the owner anew; it ends with the process, then the old picture stays.
    pub(super) async fn refresh(&self, cluster: &ClusterHandle) {
        if let Ok(status) = cluster.status().await {
            self.status.store(Arc::new(Some(status)));
        }
        if let Ok(learned) = cluster.learned().await {
            self.learned.store(Arc::new(Some(learned)));
        }
    }
}

impl Insight for Mirror {
    fn explain(&self, snapshot: &Snapshot, ask: &ExplainAsk) -> Result<Value, String> {
        let asked = Asked::parse(&ask.method, &ask.path, &ask.headers).map_err(|error| error.to_string())?;
        let live = explain::Live {
            snapshot,
            mount_changes: &self.shared.mount_changes,
            first_touch: &self.shared.first_touch,
        };
        serde_json::to_value(explain::live(&asked, &live, Instant::now())).map_err(|error| error.to_string())
    }

    fn learned(&self, _snapshot: &Snapshot) -> Value {
        self.learned.load().as_ref().as_ref().map_or_else(|| json!({}), |report| json!(report))
    }

    fn server(&self, snapshot: &Snapshot, server: ServerId) -> Map<String, Value> {
        let status = self.status.load();
        let name = snapshot.server(server).map(|view| &view.name);
        let found = status.as_ref().as_ref().and_then(|status| {
            status.servers.iter().find(|known| name.is_some_and(|name| **name == *known.name))
        });
        match found.map(|known| json!(known)) {
            Some(Value::Object(fields)) => fields,
            Some(_) | None => Map::new(),
        }
    }
}
