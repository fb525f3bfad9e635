//! Path → mounted backend. An immutable table behind one swap; a request keeps the one it started with.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::meters::RouteMeters;
use super::mount::{MountEntry, MountTable, Table};
use crate::logical::{Backend, MountInfo};

/// A backend at its place.
#[derive(Debug)]
pub struct Mounted {
    pub table: Table,
    pub entry: MountEntry,
    pub info: MountInfo,
    /// Prefix of its records; empty for the backends whose records are the core's.
    pub storage: String,
    pub backend: Arc<dyn Backend>,
    pub meters: RouteMeters,
}

/// Makes backends: the node's wiring knows every kind, the core none.
pub trait BackendFactory: Send + Sync + fmt::Debug {
    /// A backend for a new or restored mount; `None`: no such kind.
    fn build(&self, table: Table, entry: &MountEntry) -> Option<Arc<dyn Backend>>;

    /// Whether records of this kind live all over the store.
    fn is_rooted(&self, entry: &MountEntry) -> bool {
        matches!(entry.kind.as_str(), "system" | "identity" | "token")
    }
}

/// Bounds of leases where a mount is not tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseBounds {
    pub default_ttl: Duration,
    pub max_ttl: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Router {
    /// Without the slash at the end.
    by_path: HashMap<String, Arc<Mounted>>,
    by_uuid: HashMap<String, Arc<Mounted>>,
    /// Most segments of a mount's path: how far a lookup has to try.
    deepest: usize,
}

impl Default for LeaseBounds {
    /// Vault's 768 hours for both.
    fn default() -> Self {
        let month = Duration::from_secs(768 * 3600);
        Self { default_ttl: month, max_ttl: month }
    }
}

impl Router {
    /// The router of these tables. Backends of unchanged rows are taken over from `old`, with what they cache.
    #[must_use]
    pub fn build(
        tables: &[(Table, &MountTable)],
        old: &Self,
        factory: &dyn BackendFactory,
        bounds: LeaseBounds,
    ) -> Self {
        let mut router = Self::default();
        for (table, entry) in
            tables.iter().flat_map(|(table, rows)| rows.entries.iter().map(|row| (*table, row)))
        {
            if let Some(mounted) = mount(table, entry, old, factory, bounds) {
                router.insert(Arc::new(mounted));
            } else {
                tracing::error!(kind = %entry.kind, "a mount has a type this release does not know; it is not served");
            }
        }
        router
    }

    fn insert(&mut self, mounted: Arc<Mounted>) {
        let path = mounted.info.path.trim_end_matches('/');
        self.deepest = self.deepest.max(path.split('/').count());
        self.by_path.insert(path.to_owned(), Arc::clone(&mounted));
        self.by_uuid.insert(mounted.entry.uuid.clone(), mounted);
    }

    /// The mount that serves `path`, and the part of `path` below it. A mount's own path without its slash is its root.
    #[must_use]
    pub fn route<'p>(&self, path: &'p str) -> Option<(&Arc<Mounted>, &'p str)> {
        let slashes = path.match_indices('/').map(|(at, _)| (at, at + 1));
        let ends = slashes.chain([(path.len(), path.len())]).take(self.deepest);
        let found = ends.filter_map(|(end, rest)| {
            let mounted = self.by_path.get(path.get(..end)?)?;
            Some((mounted, path.get(rest..)?))
        });
        found.last()
    }

    #[must_use]
    pub fn by_uuid(&self, uuid: &str) -> Option<&Arc<Mounted>> {
        self.by_uuid.get(uuid)
    }

    #[must_use]
    pub fn by_accessor(&self, accessor: &str) -> Option<&Arc<Mounted>> {
        self.by_uuid.values().find(|mounted| mounted.entry.accessor == accessor)
    }

    pub fn mounts(&self) -> impl Iterator<Item = &Arc<Mounted>> {
        self.by_path.values()
    }
}

fn mount(
    table: Table,
    entry: &MountEntry,
    old: &Router,
    factory: &dyn BackendFactory,
    bounds: LeaseBounds,
) -> Option<Mounted> {
    let same = |known: &&Arc<Mounted>| known.entry.kind == entry.kind && known.entry.options == entry.options;
    let known = old.by_uuid(&entry.uuid);
    let meters = known.map(|known| known.meters.clone()).unwrap_or_default();
    let backend = match known.filter(same) {
        Some(known) => Arc::clone(&known.backend),
        None => factory.build(table, entry)?,
    };
    let storage = if factory.is_rooted(entry) { String::new() } else { table.storage_prefix(&entry.uuid) };
    Some(Mounted { table, info: info(table, entry, bounds), entry: entry.clone(), storage, backend, meters })
}

fn info(table: Table, entry: &MountEntry, bounds: LeaseBounds) -> MountInfo {
    let or_system = |secs: u64, system: Duration| if secs == 0 { system } else { Duration::from_secs(secs) };
    let max_ttl = or_system(entry.config.max_lease_ttl, bounds.max_ttl);
    MountInfo {
        path: format!("{}{}", table.prefix(), entry.path),
        kind: entry.kind.clone(),
        accessor: entry.accessor.clone(),
        uuid: entry.uuid.clone(),
        options: entry.options.clone(),
        default_ttl: or_system(entry.config.default_lease_ttl, bounds.default_ttl).min(max_ttl),
        max_ttl,
        token_type: entry.config.token_type.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::{Answer, Call, Captures, Endpoint, Fault};

    #[derive(Debug)]
    struct Nothing;

    impl Backend for Nothing {
        fn endpoints(&self) -> &[Endpoint] {
            &[]
        }
        fn find<'p>(&self, _path: &'p str) -> Option<(usize, Captures<'p>)> {
            None
        }
        fn exists(&self, _endpoint: usize, _call: &mut Call<'_>) -> Result<Option<bool>, Fault> {
            Ok(None)
        }
        fn handle(&self, _endpoint: usize, _call: &mut Call<'_>) -> Answer {
            Err(Fault::UnsupportedPath)
        }
        fn changed(&self, _key: Option<&str>) {}
    }

    #[derive(Debug)]
    struct Any;

    impl BackendFactory for Any {
        fn build(&self, _table: Table, entry: &MountEntry) -> Option<Arc<dyn Backend>> {
            (entry.kind != "unknown").then(|| Arc::new(Nothing) as Arc<dyn Backend>)
        }
    }

    fn tables(paths: &[&str]) -> MountTable {
        let entries = paths.iter().map(|path| MountEntry::new(Table::Secret, path, "kv")).collect();
        MountTable { version: 1, entries }
    }

    #[test]
    fn the_longest_mount_wins() {
        let secret = tables(&["kv/", "team/a/kv/", "team/b/"]);
        let auth =
            MountTable { version: 1, entries: vec![MountEntry::new(Table::Auth, "userpass/", "userpass")] };
        let router = Router::build(
            &[(Table::Secret, &secret), (Table::Auth, &auth)],
            &Router::default(),
            &Any,
            LeaseBounds::default(),
        );
        for (path, mount, rest) in [
            ("kv/a/b", "kv/", "a/b"),
            ("kv/", "kv/", ""),
            ("kv", "kv/", ""),
            ("team/b", "team/b/", ""),
            ("team/a/kv/x", "team/a/kv/", "x"),
            ("team/b/kv/x", "team/b/", "kv/x"),
            ("auth/userpass/login/u", "auth/userpass/", "login/u"),
        ] {
            let (mounted, tail) = router.route(path).unwrap();
            assert_eq!((mounted.info.path.as_str(), tail), (mount, rest), "{path}");
        }
        for path in ["kv2", "team/a/x", "auth/other/x", "nothing/x", ""] {
            assert!(router.route(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_backend_outlives_changes_that_are_not_its_own() {
        let mut rows = tables(&["kv/", "other/"]);
        let first =
            Router::build(&[(Table::Secret, &rows)], &Router::default(), &Any, LeaseBounds::default());
        rows.at_mut("other/").unwrap().options.insert("version".to_owned(), "2".to_owned());
        rows.at_mut("kv/").unwrap().config.max_lease_ttl = 60;
        let second = Router::build(&[(Table::Secret, &rows)], &first, &Any, LeaseBounds::default());
        let same = |path: &str| {
            let (before, after) = (first.route(path).unwrap().0, second.route(path).unwrap().0);
            Arc::ptr_eq(&before.backend, &after.backend)
        };
        assert!(same("kv/") && !same("other/"));
        assert_eq!(second.route("kv/").unwrap().0.info.max_ttl, Duration::from_secs(60));
    }
}
