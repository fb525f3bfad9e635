//! The token helper's file, `~/.vault-token`: readable by its owner only, replaced as a whole.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::secret::SecretString;

/// Its name in the home directory.
const NAME: &str = ".vault-token";

/// The file of the user with this home directory.
#[must_use]
pub fn path(home: &Path) -> PathBuf {
    home.join(NAME)
}

/// The stored token; `None` without one.
///
/// # Errors
/// The file is there and cannot be read.
pub fn load(file: &Path) -> Result<Option<SecretString>, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()).map(SecretString::new)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// Stores the token: a reader sees the old one or the new one, and nobody else sees either.
///
/// # Errors
/// Names the file that cannot be written.
pub fn store(file: &Path, token: &str) -> Result<(), String> {
    let beside = file.with_file_name(format!("{NAME}.{:08x}", fastrand::u32(..)));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut opened| opened.write_all(token.as_bytes()).and_then(|()| opened.sync_all()))
        .and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| {
        // What is left of it holds a token; that it was never made is fine.
        drop(std::fs::remove_file(&beside));
        format!("{}: {error}", file.display())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_stored_token_is_private_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path());
        assert_eq!(load(&file), Ok(None));
        for token in ["s.one", "s.two"] {
            store(&file, token).unwrap();
            assert_eq!(load(&file).unwrap().unwrap().expose(), token);
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }
}
