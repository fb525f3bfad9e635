//! `pid_file`: the process id, while the process runs.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Removes the file when it is dropped.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
}

// === impl PidFile ===

impl PidFile {
    /// Writes the id of this process; what a crashed one left is overwritten.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(path: &Path) -> io::Result<Self> {
        let mut file = std::fs::File::create(path)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, file = %self.path.display(), "the pid file stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_lives_as_long_as_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
        assert!(PidFile::write(&dir.path().join("none/pid")).is_err());
    }
}
