//! From the configuration to the parts of a node: its store, its settings, what it is called.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{ServerError, Variable};
use crate::config::node::NodeConfig;
use crate::config::node::model::{AuditDevice, Raft, Seal, Storage as Configured};
use crate::core::audit::DeviceConfig;
use crate::core::router::LeaseBounds;
use crate::node::Settings;
use crate::node::headers::Identity;
use crate::node::own::Own;
use crate::seal::{Method, StaticKeys, StaticTexts};
use crate::storage::raft::RaftStorage;
use crate::storage::{Storage, file, inmem, raft};
use crate::system::audit::AuditRules;
use crate::system::ha_status::Addresses;
use crate::system::metrics::Form;
use crate::telemetry::LogControl;

/// An open store.
pub(super) struct Store {
    pub(super) storage: Arc<dyn Storage>,
    /// The same, where it is one of a group.
    pub(super) raft: Option<Arc<RaftStorage>>,
}

/// Opens the store. Blocks: a replicated one applies its log first.
///
/// # Errors
/// It cannot be used, another process has it, or it is damaged.
pub(super) fn store(config: &NodeConfig) -> Result<Store, ServerError> {
    Ok(match &config.storage {
        Configured::Inmem => Store { storage: inmem::open(), raft: None },
        Configured::File { path } => Store { storage: file::open(path)?, raft: None },
        Configured::Raft(settings) => {
            let storage = raft::open(&settings.path, raft_options(settings, &config.cluster.cluster_addr))?;
            Store { storage: Arc::clone(&storage) as _, raft: Some(storage) }
        }
    })
}

// === impl Store ===

impl Store {
    /// Its name in the group.
    fn node_id(&self) -> Option<String> {
        self.raft.as_ref().map(|raft| raft.status().node_id.to_string())
    }
}

/// A node that knows whom to ask waits to be taken in; one that does not founds its own group.
fn raft_options(settings: &Raft, cluster_addr: &str) -> raft::Options {
    let address = cluster_addr.split_once("://").map_or(cluster_addr, |(_, address)| address);
    raft::Options {
        node_id: settings.node_id.clone(),
        cluster_address: address.to_owned(),
        bootstrap: settings.retry_join.is_empty(),
    }
}

/// # Errors
/// A key of the seal is not where the configuration says.
pub(super) fn settings(
    config: &NodeConfig,
    store: &Store,
    root_token: Option<Zeroizing<String>>,
    log: LogControl,
    variable: Variable<'_>,
) -> Result<Settings, ServerError> {
    Ok(Settings {
        seal: Arc::new(seal(&config.seal, variable)?),
        root_token,
        node_id: store.node_id().or_else(hostname).unwrap_or_default(),
        addresses: Addresses {
            api: config.cluster.api_addr.clone(),
            cluster: config.cluster.cluster_addr.clone(),
        },
        raft: store.raft.clone(),
        metrics: Form { prefix: config.telemetry.prefix.clone(), prometheus: config.telemetry.prometheus },
        bounds: LeaseBounds { default_ttl: config.leases.default_ttl, max_ttl: config.leases.max_ttl },
        cluster_name: config.cluster.name.clone(),
        audit_devices: config.audit.devices.iter().map(device).collect(),
        audit_rules: AuditRules {
            allow_creation: config.audit.allow_api_creation,
            allow_prefix: config.audit.allow_prefix,
        },
        own: Own {
            log: Some(log),
            configuration: config.sanitized.clone(),
            raw_storage_endpoint: config.endpoints.raw_storage,
            introspection_endpoint: config.endpoints.introspection,
        },
    })
}

fn seal(configured: &Seal, variable: Variable<'_>) -> Result<Method, ServerError> {
    let Seal::Static(seal) = configured else { return Ok(Method::Shamir) };
    let previous = seal.previous.as_ref();
    let texts = StaticTexts {
        current_key_id: seal.current.id.clone(),
        current_key: seal.current.text.clone(),
        previous_key_id: previous.map(|key| key.id.clone()).unwrap_or_default(),
        previous_key: previous.map(|key| key.text.clone()).unwrap_or_default(),
    };
    Ok(Method::Static(StaticKeys::resolve(&texts, variable)?))
}

fn device(configured: &AuditDevice) -> DeviceConfig {
    DeviceConfig {
        path: configured.path.clone(),
        kind: configured.kind.clone(),
        description: configured.description.clone(),
        options: configured.options.clone(),
        local: configured.local,
    }
}

/// What answers say about who gave them.
pub(super) fn identity(config: &NodeConfig, store: &Store) -> Identity {
    let wanted = config.response_headers;
    Identity {
        hostname: wanted.hostname.then(hostname).flatten(),
        raft_node_id: store.node_id().filter(|_| wanted.raft_node_id),
    }
}

/// The kernel's name of this machine.
fn hostname() -> Option<String> {
    let name = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname"));
    name.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}
