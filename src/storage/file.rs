//! `storage "file"`: the table in one file, every batch on the disk before its writers hear of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Durability;

use super::Storage;
use super::open::{self, OpenError};
use super::table::{FORMAT_VERSION, Table};
use super::writer::Local;

/// The file below the configured path.
const FILE: &str = "understudy.redb";

/// Opens or creates the store below the directory `path`.
///
/// # Errors
/// The path cannot be used, another process has the store, or it is damaged: see [`OpenError`].
pub fn open(path: &Path) -> Result<Arc<dyn Storage>, OpenError> {
    open::directory(path)?;
    let table = table_at(&path.join(FILE))?;
    match Local::start(table, "file", Durability::Immediate, Some(path.to_owned())) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(OpenError::Path { path: path.to_owned(), reason: error.to_string() }),
    }
}

/// The table in `file`, checked.
pub(super) fn table_at(file: &Path) -> Result<Table, OpenError> {
    let path: PathBuf = file.to_owned();
    match Table::new(open::database(file)?) {
        Ok(table) => Ok(table),
        Err(Ok(found)) => Err(OpenError::Format { path, found, known: FORMAT_VERSION }),
        Err(Err(error)) => Err(OpenError::Damaged { path, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::contract::{put, writes};
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    fn filled(scratch: &TempDir, records: usize) {
        let store = open(scratch.path()).unwrap();
        for n in 0..records {
            runtime().block_on(store.commit(writes(vec![put(&format!("k{n}"), &"v".repeat(300))]))).unwrap();
        }
    }

    fn complete(store: &dyn Storage, records: usize) -> bool {
        let view = store.snapshot();
        (0..records).all(|n| view.get(&format!("k{n}")).is_ok_and(|stored| stored.is_some()))
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let scratch = tempfile::tempdir().unwrap();
        filled(&scratch, 20);
        let store = open(scratch.path()).unwrap();
        assert!(complete(&*store, 20));
        assert_eq!(store.snapshot().index(), 20);
    }

    #[test]
    fn a_store_has_one_server() {
        let scratch = tempfile::tempdir().unwrap();
        let first = open(scratch.path()).unwrap();
        assert!(matches!(open(scratch.path()), Err(OpenError::Locked { .. })));
        drop(first);
        open(scratch.path()).unwrap();
    }

    #[test]
    fn a_path_that_is_no_directory_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = open(&file.join("below")).unwrap_err().to_string();
        assert!(error.contains("taken/below"), "{error}");
    }

    /// Cuts and flips: what opens holds everything that was acknowledged.
    #[test]
    fn a_damaged_file_is_refused_or_whole() {
        const RECORDS: usize = 40;
        let scratch = tempfile::tempdir().unwrap();
        filled(&scratch, RECORDS);
        let original = fs::read(scratch.path().join(FILE)).unwrap();
        let (mut refused, mut whole) = (0, 0);
        let mut judge = |what: String, bytes: &[u8]| {
            let copy = tempfile::tempdir().unwrap();
            fs::write(copy.path().join(FILE), bytes).unwrap();
            match open(copy.path()) {
                Ok(store) => {
                    assert!(complete(&*store, RECORDS), "{what}: opened, but something is missing");
                    whole += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains(FILE), "{what}: {error}");
                    refused += 1;
                }
            }
        };
        for step in 0..16 {
            let length = original.len() * step / 16;
            judge(format!("cut at {length}"), original.get(..length).unwrap());
        }
        for step in 0..120 {
            let at = if step < 64 { step * 5 } else { original.len() * (step - 64) / 56 };
            let mut bytes = original.clone();
            bytes[at] ^= 0x41;
            judge(format!("byte {at} of {} flipped", original.len()), &bytes);
        }
        assert!(refused > 16, "{refused} refused, {whole} whole");
    }
}
