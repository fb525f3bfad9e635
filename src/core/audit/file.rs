//! The `file` device: one line a write, appended; `stdout` and `discard` as names. The file is opened by the first line
//! that needs it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use parking_lot::Mutex;

/// Who may enter directories made for an audit log.
const DIRECTORY_MODE: u32 = 0o700;

/// See the module.
#[derive(Debug)]
pub(super) struct FileDevice {
    target: Target,
}

#[derive(Debug)]
enum Target {
    Discard,
    Stdout,
    File {
        path: PathBuf,
        mode: u32,
        /// Replaced by a reopen (SIGHUP), so that the file can be rotated away.
        file: Mutex<Option<File>>,
    },
}

impl FileDevice {
    pub(super) fn new(path: &str, mode: u32) -> Self {
        let target = match path {
            "discard" | "/dev/null" => Target::Discard,
            "stdout" => Target::Stdout,
            path => Target::File { path: path.into(), mode, file: Mutex::new(None) },
        };
        Self { target }
    }

    pub(super) fn name(&self) -> String {
        match &self.target {
            Target::Discard => "discard".to_owned(),
            Target::Stdout => "stdout".to_owned(),
            Target::File { path, .. } => path.display().to_string(),
        }
    }

    /// Opens the file if it is not open.
    ///
    /// # Errors
    /// It cannot be opened for appending.
    pub(super) fn open(&self) -> io::Result<()> {
        self.write(&[])
    }

    /// Hands the line to the system. Not synced to disk, as the real server does not either.
    ///
    /// # Errors
    /// The file cannot be opened, or the line was not written, or not all of it.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        match &self.target {
            Target::Discard => Ok(()),
            Target::Stdout => io::stdout().lock().write_all(line),
            Target::File { path, mode, file } => {
                let mut file = file.lock();
                let open = match file.as_mut() {
                    Some(open) => open,
                    None => file.insert(append(path, *mode)?),
                };
                open.write_all(line)
            }
        }
    }

    /// Opens the path anew; the old file stays in use when that fails.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn reopen(&self) -> io::Result<()> {
        if let Target::File { path, mode, file } = &self.target {
            *file.lock() = Some(append(path, *mode)?);
        }
        Ok(())
    }
}

fn append(path: &PathBuf, mode: u32) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    }
    OpenOptions::new().append(true).create(true).mode(mode).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_the_file_can_be_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let (path, rotated) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
        let device = FileDevice::new(path.to_str().unwrap(), 0o600);
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
        assert!(FileDevice::new(dir.path().to_str().unwrap(), 0o600).open().is_err());
    }
}
