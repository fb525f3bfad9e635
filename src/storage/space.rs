//! Whether the disk has room for a write, asked before it begins.
//!
//! A database that meets a full disk half way has to be opened again, and no read is served meanwhile. So a write is
//! refused while the file system has less than a reserve: reads go on, and writes do too as soon as there is room.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Free bytes that stay untouched: a checkpoint of everything that may be in memory fits into it.
const RESERVE: u64 = 64 * 1024 * 1024;

/// Pages a change touches, in relation to its bytes.
const AMPLIFICATION: u64 = 4;

/// The file system a store lies on.
#[derive(Clone)]
pub(super) struct Space {
    /// Bytes that are free; `None` where the file system does not say.
    free: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
}

// === impl Space ===

impl Space {
    pub(super) fn below(path: PathBuf) -> Self {
        Self::asking(move || {
            let disk = rustix::fs::statvfs(&path).ok()?;
            Some(disk.f_bavail.saturating_mul(disk.f_frsize))
        })
    }

    pub(super) fn asking(free: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self { free: Arc::new(free) }
    }

    /// Whether `bytes` more may be written. A file system that does not say is taken to have room.
    pub(super) fn has(&self, bytes: usize) -> bool {
        (self.free)().is_none_or(|free| enough(free, bytes))
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Space({:?} free)", (self.free)())
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
