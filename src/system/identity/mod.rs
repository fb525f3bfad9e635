//! `identity/*`: entities, groups and their aliases over the wire. What they are and how they change is `core::identity`'s.

mod alias;
mod entity;
mod group;
mod lookup;
mod routes;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::barrier::Transaction;
use crate::core::identity::AliasMount;
use crate::core::mount::Table;
use crate::core::mounts::Mounts;
use crate::core::router::Router;
use crate::logical::field::Fields;
use crate::logical::{Answer, Backend, Call, Captures, Endpoint, Fault, Routes};

/// See the module.
#[derive(Debug)]
pub struct IdentityBackend {
    mounts: Arc<Mounts>,
    routes: Routes<Self>,
}

/// The auth mounts of this moment, by accessor.
struct AuthMounts {
    router: Arc<Router>,
}

// === impl IdentityBackend ===

impl IdentityBackend {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>) -> Self {
        Self { mounts, routes: Routes::new(routes::ROUTES) }
    }

    fn auth_mounts(&self) -> AuthMounts {
        AuthMounts { router: self.mounts.router() }
    }
}

impl Backend for IdentityBackend {
    fn endpoints(&self) -> &[Endpoint] {
        self.routes.endpoints()
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.routes.find(path)
    }

    fn exists(&self, endpoint: usize, call: &mut Call<'_>) -> Result<Option<bool>, Fault> {
        self.routes.exists(endpoint, self, call)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        self.routes.handle(endpoint, self, call)
    }

    fn changed(&self, _key: Option<&str>) {
        // The core is told itself.
    }
}

// === impl AuthMounts ===

impl AuthMounts {
    fn get(&self, accessor: &str) -> Option<AliasMount<'_>> {
        let mounted = self.router.by_accessor(accessor).filter(|mounted| mounted.table == Table::Auth)?;
        Some(AliasMount { accessor: &mounted.entry.accessor, local: mounted.entry.local })
    }

    /// Path and kind, as aliases show them.
    fn shown(&self, accessor: &str) -> Option<(&str, &str)> {
        let mounted = self.router.by_accessor(accessor)?;
        Some((&mounted.info.path, &mounted.info.kind))
    }
}

/// The view's whole transaction: this backend's records are the core's.
fn whole<'c>(call: &'c mut Call<'_>) -> Result<&'c mut Transaction, Fault> {
    call.store.whole().ok_or_else(|| Fault::Internal("identity is mounted with a prefix".to_owned()))
}

/// What the path names, or else the body.
fn from_path_or_body(call: &Call<'_>, name: &str) -> Result<String, Fault> {
    match call.captures.get(name) {
        "" => Ok(Fields::new(&call.request.data).text(name)?.unwrap_or_default()),
        captured => Ok(captured.to_owned()),
    }
}

fn text(fields: &Fields<'_>, name: &str) -> Result<String, Fault> {
    Ok(fields.text(name)?.unwrap_or_default())
}

/// The id of the entity or group an alias is of; its older name too.
fn canonical_id(fields: &Fields<'_>) -> Result<String, Fault> {
    let id = text(fields, "canonical_id")?;
    if id.is_empty() { text(fields, "entity_id") } else { Ok(id) }
}

/// Empty collections are not there on this wire.
fn or_null<T: serde::Serialize>(items: &[T]) -> serde_json::Value {
    if items.is_empty() { serde_json::Value::Null } else { serde_json::json!(items) }
}

fn pairs_or_null(pairs: &BTreeMap<String, String>) -> serde_json::Value {
    if pairs.is_empty() { serde_json::Value::Null } else { serde_json::json!(pairs) }
}
