//! The mounts of this node: the stored tables, the router built from them, and the changes operators make.
//!
//! A change is written in the request's own transaction. The router follows when the record has changed, before the
//! operator is answered; a standby's follows the same way. What a removed mount kept is wiped later, in bounded steps:
//! a record `core/wipe/<uuid>` names it until it is done.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::mount::{MountConfig, MountEntry, MountTable, Table};
use super::router::{BackendFactory, LeaseBounds, Router};
use super::{identity, quota};
use crate::barrier::{StoreError, Transaction};
use crate::logical::{Fault, LeaseCall, MountInfo};
use time::OffsetDateTime;

/// Where removed mounts wait to be wiped.
const WIPE: &str = "core/wipe/";
/// Keys deleted by one step of the wiping.
const WIPE_STEP: usize = 2000;

/// See the module.
#[derive(Debug)]
pub struct Mounts {
    router: ArcSwap<Router>,
    /// Set once while the node is wired: system backends are made by it and hold these mounts.
    factory: OnceLock<Arc<dyn BackendFactory>>,
    bounds: LeaseBounds,
}

// === impl Mounts ===

impl Mounts {
    #[must_use]
    pub fn new(bounds: LeaseBounds) -> Self {
        Self { router: ArcSwap::default(), factory: OnceLock::new(), bounds }
    }

    /// Who makes backends; only the first call counts.
    pub fn set_factory(&self, factory: Arc<dyn BackendFactory>) {
        drop(self.factory.set(factory));
    }

    /// The router of this moment.
    #[must_use]
    pub fn router(&self) -> Arc<Router> {
        self.router.load_full()
    }

    #[must_use]
    pub fn bounds(&self) -> LeaseBounds {
        self.bounds
    }

    /// Writes the tables of a new store.
    ///
    /// # Errors
    /// The transaction refuses.
    pub fn install(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        [Table::Secret, Table::Auth].iter().try_for_each(|table| store(tx, *table, &table.initial()))
    }

    /// Rebuilds the router from the stored tables.
    ///
    /// # Errors
    /// The tables cannot be read; the old router stays.
    pub fn reload(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        let Some(factory) = self.factory.get() else { return Ok(()) };
        let (secret, auth) = (load(tx, Table::Secret)?, load(tx, Table::Auth)?);
        let tables = [(Table::Secret, &secret), (Table::Auth, &auth)];
        self.router.store(Arc::new(Router::build(
            &tables,
            &self.router.load(),
            factory.as_ref(),
            self.bounds,
        )));
        Ok(())
    }

    /// Forgets every mount: the node was sealed.
    pub fn clear(&self) {
        self.router.store(Arc::default());
    }

    /// Mounts `entry`.
    ///
    /// # Errors
    /// The path or the kind is refused, or the backend cannot begin.
    pub fn enable(
        &self,
        tx: &mut Transaction,
        table: Table,
        entry: MountEntry,
        now: OffsetDateTime,
    ) -> Result<(), Fault> {
        // With a version it is the version that nobody makes: a type alone is known or not.
        let unknown = || match entry.options.contains_key("version") {
            true => Fault::invalid(format!("nil backend of type {:?} returned from factory", entry.kind)),
            false => Fault::invalid(format!("plugin not found in the catalog: {}", entry.kind)),
        };
        let backend =
            self.factory.get().and_then(|factory| factory.build(table, &entry)).ok_or_else(unknown)?;
        check_bounds(&entry.config)?;
        let mut rows = load(tx, table)?;
        rows.add(table, entry.clone())?;
        store(tx, table, &rows)?;
        let info = MountInfo { path: format!("{}{}", table.prefix(), entry.path), ..MountInfo::default() };
        let storage = table.storage_prefix(&entry.uuid);
        let internal = serde_json::Map::new();
        backend.initialize(&mut LeaseCall {
            store: tx.view(&storage),
            now,
            mount: &info,
            internal: &internal,
        })
    }

    /// Takes a mount away and leaves its records to be wiped; `None` when there was none.
    ///
    /// # Errors
    /// It is one of those that always are.
    pub fn disable(
        &self,
        tx: &mut Transaction,
        table: Table,
        path: &str,
    ) -> Result<Option<MountEntry>, Fault> {
        let mut rows = load(tx, table)?;
        let Some(entry) = rows.remove(path) else { return Ok(None) };
        if entry.is_builtin() {
            return Err(Fault::invalid(match table {
                Table::Secret => format!("cannot unmount {path:?}"),
                Table::Auth => "token credential backend cannot be disabled".to_owned(),
            }));
        }
        store(tx, table, &rows)?;
        let mut root = tx.view("");
        root.put_record(&format!("{WIPE}{}", entry.uuid), &table.storage_prefix(&entry.uuid))?;
        quota::mount_removed(tx, &format!("{}{path}", table.prefix()))?;
        if table == Table::Auth {
            identity::gone::mount_removed(tx, &entry.accessor)?;
        }
        Ok(Some(entry))
    }

    /// Moves a mount; its records stay where they are.
    ///
    /// # Errors
    /// There is none, it cannot be moved, or the new path is not free.
    pub fn remap(&self, tx: &mut Transaction, table: Table, from: &str, to: &str) -> Result<(), Fault> {
        let mut rows = load(tx, table)?;
        if rows.at(from).is_some_and(MountEntry::is_builtin) {
            return Err(Fault::invalid(format!("cannot remount \"{}{from}\"", table.prefix())));
        }
        rows.rename(table, from, to)?;
        let whole = |path: &str| format!("{}{path}", table.prefix());
        quota::mount_moved(tx, &whole(from), &whole(to))?;
        Ok(store(tx, table, &rows)?)
    }

    /// Changes one row.
    ///
    /// # Errors
    /// There is none, or `change` refuses.
    pub fn tune(
        &self,
        tx: &mut Transaction,
        table: Table,
        path: &str,
        change: impl FnOnce(&mut MountEntry) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut rows = load(tx, table)?;
        let missing = || {
            Fault::invalid(format!("tune of path \"{}{path}\" failed: no mount entry found", table.prefix()))
        };
        change(rows.at_mut(path).ok_or_else(missing)?)?;
        Ok(store(tx, table, &rows)?)
    }

    /// Deletes some of what removed mounts left behind. `true`: there is more.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn wipe_step(&self, tx: &mut Transaction) -> Result<bool, StoreError> {
        if identity::gone::forget_step(tx)? {
            return Ok(true);
        }
        let Some(uuid) = tx.list(WIPE, "", 1)?.into_iter().next() else { return Ok(false) };
        let record = format!("{WIPE}{uuid}");
        let prefix: String = tx.view("").get_record(&record)?.unwrap_or_default();
        let keys = if prefix.is_empty() { Vec::new() } else { tx.keys(&prefix, WIPE_STEP)? };
        if keys.len() < WIPE_STEP {
            tx.delete(&record)?;
        }
        keys.iter().try_for_each(|key| tx.delete(key))?;
        Ok(true)
    }
}

/// The stored table; the initial one where none was stored yet.
///
/// # Errors
/// The record cannot be read.
pub fn load(tx: &mut Transaction, table: Table) -> Result<MountTable, StoreError> {
    Ok(tx.view("").get_record(table.key())?.unwrap_or_else(|| table.initial()))
}

fn store(tx: &mut Transaction, table: Table, rows: &MountTable) -> Result<(), StoreError> {
    tx.view("").put_record(table.key(), rows)
}

/// A mount's own bounds must not contradict each other.
///
/// # Errors
/// They do.
pub fn check_bounds(config: &MountConfig) -> Result<(), Fault> {
    if config.max_lease_ttl != 0 && config.default_lease_ttl > config.max_lease_ttl {
        return Err(Fault::invalid("given default lease TTL greater than given max lease TTL"));
    }
    Ok(())
}
