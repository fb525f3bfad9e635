//! `storage "inmem"`: the table in memory. Nothing survives the process.

use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{Builder, Durability};

use super::Storage;
use super::open::OpenError;
use super::table::Table;
use super::writer::Local;

/// Pages kept beside the memory that holds them anyway, in bytes.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A new empty store.
///
/// # Panics
/// Memory or threads have run out.
#[must_use]
pub fn open() -> Arc<dyn Storage> {
    Arc::new(create().expect("an empty store in memory can be made"))
}

fn create() -> Result<Local, OpenError> {
    let failed = |reason: String| OpenError::Path { path: "(memory)".into(), reason };
    let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(InMemoryBackend::new());
    let table =
        Table::new(database.map_err(|e| failed(e.to_string()))?).map_err(|e| failed(format!("{e:?}")))?;
    Local::start(table, "inmem", Durability::None, None).map_err(|e| failed(e.to_string()))
}
