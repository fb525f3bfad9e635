//! The stored table of devices (`core/audit`): which there are, and each one's salt. Pure but for loading and storing.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::device::DeviceConfig;
use super::hash::Salt;
use crate::barrier::{StoreError, Transaction};

/// Where the table is stored.
pub(super) const KEY: &str = "core/audit";
/// Most devices: each takes every line.
const MAX_DEVICES: usize = 32;

/// Why the table does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("backend path must be specified")]
    NoPath,
    #[error("path already in use")]
    InUse,
    #[error("cannot disable configuration-managed audit device")]
    Managed,
    #[error("too many audit devices; max: {MAX_DEVICES}")]
    TooMany,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceTable {
    /// Of the record's format.
    version: u8,
    rows: Vec<Row>,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Row {
    device: DeviceConfig,
    salt: Zeroizing<Vec<u8>>,
    /// It stands in the configuration file: only there can it be changed.
    is_managed: bool,
}

// === impl DeviceTable ===

impl DeviceTable {
    /// # Errors
    /// The record cannot be read.
    pub fn load(tx: &mut Transaction) -> Result<Self, StoreError> {
        Ok(tx.view("").get_record(KEY)?.unwrap_or_default())
    }

    /// # Errors
    /// The transaction refuses.
    pub fn store(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        tx.view("").put_record(KEY, self)
    }

    /// The rows with their salts.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceConfig, Salt)> {
        self.rows.iter().map(|row| (&row.device, Salt::new(&row.salt)))
    }

    /// Whether a device may be added there.
    ///
    /// # Errors
    /// It may not.
    pub fn check_path(&self, path: &str) -> Result<(), TableError> {
        let overlaps = |row: &Row| row.device.path.starts_with(path) || path.starts_with(&row.device.path);
        if path.trim_matches('/').is_empty() {
            return Err(TableError::NoPath);
        }
        if self.rows.iter().any(overlaps) {
            return Err(TableError::InUse);
        }
        if self.rows.len() < MAX_DEVICES { Ok(()) } else { Err(TableError::TooMany) }
    }

    /// Adds a device with a salt of its own.
    ///
    /// # Errors
    /// Its path is taken, or there are too many.
    pub fn add(&mut self, device: DeviceConfig) -> Result<(), TableError> {
        self.check_path(&device.path)?;
        self.insert(device, false);
        Ok(())
    }

    fn insert(&mut self, device: DeviceConfig, is_managed: bool) {
        self.version = 1;
        self.rows.push(Row { device, salt: Salt::generate(), is_managed });
        self.rows.sort_by(|one, other| one.device.path.cmp(&other.device.path));
    }

    /// Takes a device away; whether there was one.
    ///
    /// # Errors
    /// It stands in the configuration file.
    pub fn remove(&mut self, path: &str) -> Result<bool, TableError> {
        let Some(at) = self.rows.iter().position(|row| row.device.path == path) else { return Ok(false) };
        if self.rows.get(at).is_some_and(|row| row.is_managed) {
            return Err(TableError::Managed);
        }
        self.rows.remove(at);
        Ok(true)
    }

    /// The declared devices that have no row yet as they are declared.
    pub fn missing<'d>(&self, declared: &'d [DeviceConfig]) -> Vec<&'d DeviceConfig> {
        declared.iter().filter(|device| !self.rows.iter().any(|row| row.device == **device)).collect()
    }

    /// Makes the managed rows those of the configuration file; whether anything changed. Devices of the API stay but
    /// where a declared one takes their path; salts of rows that stay are kept.
    pub fn reconcile(&mut self, declared: &[DeviceConfig]) -> bool {
        let before = self.rows.len();
        self.rows.retain(|row| match row.is_managed {
            true => declared.contains(&row.device),
            false => !declared.iter().any(|device| device.path == row.device.path),
        });
        let mut changed = self.rows.len() != before;
        for device in declared.iter().take(MAX_DEVICES) {
            if !self.rows.iter().any(|row| row.device == *device) {
                self.insert(device.clone(), true);
                changed = true;
            }
        }
        changed
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({})", self.device.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(path: &str, kind: &str) -> DeviceConfig {
        DeviceConfig { path: path.to_owned(), kind: kind.to_owned(), ..DeviceConfig::default() }
    }

    fn paths(table: &DeviceTable) -> Vec<(&str, bool)> {
        table.rows.iter().map(|row| (row.device.path.as_str(), row.is_managed)).collect()
    }

    #[test]
    fn paths_do_not_overlap() {
        let mut table = DeviceTable::default();
        table.add(device("a/b/", "file")).unwrap();
        for (path, error) in [
            ("a/b/", TableError::InUse),
            ("a/", TableError::InUse),
            ("a/b/c/", TableError::InUse),
            ("/", TableError::NoPath),
        ] {
            assert_eq!(table.add(device(path, "file")), Err(error), "{path}");
        }
        table.add(device("ab/", "file")).unwrap();
        assert_eq!((table.remove("ab/"), table.remove("ab/")), (Ok(true), Ok(false)));
    }

    #[test]
    fn the_file_rules_over_its_own_rows() {
        let mut table = DeviceTable::default();
        table.add(device("api/", "file")).unwrap();
        assert_eq!(
            table.missing(&[device("api/", "file"), device("one/", "file")]),
            [&device("one/", "file")]
        );
        assert!(table.reconcile(&[device("one/", "file"), device("two/", "file")]));
        assert_eq!(paths(&table), [("api/", false), ("one/", true), ("two/", true)]);
        assert_eq!(table.remove("one/"), Err(TableError::Managed));
        let before = table.clone();
        assert!(!table.reconcile(&[device("one/", "file"), device("two/", "file")]));
        assert_eq!(table, before, "nothing new, no new salts");
        assert!(table.reconcile(&[device("two/", "socket"), device("api/", "file")]));
        assert_eq!(paths(&table), [("api/", true), ("two/", true)]);
    }
}
