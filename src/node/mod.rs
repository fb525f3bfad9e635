//! A node: the core behind HTTP. The only module that names everything.
//!
//! ```text
//!   workers ─> listener_front ─> front ─> http (head, body) ─> core::pipeline ─> answer, with its index
//!                                    └──> bootstrap: health, the seal and its ceremonies, also while sealed
//!                                              background: leases end, backends tick, removed mounts are wiped
//! ```

pub mod administration;
pub mod authority;
pub mod backends;
mod background;
pub mod body;
pub mod bootstrap;
mod contents;
mod cors;
pub mod forwarded;
pub mod front;
mod gauges;
pub mod headers;
pub mod http;
pub mod json_body;
mod json_cost;
mod json_syntax;
pub mod listener_front;
pub mod own;
mod place;
#[cfg(test)]
mod seal_tests;
#[cfg(test)]
mod tests;
pub mod workers;

use std::sync::Arc;

use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::barrier::{Barrier, Sealed, StoreError};
use crate::core::audit::DeviceConfig;
use crate::core::cluster::Cluster;
use crate::core::expiration::Expiration;
use crate::core::identity::Identity;
use crate::core::in_flight::InFlight;
use crate::core::invalidation::Invalidation;
use crate::core::lockout::Lockouts;
use crate::core::meters::Meters;
use crate::core::mounts::Mounts;
use crate::core::pipeline::Core;
use crate::core::policy::PolicyStore;
use crate::core::quota::Quotas;
use crate::core::router::LeaseBounds;
use crate::core::token_store::TokenStore;
use crate::logical::Fault;
use crate::seal::{Ceremonies, InitError, InitRequest, Initialized, Method, SealManager, UnsealError};
use crate::storage::raft::RaftStorage;
use crate::storage::{CommitError, Storage};
use crate::system::audit::AuditRules;
use crate::system::capabilities::CapabilityEndpoints;
use crate::system::generate_root::GenerateRootEndpoints;
use crate::system::ha_status::{Addresses, HaStatusEndpoints};
use crate::system::identity::IdentityBackend;
use crate::system::in_flight::InFlightEndpoints;
use crate::system::keys::KeyEndpoints;
use crate::system::leases::LeaseEndpoints;
use crate::system::locked_users::LockedUserEndpoints;
use crate::system::metrics::{Exporter, Form, MetricsEndpoints};
use crate::system::mounts::MountEndpoints;
use crate::system::policies::PolicyEndpoints;
use crate::system::quotas::QuotaEndpoints;
use crate::system::raft::RaftEndpoints;
use crate::system::rotation::RotationEndpoints;
use crate::system::seal::SealEndpoints;
use crate::system::token::TokenBackend;
use crate::system::wrapping::WrappingEndpoints;
use crate::system::{Endpoints, System};
use administration::Administration;
use authority::NodeAuthority;
use backends::Backends;
use contents::Contents;
use gauges::Gauges;
use own::Own;

/// What a node is told once.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub bounds: LeaseBounds,
    /// How its store is sealed.
    pub seal: Arc<Method>,
    /// Name of a cluster made here; `None`: made up.
    pub cluster_name: Option<String>,
    /// The text of the first root token; `None`: made up.
    pub root_token: Option<Zeroizing<String>>,
    /// The name its answers carry.
    pub node_id: String,
    /// Where clients and other nodes reach it.
    pub addresses: Addresses,
    /// Audit devices of the configuration file; only there can they be changed.
    pub audit_devices: Vec<DeviceConfig>,
    pub audit_rules: AuditRules,
    /// The store once more, where it is `raft`: its group has endpoints.
    pub raft: Option<Arc<RaftStorage>>,
    pub metrics: Form,
    pub own: Own,
}

/// See the module.
#[derive(Debug)]
pub struct Node {
    pub core: Arc<Core>,
    pub policies: Arc<PolicyStore>,
    pub expiration: Arc<Expiration>,
    pub cluster: Arc<Cluster>,
    pub administration: Administration,
    pub seal: Arc<SealManager>,
    pub ceremonies: Arc<Ceremonies>,
    pub metrics: Arc<Exporter>,
    /// The store, where it is `raft`.
    raft: Option<Arc<RaftStorage>>,
    node_id: String,
}

/// Why a node cannot go to work.
#[derive(Debug, Error)]
pub enum NodeError {
    #[error(transparent)]
    Sealed(#[from] Sealed),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("{0}")]
    Refused(Fault),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

// === impl Node ===

impl Node {
    /// A node over `storage`, sealed.
    ///
    /// # Errors
    /// No thread could be started for its background work.
    pub fn build(storage: Arc<dyn Storage>, settings: Settings) -> Result<Arc<Self>, NodeError> {
        let barrier = Arc::new(Barrier::new(storage));
        let ceremonies = Arc::new(Ceremonies::new(&settings.seal));
        let (mounts, tokens) = (Arc::new(Mounts::new(settings.bounds)), Arc::new(TokenStore::new()));
        let (expiration, cluster) = (Arc::new(Expiration::new()), Arc::new(Cluster::default()));
        let (administration, identity) = (Administration::new(), Arc::new(Identity::new()));
        let (quotas, lockouts) = (Arc::new(Quotas::new()), Arc::<Lockouts>::default());
        let mut records = administration.records();
        records.push(Arc::clone(&quotas) as _);
        let policies = Arc::new(PolicyStore::new(Arc::clone(&identity) as _));
        let authority = NodeAuthority::new(Arc::clone(&mounts), Arc::clone(&identity), Arc::clone(&policies));
        let authority = Arc::new(authority);
        let mut topics = topics(&mounts, &tokens, &policies, &authority);
        topics.extend(administration.topics(&mounts, &tokens, settings.audit_rules));
        let api_addr = settings.addresses.api.clone();
        topics.extend(seal_topics(&barrier, &ceremonies, &tokens, settings.addresses));
        topics.extend(settings.raft.as_ref().map(raft_topic));
        let log = settings.own.log.clone();
        topics.extend(settings.own.topics(&mounts));
        let (meters, in_flight) = (Arc::<Meters>::default(), Arc::<InFlight>::default());
        let gauges = Gauges {
            barrier: Arc::clone(&barrier),
            mounts: Arc::clone(&mounts),
            tokens: Arc::clone(&tokens),
            expiration: Arc::clone(&expiration),
            cluster: Arc::clone(&cluster),
            audit: Arc::clone(&administration.audit),
            meters: Arc::clone(&meters),
            in_flight: Arc::clone(&in_flight),
        };
        let metrics = Arc::new(Exporter::new(Arc::new(gauges), settings.metrics));
        topics.push(Box::new(MetricsEndpoints::new(Arc::clone(&metrics))));
        topics.push(Box::new(InFlightEndpoints::new(Arc::clone(&in_flight), Arc::clone(&tokens))));
        topics.push(Box::new(QuotaEndpoints::new(Arc::clone(&mounts))));
        topics.push(Box::new(LockedUserEndpoints::new(Arc::clone(&lockouts), Arc::clone(&mounts))));
        mounts.set_factory(Arc::new(Backends {
            system: Arc::new(System::new(topics)),
            identity: Arc::new(IdentityBackend::new(Arc::clone(&mounts))),
            token: Arc::new(TokenBackend::new(Arc::clone(&tokens), Arc::clone(&authority) as _)),
        }));
        let (working, may_work) = watch::channel(false);
        let contents = Arc::new(Contents {
            barrier: Arc::clone(&barrier),
            mounts: Arc::clone(&mounts),
            tokens: Arc::clone(&tokens),
            identity: Arc::clone(&identity),
            policies: Arc::clone(&policies),
            cluster: Arc::clone(&cluster),
            records: administration.records(),
            audit_devices: settings.audit_devices,
            cluster_name: settings.cluster_name,
            root_token: settings.root_token,
            log,
            working,
        });
        // First of those that are told of changes: the others read with the keys of the moment.
        let (method, ceremonial) = (settings.seal, Arc::clone(&ceremonies));
        let seal = Arc::new(SealManager::new(Arc::clone(&barrier), method, ceremonial, contents));
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
            quotas,
            lockouts,
            policies: Arc::clone(&policies) as _,
            audit: Arc::clone(&administration.audit),
            meters,
            in_flight,
            api_addr,
        });
        let node = Arc::new(Self {
            core,
            policies,
            expiration,
            cluster,
            administration,
            seal,
            ceremonies,
            metrics,
            raft: settings.raft,
            node_id: settings.node_id,
        });
        background::start(&node, may_work)?;
        Ok(node)
    }

    /// Makes a new store with one share and opens it: the development mode.
    ///
    /// # Errors
    /// The store is not new, or refuses.
    pub async fn initialize_and_open(&self) -> Result<Initialized, NodeError> {
        let request = InitRequest { secret_shares: 1, secret_threshold: 1, ..InitRequest::default() };
        let made = self.seal.initialize(&request, OffsetDateTime::now_utc()).await?;
        for share in &made.shares.unseal {
            self.seal.unseal(share.clone()).await?;
        }
        Ok(made)
    }

    /// The name its answers carry; empty where none was given.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.node_id
    }
}

/// The topics of the seal.
fn seal_topics(
    barrier: &Arc<Barrier>,
    ceremonies: &Arc<Ceremonies>,
    tokens: &Arc<TokenStore>,
    addresses: Addresses,
) -> [Box<dyn Endpoints>; 5] {
    [
        Box::new(SealEndpoints::new(Arc::clone(barrier))),
        Box::new(KeyEndpoints::new()),
        Box::new(RotationEndpoints::new(Arc::clone(ceremonies))),
        Box::new(GenerateRootEndpoints::new(Arc::clone(ceremonies), Arc::clone(tokens))),
        Box::new(HaStatusEndpoints::new(addresses)),
    ]
}

/// The tables of `sys/`.
fn topics(
    mounts: &Arc<Mounts>,
    tokens: &Arc<TokenStore>,
    policies: &Arc<PolicyStore>,
    authority: &Arc<NodeAuthority>,
) -> Vec<Box<dyn Endpoints>> {
    vec![
        Box::new(MountEndpoints::new(Arc::clone(mounts), Arc::clone(policies))),
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

fn raft_topic(storage: &Arc<RaftStorage>) -> Box<dyn Endpoints> {
    Box::new(RaftEndpoints::new(Arc::clone(storage), OffsetDateTime::now_utc()))
}
