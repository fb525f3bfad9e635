//! A node: the core behind HTTP. The only module that names everything.
//!
//! ```text
//!   workers ─> front ─> http (head, body) ─> core::pipeline ─> answer, with its index
//!                                              background: leases end, backends tick, removed mounts are wiped
//! ```

pub mod administration;
#[cfg(test)]
mod audit_tests;
pub mod authority;
pub mod backends;
mod background;
pub mod body;
mod cors;
pub mod front;
pub mod http;
mod place;
pub mod workers;

use std::sync::Arc;

use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::barrier::{Barrier, Mode, Sealed, StoreError};
use crate::core::audit::{DeviceConfig, DeviceTable};
use crate::core::cluster::Cluster;
use crate::core::expiration::Expiration;
use crate::core::identity::Identity;
use crate::core::invalidation::{self, Invalidation};
use crate::core::mounts::Mounts;
use crate::core::pipeline::Core;
use crate::core::policy::PolicyStore;
use crate::core::router::LeaseBounds;
use crate::core::token_store::TokenStore;
use crate::logical::{Fault, Granted};
use crate::storage::{CommitError, Storage};
use crate::system::audit::AuditRules;
use crate::system::capabilities::CapabilityEndpoints;
use crate::system::identity::IdentityBackend;
use crate::system::leases::LeaseEndpoints;
use crate::system::mounts::MountEndpoints;
use crate::system::policies::PolicyEndpoints;
use crate::system::token::TokenBackend;
use crate::system::versions::VersionHistory;
use crate::system::wrapping::WrappingEndpoints;
use crate::system::{Endpoints, System};
use crate::telemetry::BUILD;
use administration::Administration;
use authority::NodeAuthority;
use backends::Backends;

/// What a node is told once.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub bounds: LeaseBounds,
    /// Name of a cluster made here; `None`: made up.
    pub cluster_name: Option<String>,
    /// Audit devices of the configuration file; only there can they be changed.
    pub audit_devices: Vec<DeviceConfig>,
    pub audit_rules: AuditRules,
}

/// See the module.
#[derive(Debug)]
pub struct Node {
    pub core: Arc<Core>,
    pub policies: Arc<PolicyStore>,
    pub expiration: Arc<Expiration>,
    pub cluster: Arc<Cluster>,
    pub administration: Administration,
    settings: Settings,
    /// Whether background work may run: the barrier is open and this node is the active one.
    working: watch::Sender<bool>,
}

/// Why a node cannot go to work.
#[derive(Debug, Error)]
pub enum NodeError {
    #[error(transparent)]
    Sealed(#[from] Sealed),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Refused(Fault),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

// === impl Node ===

impl Node {
    /// A node over `storage`, its barrier closed.
    ///
    /// # Errors
    /// No thread could be started for its background work.
    pub fn build(storage: Arc<dyn Storage>, settings: Settings) -> Result<Arc<Self>, NodeError> {
        let barrier = Arc::new(Barrier::new(storage));
        let (mounts, tokens) = (Arc::new(Mounts::new(settings.bounds)), Arc::new(TokenStore::new()));
        let (expiration, cluster) = (Arc::new(Expiration::new()), Arc::new(Cluster::default()));
        let (administration, identity) = (Administration::new(), Arc::new(Identity::new()));
        let records = administration.records();
        let policies = Arc::new(PolicyStore::new(Arc::clone(&identity) as _));
        let authority = NodeAuthority::new(Arc::clone(&mounts), Arc::clone(&identity), Arc::clone(&policies));
        let authority = Arc::new(authority);
        let mut topics = topics(&mounts, &tokens, &policies, &authority);
        topics.extend(administration.topics(&mounts, &tokens, settings.audit_rules));
        mounts.set_factory(Arc::new(Backends {
            system: Arc::new(System::new(topics)),
            identity: Arc::new(IdentityBackend::new(Arc::clone(&mounts))),
            token: Arc::new(TokenBackend::new(Arc::clone(&tokens), Arc::clone(&authority) as _)),
        }));
        let invalidation = Invalidation::new(
            &barrier,
            Arc::clone(&mounts),
            Arc::clone(&tokens),
            Arc::clone(&expiration),
            records,
        );
        barrier.storage().observe(Arc::new(invalidation));
        barrier.storage().observe(Arc::clone(&identity) as _);
        barrier.storage().observe(Arc::clone(&policies) as _);
        let core = Arc::new(Core {
            barrier,
            mounts,
            tokens,
            identity,
            policies: Arc::clone(&policies) as _,
            audit: Arc::clone(&administration.audit),
        });
        let (working, may_work) = watch::channel(false);
        let node = Arc::new(Self { core, policies, expiration, cluster, administration, settings, working });
        background::start(&node, may_work)?;
        Ok(node)
    }

    /// Writes the first contents of a new store: cluster identity, mounts, the root token. The barrier must be open.
    ///
    /// # Errors
    /// The barrier is sealed, or the store refuses.
    pub async fn install(&self, root: Option<Zeroizing<String>>) -> Result<Granted, NodeError> {
        let mut tx = self.core.barrier.begin(Mode::ReadWrite)?;
        Cluster::install(&mut tx, self.settings.cluster_name.as_deref())?;
        self.core.mounts.install(&mut tx)?;
        let made = self.core.tokens.create_root(&mut tx, root, OffsetDateTime::now_utc());
        let granted = made.map_err(NodeError::Refused)?.granted;
        self.core.barrier.commit(tx).await?;
        Ok(granted)
    }

    /// Goes to work: the barrier was opened. Loads what requests need and starts the background work.
    ///
    /// # Errors
    /// The barrier is sealed, or its records cannot be read.
    pub async fn open(&self) -> Result<(), NodeError> {
        self.prepare().await?;
        let mut tx = self.core.barrier.begin(Mode::ReadOnly)?;
        self.cluster.load(&mut tx)?;
        self.core.tokens.changed(tx.index(), None);
        invalidation::reload_mounts(&self.core.mounts, &self.core.tokens, &mut tx)?;
        self.administration.records().iter().try_for_each(|record| record.load(&mut tx))?;
        self.working.send_replace(true);
        Ok(())
    }

    /// Makes the configured audit devices rows of the stored table, before the first request that they must see, and notes
    /// the release. Where this node may not write, the active one has done it or will.
    async fn prepare(&self) -> Result<(), NodeError> {
        loop {
            let mut tx = self.core.barrier.begin(Mode::ReadWrite)?;
            let mut table = DeviceTable::load(&mut tx)?;
            if table.reconcile(&self.settings.audit_devices) {
                table.store(&mut tx)?;
            }
            let now = OffsetDateTime::now_utc();
            VersionHistory::note(&mut tx, BUILD.version, now)?;
            self.policies.install(&mut tx, now).map_err(NodeError::Refused)?;
            match self.core.barrier.commit(tx).await {
                Ok(_) | Err(CommitError::NotWritable) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Stops working and forgets what it knew: the barrier was sealed.
    pub fn close(&self) {
        self.working.send_replace(false);
        self.core.mounts.clear();
        self.administration.records().iter().for_each(|record| record.clear());
        let index = self.core.barrier.storage().snapshot().index();
        self.core.tokens.changed(index, None);
        self.core.identity.forget(index);
        self.policies.forget(index);
        self.cluster.clear();
    }
}

/// The tables of `sys/`.
fn topics(
    mounts: &Arc<Mounts>,
    tokens: &Arc<TokenStore>,
    policies: &Arc<PolicyStore>,
    authority: &Arc<NodeAuthority>,
) -> Vec<Box<dyn Endpoints>> {
    vec![
        Box::new(MountEndpoints::new(Arc::clone(mounts))),
        Box::new(LeaseEndpoints::new(
            Arc::clone(tokens),
            Arc::clone(authority) as _,
            Arc::clone(authority) as _,
        )),
        Box::new(WrappingEndpoints::new(Arc::clone(tokens))),
        Box::new(PolicyEndpoints::new(Arc::clone(policies))),
        Box::new(CapabilityEndpoints::new(Arc::clone(policies), Arc::clone(tokens))),
    ]
}
