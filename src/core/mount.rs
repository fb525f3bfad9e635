//! The mount tables: which backend answers below which path. Pure: a table in, a table or an error out.
//!
//! The tables are stored as one record each (`core/mounts`, `core/auth`). What is mounted at run time is the router's
//! business; it rebuilds itself when a record changes, on every node by the same path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lockout::LockoutConfig;
use crate::entropy;
use crate::logical::Fault;

/// Most mounts of a table: the record must stay below the largest entry.
pub const MAX_MOUNTS: usize = 1500;

/// Version that every mount reports, in the real server's spelling of built-in plugins.
pub const RUNNING_VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"), "+builtin.understudy");

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    Secret,
    Auth,
}

/// What an operator tunes on a mount. Durations in seconds; 0 is the system's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountConfig {
    pub default_lease_ttl: u64,
    pub max_lease_ttl: u64,
    pub force_no_cache: bool,
    pub token_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit_non_hmac_request_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit_non_hmac_response_keys: Vec<String>,
    pub listing_visibility: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passthrough_request_headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_response_headers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_lockout: Option<LockoutConfig>,
}

/// One row of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountEntry {
    pub uuid: String,
    /// Ends in `/`; without the leading `auth/` of the auth table.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub accessor: String,
    pub description: String,
    pub options: BTreeMap<String, String>,
    pub config: MountConfig,
    pub local: bool,
    pub seal_wrap: bool,
    pub external_entropy_access: bool,
}

/// A table, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountTable {
    /// Of the record's format.
    pub version: u8,
    pub entries: Vec<MountEntry>,
}

impl Table {
    /// Where the table is stored.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Secret => "core/mounts",
            Self::Auth => "core/auth",
        }
    }

    /// What stands before a row's path on the wire.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Secret => "",
            Self::Auth => "auth/",
        }
    }

    /// Where the backends of the table keep their records.
    #[must_use]
    pub fn storage_prefix(self, uuid: &str) -> String {
        match self {
            Self::Secret => format!("logical/{uuid}/"),
            Self::Auth => format!("auth/{uuid}/"),
        }
    }

    /// Rows every store has from its first moment.
    #[must_use]
    pub fn initial(self) -> MountTable {
        let rows: &[(&str, &str, &str)] = match self {
            Self::Secret => &[
                ("cubbyhole/", "cubbyhole", "per-token private secret storage"),
                ("identity/", "identity", "identity store"),
                ("sys/", "system", "system endpoints used for control, policy and debugging"),
            ],
            Self::Auth => &[("token/", "token", "token based credentials")],
        };
        let entries = rows.iter().map(|(path, kind, description)| {
            let mut entry = MountEntry::new(self, path, kind);
            (*description).clone_into(&mut entry.description);
            entry.local = *kind == "cubbyhole";
            entry.seal_wrap = *kind == "system";
            entry.config.passthrough_request_headers =
                passed_to(kind).map(str::to_owned).into_iter().collect();
            if *kind == "token" {
                "default-service".clone_into(&mut entry.config.token_type);
            }
            entry
        });
        MountTable { version: 1, entries: entries.collect() }
    }
}

/// The header a backend of every store sees from its first moment.
fn passed_to(kind: &str) -> Option<&'static str> {
    match kind {
        "system" => Some("Accept"),
        "identity" => Some("Authorization"),
        _ => None,
    }
}

impl MountEntry {
    /// A row with a fresh uuid and accessor.
    #[must_use]
    pub fn new(table: Table, path: &str, kind: &str) -> Self {
        let stem = match (table, kind) {
            (Table::Auth, _) => format!("auth_{kind}"),
            (Table::Secret, _) => kind.to_owned(),
        };
        let suffix = u32::from_be_bytes(entropy::bytes());
        Self {
            uuid: Uuid::new_v4().to_string(),
            path: path.to_owned(),
            kind: kind.to_owned(),
            accessor: format!("{stem}_{suffix:08x}"),
            ..Self::default()
        }
    }

    /// Backends that exist once and cannot be moved or disabled.
    #[must_use]
    pub fn is_builtin(&self) -> bool {
        matches!(self.kind.as_str(), "system" | "cubbyhole" | "identity" | "token")
    }
}

impl MountTable {
    /// The row at exactly `path` (with its slash).
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&MountEntry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    pub fn at_mut(&mut self, path: &str) -> Option<&mut MountEntry> {
        self.entries.iter_mut().find(|entry| entry.path == path)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The path is taken, reserved, below another mount or above one, or the table is full.
    pub fn add(&mut self, table: Table, entry: MountEntry) -> Result<(), Fault> {
        self.check_free(table, &entry.path)?;
        if self.entries.len() >= MAX_MOUNTS {
            return Err(Fault::invalid(format!("too many mounts; at most {MAX_MOUNTS}")));
        }
        self.entries.push(entry);
        self.sort();
        Ok(())
    }

    /// Takes a row out; `None` when there is none.
    pub fn remove(&mut self, path: &str) -> Option<MountEntry> {
        let at = self.entries.iter().position(|entry| entry.path == path)?;
        Some(self.entries.remove(at))
    }

    /// Moves a row.
    ///
    /// # Errors
    /// There is none, or the new path is not free; its own old path counts.
    pub fn rename(&mut self, table: Table, from: &str, to: &str) -> Result<(), Fault> {
        let prefix = table.prefix();
        if self.at(from).is_none() {
            return Err(Fault::invalid(format!("no matching mount at \"{prefix}{from}\"")));
        }
        if let Some(taken) = self.clash(to) {
            return Err(Fault::invalid(format!("path already in use at \"{prefix}{}\"", taken.path)));
        }
        if let Some(entry) = self.at_mut(from) {
            to.clone_into(&mut entry.path);
        }
        self.sort();
        Ok(())
    }

    fn check_free(&self, table: Table, path: &str) -> Result<(), Fault> {
        let reserved: &[&str] = match table {
            Table::Secret => &["auth/", "sys/", "cubbyhole/", "identity/", "audit/"],
            Table::Auth => &[],
        };
        if reserved.iter().any(|taken| path.starts_with(taken)) {
            return Err(Fault::invalid(format!("cannot mount {path:?}")));
        }
        match self.clash(path) {
            Some(taken) => Err(Fault::invalid(format!("path is already in use at {}", taken.path))),
            None => Ok(()),
        }
    }

    /// A mount at `path`, above it or below it.
    fn clash(&self, path: &str) -> Option<&MountEntry> {
        self.entries.iter().find(|entry| entry.path.starts_with(path) || path.starts_with(&entry.path))
    }

    fn sort(&mut self) {
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
    }
}

/// The path of a mount as operators give it: no slash in front, one behind, no empty, `.` or `..` segment.
///
/// # Errors
/// The path cannot be a mount's.
pub fn clean_path(path: &str) -> Result<String, Fault> {
    let trimmed = path.trim_matches('/');
    let bad = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if trimmed.split('/').any(bad) || trimmed.chars().any(char::is_control) {
        return Err(Fault::invalid("path contains an empty, relative or unprintable segment"));
    }
    Ok(format!("{trimmed}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_one_mount() {
        let mut table = Table::Secret.initial();
        table.add(Table::Secret, MountEntry::new(Table::Secret, "kv/", "kv")).unwrap();
        for taken in ["kv/", "kv/deeper/", "sys/x/", "auth/", "identity/"] {
            let entry = MountEntry::new(Table::Secret, taken, "kv");
            assert!(table.add(Table::Secret, entry).is_err(), "{taken}");
        }
        table.add(Table::Secret, MountEntry::new(Table::Secret, "kv2/", "kv")).unwrap();
        table.rename(Table::Secret, "kv2/", "team/kv/").unwrap();
        assert!(table.at("kv2/").is_none() && table.at("team/kv/").is_some());
        for (from, to, text) in [
            ("gone/", "x/", "no matching mount at \"gone/\""),
            ("kv/", "team/kv/", "path already in use at \"team/kv/\""),
            ("kv/", "kv/deeper/", "path already in use at \"kv/\""),
        ] {
            assert_eq!(table.rename(Table::Secret, from, to).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn paths_are_cleaned_or_refused() {
        assert_eq!(clean_path("/a/b//").unwrap(), "a/b/");
        for bad in ["", "/", "a//b", "a/../b", "a/./b", "a\n"] {
            assert!(clean_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_tables_survive_their_record() {
        let table = Table::Auth.initial();
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<MountTable>(&text).unwrap(), table);
    }
}
