//! Who the cluster is: a name and an id made once, with the first contents of its store.

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::barrier::{StoreError, Transaction};
use crate::entropy;

const RECORD: &str = "core/cluster/local/info";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    pub name: String,
    /// UUID; part of every index this cluster hands out.
    pub id: String,
}

/// The cluster's identity while the barrier is open.
#[derive(Debug, Default)]
pub struct Cluster {
    info: ArcSwapOption<ClusterInfo>,
}

// === impl Cluster ===

impl Cluster {
    /// Writes the identity of a new store. `name`: as configured; made up where it is not.
    ///
    /// # Errors
    /// The transaction refuses.
    pub fn install(tx: &mut Transaction, name: Option<&str>) -> Result<(), StoreError> {
        let made_up = || format!("vault-cluster-{:08x}", u32::from_be_bytes(entropy::bytes()));
        let name = name.filter(|name| !name.is_empty()).map_or_else(made_up, str::to_owned);
        let info = ClusterInfo { name, id: uuid::Uuid::new_v4().to_string() };
        tx.view("").put_record(RECORD, &info)
    }

    /// Reads the identity.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn load(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        let info: Option<ClusterInfo> = tx.view("").get_record(RECORD)?;
        self.info.store(info.map(Arc::new));
        Ok(())
    }

    /// Forgets it: the node was sealed.
    pub fn clear(&self) {
        self.info.store(None);
    }

    /// `None` while sealed.
    #[must_use]
    pub fn info(&self) -> Option<Arc<ClusterInfo>> {
        self.info.load_full()
    }
}
