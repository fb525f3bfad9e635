//! What a node has inside its barrier: the first contents of a new store, what is loaded when it opens, what is forgotten
//! when it is sealed.

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::NodeError;
use crate::barrier::{Barrier, Mode, Transaction};
use crate::core::audit::{Broker, DeviceConfig, DeviceTable, Entry, Salt};
use crate::core::cached::FollowsRecord;
use crate::core::cluster::Cluster;
use crate::core::identity::Identity;
use crate::core::invalidation;
use crate::core::mounts::Mounts;
use crate::core::policy::PolicyStore;
use crate::core::token_store::TokenStore;
use crate::logical::Fault;
use crate::seal::{Inside, Opening};
use crate::storage::CommitError;
use crate::system::versions::VersionHistory;
use crate::telemetry::{BUILD, LogControl};

/// See the module.
pub(super) struct Contents {
    pub(super) barrier: Arc<Barrier>,
    pub(super) mounts: Arc<Mounts>,
    pub(super) tokens: Arc<TokenStore>,
    pub(super) identity: Arc<Identity>,
    pub(super) policies: Arc<PolicyStore>,
    pub(super) cluster: Arc<Cluster>,
    /// What follows the store.
    pub(super) records: Vec<Arc<dyn FollowsRecord>>,
    /// Devices of the configuration.
    pub(super) audit_devices: Vec<DeviceConfig>,
    /// Of a cluster made here.
    pub(super) cluster_name: Option<String>,
    /// The text of the first root token, where it was chosen.
    pub(super) root_token: Option<Zeroizing<String>>,
    /// Whose watchers read no further once it is sealed.
    pub(super) log: Option<LogControl>,
    /// Whether background work may run: the barrier is open and this node is the active one.
    pub(super) working: watch::Sender<bool>,
}

// === impl Contents ===

impl Contents {
    /// Cluster identity, mounts, the root token.
    fn write(&self, tx: &mut Transaction) -> Result<Zeroizing<String>, Fault> {
        Cluster::install(tx, self.cluster_name.as_deref())?;
        self.mounts.install(tx)?;
        let made = self.tokens.create_root(tx, self.root_token.clone(), OffsetDateTime::now_utc())?;
        Ok(made.granted.client_token)
    }

    async fn load(&self) -> Result<(), NodeError> {
        self.prepare().await?;
        let mut tx = self.barrier.begin(Mode::ReadOnly)?;
        self.cluster.load(&mut tx)?;
        self.tokens.changed(tx.index(), None);
        invalidation::reload_mounts(&self.mounts, &self.tokens, &mut tx)?;
        self.records.iter().try_for_each(|record| record.load(&mut tx))?;
        self.working.send_replace(true);
        Ok(())
    }

    /// Makes the configured audit devices rows of the stored table, before the first request that they must see, and notes
    /// the release. Where this node may not write, the active one has done it or will.
    async fn prepare(&self) -> Result<(), NodeError> {
        loop {
            let mut tx = self.barrier.begin(Mode::ReadWrite)?;
            let mut table = DeviceTable::load(&mut tx)?;
            let missing = table.missing(&self.audit_devices);
            if table.reconcile(&self.audit_devices) {
                table.store(&mut tx)?;
            }
            let now = OffsetDateTime::now_utc();
            VersionHistory::note(&mut tx, BUILD.version, now)?;
            self.policies.install(&mut tx, now).map_err(NodeError::Refused)?;
            match self.barrier.commit(tx).await {
                Ok(_) => {
                    missing.into_iter().for_each(|device| try_out(device, now));
                    return Ok(());
                }
                Err(CommitError::NotWritable) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A new device begins with a test line. One that cannot take it is told of here, and refuses every request later.
fn try_out(device: &DeviceConfig, now: OffsetDateTime) {
    let time = now.format(&Rfc3339).unwrap_or_default();
    let line = Entry::test(Uuid::new_v4().to_string(), time);
    if let Err(error) = Broker::try_out(device, Salt::new(&Salt::generate()), &line) {
        tracing::error!(device = %device.path, %error, "an audit device failed its test line");
    }
}

impl Inside for Contents {
    fn found(&self, tx: &mut Transaction) -> Result<Zeroizing<String>, String> {
        self.write(tx).map_err(|fault| fault.to_string())
    }

    fn opened(&self) -> Opening<'_> {
        Box::pin(async { self.load().await.map_err(|error| error.to_string()) })
    }

    fn closed(&self) {
        self.working.send_replace(false);
        if let Some(log) = &self.log {
            log.end_watchers();
        }
        self.mounts.clear();
        self.records.iter().for_each(|record| record.clear());
        let index = self.barrier.storage().snapshot().index();
        self.tokens.changed(index, None);
        self.identity.forget(index);
        self.policies.forget(index);
        self.cluster.clear();
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({:?})", self.cluster_name)
    }
}
