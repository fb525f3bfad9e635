//! The `file` device: one line a write, appended; `stdout` and `discard` as names.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use parking_lot::Mutex;

/// Who may read an audit log that we create.
const MODE: u32 = 0o600;

/// See the module.
#[derive(Debug)]
pub(super) struct FileDevice {
    target: Target,
}

#[derive(Debug)]
enum Target {
    Discard,
    Stdout,
    /// Replaced by a reopen (SIGHUP), so that the file can be rotated away.
    File {
        path: PathBuf,
        file: Mutex<File>,
    },
}

impl FileDevice {
    /// # Errors
    /// The file cannot be opened for appending.
    pub(super) fn open(path: &str) -> io::Result<Self> {
        let target = match path {
            "discard" | "/dev/null" => Target::Discard,
            "stdout" => Target::Stdout,
            path => Target::File { file: Mutex::new(append(&PathBuf::from(path))?), path: path.into() },
        };
        Ok(Self { target })
    }

    /// Hands the line to the system. Not synced to disk, as the real server does not either.
    ///
    /// # Errors
    /// It was not written, or not all of it.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        match &self.target {
            Target::Discard => Ok(()),
            Target::Stdout => io::stdout().lock().write_all(line),
            Target::File { file, .. } => file.lock().write_all(line),
        }
    }

    /// Opens the path anew; the old file stays in use when that fails.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn reopen(&self) -> io::Result<()> {
        if let Target::File { path, file } = &self.target {
            *file.lock() = append(path)?;
        }
        Ok(())
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_the_file_can_be_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let (path, rotated) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
        let device = FileDevice::open(path.to_str().unwrap()).unwrap();
        device.write(b"one\n").unwrap();
        std::fs::rename(&path, &rotated).unwrap();
        device.write(b"two\n").unwrap();
        device.reopen().unwrap();
        device.write(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(rotated).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_directory_is_no_log() {
        let dir = tempfile::tempdir().unwrap();
        assert!(FileDevice::open(dir.path().to_str().unwrap()).is_err());
    }
}
