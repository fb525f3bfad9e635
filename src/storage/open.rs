//! Why a store could not be opened, in words an operator can act on, and the one way a database file is opened.

use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, StorageError as Redb};
use thiserror::Error;

/// Memory redb may use for pages, in bytes: enough for the inner nodes of a million entries.
const CACHE_BYTES: usize = 96 * 1024 * 1024;

/// A store was not opened. Nothing was changed.
#[derive(Debug, Clone, Error)]
pub enum OpenError {
    #[error("storage path {}: {reason}", path.display())]
    Path { path: PathBuf, reason: String },
    #[error("{} is in use by another process: a store has one server", path.display())]
    Locked { path: PathBuf },
    /// Never repaired silently: an acknowledged write could be missing.
    #[error("{} is damaged ({reason}): restore it from a snapshot or a copy", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} has format {found}, this program reads format {known}: use a newer version", path.display())]
    Format { path: PathBuf, found: u64, known: u64 },
}

/// Makes the directory where it is missing (mode 0700).
pub(super) fn directory(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| OpenError::Path { path: path.to_owned(), reason: error.to_string() })
}

/// Opens or creates the database file. Every page's checksum is verified first; a file that is not what was last
/// written is refused.
pub(super) fn database(file: &Path) -> Result<Database, OpenError> {
    let existed = std::fs::metadata(file);
    if existed.is_ok_and(|is| is.len() == 0) {
        // A crash while the store was first created leaves no empty file: redb writes its header into a file that has
        // its length. Somebody emptied it.
        return Err(OpenError::Damaged { path: file.to_owned(), reason: "it is empty".to_owned() });
    }
    let open = || Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).create(file);
    // redb may panic on a file altered behind its back; that is damage, not a reason to fall over.
    match std::panic::catch_unwind(open) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(why(file, error)),
        Err(_) => Err(OpenError::Damaged {
            path: file.to_owned(),
            reason: "its structure makes no sense".to_owned(),
        }),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an error of redb that is not named here is damage")]
fn why(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path },
        DatabaseError::Storage(Redb::Io(error)) if !is_damage(&error) => {
            OpenError::Path { path, reason: error.to_string() }
        }
        other => OpenError::Damaged { path, reason: other.to_string() },
    }
}

/// redb reports a wrong magic number or a file that ends early as I/O errors.
fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    [InvalidData, InvalidInput, UnexpectedEof].contains(&error.kind())
}
