//! Whether the disk has room for a write, asked before it begins.
//!
//! A database that meets a full disk half way has to be opened again, and no read is served meanwhile. So a write is
//! refused while the file system has less than a reserve: reads go on, and writes do too as soon as there is room.

use std::path::PathBuf;

/// Free bytes that stay untouched: a checkpoint of everything that may be in memory fits into it.
const RESERVE: u64 = 64 * 1024 * 1024;

/// Pages a change touches, in relation to its bytes.
const AMPLIFICATION: u64 = 4;

/// The file system below a path.
#[derive(Debug, Clone)]
pub(super) struct Space {
    path: PathBuf,
}

// === impl Space ===

impl Space {
    pub(super) fn below(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether `bytes` more may be written. A file system that does not say is taken to have room.
    pub(super) fn has(&self, bytes: usize) -> bool {
        match rustix::fs::statvfs(&self.path) {
            Ok(disk) => enough(disk.f_bavail.saturating_mul(disk.f_frsize), bytes),
            Err(_) => true,
        }
    }
}

fn enough(free: u64, bytes: usize) -> bool {
    free >= RESERVE.saturating_add(AMPLIFICATION.saturating_mul(bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_stays_free() {
        let cases = [
            (0, 0, false),
            (RESERVE - 1, 0, false),
            (RESERVE, 0, true),
            (RESERVE, 1, false),
            (RESERVE + 4, 1, true),
            (u64::MAX, usize::MAX, true),
        ];
        for (free, bytes, expected) in cases {
            assert_eq!(enough(free, bytes), expected, "{free} free, {bytes} wanted");
        }
    }
}
