//! `sys/locked-users`: who may not log in for a while, and letting them in again.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::lockout::{LockoutConfig, Lockouts, Login};
use crate::core::mounts::Mounts;
use crate::logical::Access::Token;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Effect, Field, FieldKind, Method, Operation, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct LockedUserEndpoints {
    lockouts: Arc<Lockouts>,
    mounts: Arc<Mounts>,
    routes: Routes<Self>,
}

const ACCESSOR: Field =
    Field { name: "mount_accessor", kind: FieldKind::String, description: "Accessor of the auth mount." };
const ALIAS: Field =
    Field { name: "alias_identifier", kind: FieldKind::String, description: "Name that is locked out." };

/// Counters are in the active node's memory, so it answers the reading too.
const ROUTES: &[Route<LockedUserEndpoints>] = &[
    Route::new(
        "locked-users",
        Token,
        &[Method::new(&[Operation::Read], Effect::Write, LockedUserEndpoints::read)],
        &[ACCESSOR],
        "Report the locked user count metrics.",
    ),
    Route::new(
        "locked-users/{mount_accessor:segment}/unlock/{alias_identifier:segment}",
        Token,
        &[Method::write(LockedUserEndpoints::unlock)],
        &[ACCESSOR, ALIAS],
        "Unlock the locked user with given mount_accessor and alias_identifier.",
    ),
];

// === impl LockedUserEndpoints ===

impl LockedUserEndpoints {
    #[must_use]
    pub fn new(lockouts: Arc<Lockouts>, mounts: Arc<Mounts>) -> Self {
        Self { lockouts, mounts, routes: Routes::new(ROUTES) }
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let wanted = Fields::new(&call.request.data).text("mount_accessor")?.unwrap_or_default();
        let mut locked = self.lockouts.locked(|accessor| self.config(accessor), call.now);
        if !wanted.is_empty() {
            let of_mount = locked.remove(&wanted).unwrap_or_default();
            locked = [(wanted, of_mount)].into();
        }
        let total: usize = locked.values().map(Vec::len).sum();
        let mounts: Vec<Value> =
            locked.into_iter().map(|(accessor, names)| of_mount(&accessor, &names)).collect();
        Ok(Response::json(json!({
            "by_namespace": [
                {"namespace_id": "root", "namespace_path": "", "counts": total, "mount_accessors": mounts},
            ],
            "total": total,
        })))
    }

    fn unlock(&self, call: &mut Call<'_>) -> Answer {
        let (accessor, alias) = (call.captures.get("mount_accessor"), call.captures.get("alias_identifier"));
        self.lockouts.forgive(&Login { accessor: accessor.to_owned(), alias: alias.to_owned() });
        Ok(Response::empty())
    }

    fn config(&self, accessor: &str) -> LockoutConfig {
        let router = self.mounts.router();
        let mounted = router.by_accessor(accessor);
        mounted.and_then(|mounted| mounted.entry.config.user_lockout).unwrap_or_default()
    }
}

fn of_mount(accessor: &str, names: &[String]) -> Value {
    let shown = (!names.is_empty()).then_some(names);
    json!({"mount_accessor": accessor, "counts": names.len(), "alias_identifiers": shown})
}

impl super::Tabled for LockedUserEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
