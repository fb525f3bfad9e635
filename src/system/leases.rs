//! `sys/leases/*`: what is lent out, and taking it back.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::authority::Authority;
use super::token::TIDY_STARTED;
use super::whole;
use crate::barrier::Transaction;
use crate::core::expiration::{self, LeaseEntry};
use crate::core::token_store::{TokenStore, wire_time};
use crate::logical::Access::{Sudo, Token};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Renewed, Response, Route, Routes};

/// Most leases one request ends: each is a change of the transaction.
const MAX_ENDED: usize = 20_000;

/// Most irrevocable leases shown at once.
const MAX_SHOWN: usize = 10_000;

/// Asks the backend that made a lease.
pub trait LeaseBackends: Send + Sync + std::fmt::Debug {
    /// Its `renew`.
    ///
    /// # Errors
    /// It refuses.
    fn renew(&self, tx: &mut Transaction, lease: &LeaseEntry) -> Result<Renewed, Fault>;

    /// Its `revoke`, for a lease already taken out of the store.
    ///
    /// # Errors
    /// It could not undo what the lease stands for.
    fn revoke(&self, tx: &mut Transaction, lease: &LeaseEntry) -> Result<(), Fault>;
}

/// See the module.
#[derive(Debug)]
pub struct LeaseEndpoints {
    tokens: Arc<TokenStore>,
    authority: Arc<dyn Authority>,
    backends: Arc<dyn LeaseBackends>,
    routes: Routes<Self>,
}

const LEASE_FIELDS: &[Field] = &[
    Field { name: "lease_id", kind: FieldKind::String, description: "The lease's id" },
    Field { name: "url_lease_id", kind: FieldKind::String, description: "The lease's id, in the path" },
    Field { name: "increment", kind: FieldKind::DurationSecs, description: "The wanted life in seconds" },
    Field { name: "sync", kind: FieldKind::Bool, description: "Whether to answer only when it is revoked" },
    Field { name: "prefix", kind: FieldKind::String, description: "The path to look below" },
    Field { name: "type", kind: FieldKind::String, description: "Type of leases: irrevocable" },
    Field { name: "limit", kind: FieldKind::String, description: "Most leases shown" },
    Field { name: "include_child_namespaces", kind: FieldKind::Bool, description: "Whether to look below" },
];

/// Of the lists below a path.
const PREFIX_FIELDS: &[Field] =
    &[Field { name: "prefix", kind: FieldKind::String, description: "The path to look below" }];

const ROUTES: &[Route<LeaseEndpoints>] = &[
    // A list asks for the path with its slash; the lookup by id has none, and each has its own access.
    Route::new("leases/lookup/", Sudo, &[Method::list(LeaseEndpoints::list)], PREFIX_FIELDS, "List leases."),
    Route::new(
        "leases/lookup",
        Token,
        &[Method::asks(LeaseEndpoints::lookup)],
        LEASE_FIELDS,
        "Look up a lease.",
    ),
    Route::new(
        "leases/lookup/{prefix:rest}",
        Sudo,
        &[Method::list(LeaseEndpoints::list)],
        PREFIX_FIELDS,
        "List leases below a path.",
    ),
    Route::new(
        "leases/renew",
        Token,
        &[Method::write(LeaseEndpoints::renew)],
        LEASE_FIELDS,
        "Renew a lease.",
    ),
    Route::new(
        "leases/renew/{url_lease_id:rest}",
        Token,
        &[Method::write(LeaseEndpoints::renew)],
        LEASE_FIELDS,
        "Renew a lease.",
    ),
    Route::new("renew", Token, &[Method::write(LeaseEndpoints::renew)], LEASE_FIELDS, "Renew a lease."),
    Route::new(
        "renew/{url_lease_id:rest}",
        Token,
        &[Method::write(LeaseEndpoints::renew)],
        LEASE_FIELDS,
        "Renew a lease.",
    ),
    Route::new(
        "leases/revoke",
        Token,
        &[Method::write(LeaseEndpoints::revoke)],
        LEASE_FIELDS,
        "Revoke a lease.",
    ),
    Route::new(
        "leases/revoke/{url_lease_id:rest}",
        Token,
        &[Method::write(LeaseEndpoints::revoke)],
        LEASE_FIELDS,
        "Revoke a lease.",
    ),
    Route::new("revoke", Token, &[Method::write(LeaseEndpoints::revoke)], LEASE_FIELDS, "Revoke a lease."),
    Route::new(
        "leases/revoke-prefix/{prefix:rest}",
        Sudo,
        &[Method::write(LeaseEndpoints::revoke_prefix)],
        LEASE_FIELDS,
        "Revoke all leases below a path.",
    ),
    Route::new(
        "revoke-prefix/{prefix:rest}",
        Sudo,
        &[Method::write(LeaseEndpoints::revoke_prefix)],
        LEASE_FIELDS,
        "Revoke all leases below a path.",
    ),
    Route::new(
        "leases/revoke-force/{prefix:rest}",
        Sudo,
        &[Method::write(LeaseEndpoints::revoke_force)],
        LEASE_FIELDS,
        "Drop all leases below a path, whatever their backends say.",
    ),
    Route::new(
        "leases/tidy",
        Token,
        &[Method::write(LeaseEndpoints::tidy)],
        LEASE_FIELDS,
        "Drop lease records that lead nowhere.",
    ),
    Route::new(
        "leases/count",
        Token,
        &[Method::read(LeaseEndpoints::count)],
        LEASE_FIELDS,
        "Count leases that cannot be revoked.",
    ),
    Route::new(
        "leases",
        Token,
        &[Method::read(LeaseEndpoints::irrevocable)],
        LEASE_FIELDS,
        "List leases that cannot be revoked.",
    ),
];

// === impl LeaseEndpoints ===

impl LeaseEndpoints {
    #[must_use]
    pub fn new(
        tokens: Arc<TokenStore>,
        authority: Arc<dyn Authority>,
        backends: Arc<dyn LeaseBackends>,
    ) -> Self {
        Self { tokens, authority, backends, routes: Routes::new(ROUTES) }
    }

    fn lookup(&self, call: &mut Call<'_>) -> Answer {
        let (id, now) = (lease_id(call)?, call.now);
        let lease = expiration::get(whole(call)?, &id)?.ok_or_else(|| Fault::invalid("invalid lease"))?;
        Ok(Response::of(shown(&lease, now)))
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let prefix = folder(call.captures.get("prefix"));
        Ok(Response::keys(expiration::list(whole(call)?, &prefix)?))
    }

    fn renew(&self, call: &mut Call<'_>) -> Answer {
        let (id, now) = (lease_id(call)?, call.now);
        let increment = Fields::new(&call.request.data).seconds("increment")?.unwrap_or(0);
        let tx = whole(call)?;
        let lease = expiration::get(tx, &id)?.ok_or_else(|| Fault::invalid("lease not found"))?;
        if lease.is_token {
            return Err(Fault::invalid("tokens cannot be renewed through this endpoint"));
        }
        if !lease.renewable || lease.ttl_left(now) == 0 {
            return Err(Fault::invalid("lease is not renewable"));
        }
        let fresh = self.backends.renew(tx, &lease)?;
        let mount = self.authority.mount_of(&lease.path).ok_or_else(|| Fault::invalid("lease not found"))?;
        let granted = expiration::renew(tx, &lease, &mount, increment, fresh, now)?;
        Ok(Response {
            lease_id: id,
            lease_renewable: true,
            lease_duration_secs: granted.ttl,
            warnings: granted.warnings,
            ..Response::default()
        })
    }

    /// Without `sync` the lease is due at once and the expiration ends it, with its retries.
    fn revoke(&self, call: &mut Call<'_>) -> Answer {
        let (id, now) = (lease_id(call)?, call.now);
        let sync = Fields::new(&call.request.data).flag("sync")?.unwrap_or(false);
        self.end(whole(call)?, &id, sync, now)?;
        Ok(Response::empty())
    }

    fn end(&self, tx: &mut Transaction, id: &str, sync: bool, now: OffsetDateTime) -> Result<(), Fault> {
        let Some(lease) = expiration::get(tx, id)? else { return Ok(()) };
        // Tokens need no backend: they end here and now.
        if !sync && !lease.is_token {
            return Ok(expiration::end(tx, lease, now)?);
        }
        match expiration::revoke(tx, &self.tokens, id, false, now)? {
            Some(revoked) => self.backends.revoke(tx, &revoked.lease),
            None => Ok(()),
        }
    }

    fn revoke_prefix(&self, call: &mut Call<'_>) -> Answer {
        let (ids, now) = (below(call)?, call.now);
        let sync = Fields::new(&call.request.data).flag("sync")?.unwrap_or(false);
        let tx = whole(call)?;
        ids.iter().try_for_each(|id| self.end(tx, id, sync, now))?;
        Ok(Response::empty())
    }

    fn revoke_force(&self, call: &mut Call<'_>) -> Answer {
        let (ids, now) = (below(call)?, call.now);
        let tx = whole(call)?;
        for id in ids {
            if let Some(revoked) = expiration::revoke(tx, &self.tokens, &id, false, now)?
                && let Err(fault) = self.backends.revoke(tx, &revoked.lease)
            {
                tracing::warn!(?fault, "a lease was dropped by force though its backend could not revoke it");
            }
        }
        Ok(Response::empty())
    }

    /// Drops leases of tokens that are gone.
    fn tidy(&self, call: &mut Call<'_>) -> Answer {
        let tx = whole(call)?;
        for id in expiration::ids_below(tx, "", usize::MAX)? {
            let Some(lease) = expiration::get(tx, &id)? else { continue };
            if lease.is_token && self.tokens.entry(tx, &lease.token_key)?.is_none() {
                expiration::remove(tx, &lease)?;
            }
        }
        let mut response = Response::empty().with_warning(TIDY_STARTED);
        response.status = Some(202);
        Ok(response)
    }

    fn count(&self, call: &mut Call<'_>) -> Answer {
        let Some(leases) = irrevocable(call)? else { return Ok(Response::empty()) };
        let mut counts = std::collections::BTreeMap::<String, u64>::new();
        for lease in &leases {
            let mount = self.authority.mount_of(&lease.path).map_or_else(String::new, |mount| mount.path);
            *counts.entry(mount).or_default() += 1;
        }
        Ok(Response::json(json!({ "lease_count": leases.len(), "counts": counts })))
    }

    fn irrevocable(&self, call: &mut Call<'_>) -> Answer {
        let Some(leases) = irrevocable(call)? else { return Ok(Response::empty()) };
        let rows: Vec<Value> = leases
            .iter()
            .take(MAX_SHOWN)
            .map(|lease| json!({ "lease_id": lease.id, "error": lease.irrevocable }))
            .collect();
        Ok(Response::json(json!({ "lease_count": leases.len(), "leases": rows })))
    }
}

/// `None`: another type than `irrevocable` was asked for, and there is no other.
fn irrevocable(call: &mut Call<'_>) -> Result<Option<Vec<LeaseEntry>>, Fault> {
    if Fields::new(&call.request.data).text("type")?.as_deref() != Some("irrevocable") {
        return Ok(None);
    }
    let tx = whole(call)?;
    let mut found = Vec::new();
    for id in expiration::ids_below(tx, "", usize::MAX)? {
        found.extend(expiration::get(tx, &id)?.filter(|lease| lease.irrevocable.is_some()));
    }
    Ok(Some(found))
}

fn below(call: &mut Call<'_>) -> Result<Vec<String>, Fault> {
    let prefix = folder(call.captures.get("prefix"));
    let ids = expiration::ids_below(whole(call)?, &prefix, MAX_ENDED + 1)?;
    if ids.len() > MAX_ENDED {
        return Err(Fault::invalid(format!(
            "more than {MAX_ENDED} leases below this prefix; revoke them by longer prefixes"
        )));
    }
    Ok(ids)
}

fn folder(prefix: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
}

fn lease_id(call: &Call<'_>) -> Result<String, Fault> {
    let given = Fields::new(&call.request.data).text("lease_id")?.filter(|id| !id.is_empty());
    let id = given.unwrap_or_else(|| call.captures.get("url_lease_id").to_owned());
    if id.is_empty() { Err(Fault::invalid("lease_id must be specified")) } else { Ok(id) }
}

fn shown(lease: &LeaseEntry, now: OffsetDateTime) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("id".to_owned(), json!(lease.id));
    data.insert("path".to_owned(), json!(lease.path));
    data.insert("issue_time".to_owned(), json!(wire_time(lease.issued_at)));
    data.insert("expire_time".to_owned(), json!(lease.expires_at.map(wire_time)));
    data.insert("last_renewal".to_owned(), json!(lease.last_renewal.map(wire_time)));
    data.insert("renewable".to_owned(), json!(lease.renewable));
    data.insert("ttl".to_owned(), json!(lease.ttl_left(now)));
    data
}

impl super::Tabled for LeaseEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
