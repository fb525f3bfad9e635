//! What backends ask of the rest of the node: policies, mounts, the methods behind tokens and leases.

use std::sync::Arc;

use serde_json::Map;
use time::OffsetDateTime;

use crate::barrier::Transaction;
use crate::core::expiration::LeaseEntry;
use crate::core::identity::{AliasMount, Identity, login};
use crate::core::mounts::Mounts;
use crate::core::policy::{Holder, PolicyStore, Subjects};
use crate::core::router::Mounted;
use crate::core::token_store::TokenEntry;
use crate::logical::{Alias, Caller, Fault, LeaseCall, MountInfo, Renewed};
use crate::system::authority::Authority;
use crate::system::leases::LeaseBackends;

/// See the module.
#[derive(Debug)]
pub struct NodeAuthority {
    mounts: Arc<Mounts>,
    identity: Arc<Identity>,
    policies: Arc<PolicyStore>,
}

// === impl NodeAuthority ===

impl NodeAuthority {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>, identity: Arc<Identity>, policies: Arc<PolicyStore>) -> Self {
        Self { mounts, identity, policies }
    }

    fn mounted(&self, path: &str) -> Option<Arc<Mounted>> {
        self.mounts.router().route(path).map(|(mounted, _)| Arc::clone(mounted))
    }
}

impl Authority for NodeAuthority {
    fn has_sudo(&self, tx: &mut Transaction, caller: &Caller, path: &str) -> Result<bool, Fault> {
        Ok(self.policies.has_sudo(tx, &Holder::from(caller), path, OffsetDateTime::now_utc())?)
    }

    fn capabilities(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        path: &str,
    ) -> Result<Vec<String>, Fault> {
        let names = self.policies.capabilities(tx, &Holder::from(entry), path, OffsetDateTime::now_utc())?;
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn policy_exists(&self, tx: &mut Transaction, name: &str) -> Result<bool, Fault> {
        self.policies.exists(tx, name, OffsetDateTime::now_utc())
    }

    fn entity_of_alias(&self, tx: &mut Transaction, alias: &str) -> Result<String, Fault> {
        let mounted =
            self.mounted("auth/token/").ok_or_else(|| Fault::Internal("no token mount".to_owned()))?;
        let mount = AliasMount { accessor: &mounted.entry.accessor, local: mounted.entry.local };
        let login = Alias { name: alias.to_owned(), ..Alias::default() };
        match login::entity_of_login(tx, mount, &login, OffsetDateTime::now_utc()) {
            Ok(entity) => Ok(entity.id),
            Err(Fault::Status { status: 403, .. }) => {
                let text = "entity from given entity alias is disabled".to_owned();
                Err(Fault::Status { status: 403, text })
            }
            Err(other) => Err(other),
        }
    }

    fn identity_policies(&self, tx: &mut Transaction, entry: &TokenEntry) -> Result<Vec<String>, Fault> {
        if entry.entity_id.is_empty() {
            return Ok(Vec::new());
        }
        let subject = self.identity.subject(tx, &entry.entity_id)?;
        Ok(subject.map(|subject| subject.policies.clone()).unwrap_or_default())
    }

    fn mount_of(&self, path: &str) -> Option<MountInfo> {
        self.mounted(path).map(|mounted| mounted.info.clone())
    }

    fn renew_login(&self, tx: &mut Transaction, entry: &TokenEntry) -> Result<Option<Renewed>, Fault> {
        let Some(mounted) = self.mounted(&entry.path) else {
            return Err(Fault::invalid("the auth method that made the token is gone"));
        };
        if mounted.entry.kind == "token" {
            return Ok(None);
        }
        mounted
            .with(tx, &entry.internal, OffsetDateTime::now_utc(), |call| mounted.backend.renew(call))
            .map(Some)
    }
}

impl LeaseBackends for NodeAuthority {
    fn renew(&self, tx: &mut Transaction, lease: &LeaseEntry) -> Result<Renewed, Fault> {
        let mounted = self.mounted(&lease.path).ok_or_else(|| Fault::invalid("lease not found"))?;
        mounted.with(tx, &lease.internal, OffsetDateTime::now_utc(), |call| mounted.backend.renew(call))
    }

    fn revoke(&self, tx: &mut Transaction, lease: &LeaseEntry) -> Result<(), Fault> {
        // A mount that is gone took with it what the lease stood for.
        let Some(mounted) = self.mounted(&lease.path) else { return Ok(()) };
        mounted.with(tx, &lease.internal, OffsetDateTime::now_utc(), |call| mounted.backend.revoke(call))
    }
}

impl Mounted {
    /// Runs `work` on the mount's part of the store.
    pub(super) fn with<T>(
        &self,
        tx: &mut Transaction,
        internal: &Map<String, serde_json::Value>,
        now: OffsetDateTime,
        work: impl FnOnce(&mut LeaseCall<'_>) -> T,
    ) -> T {
        work(&mut LeaseCall { store: tx.view(&self.storage), now, mount: &self.info, internal })
    }
}
