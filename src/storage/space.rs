//! Whether the disk has room for a write, asked before it begins.
//!
//! A database that meets a full disk half way has to be opened again, and no read is served meanwhile. So a write is
//! refused while the file system has less than a reserve: reads go on, and writes do too as soon as there is room.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Free bytes that stay untouched: a checkpoint of everything that may be in memory fits into it.
const RESERVE: u64 = 64 * 1024 * 1024;

/// Bytes that writers are let have on what the file system said last: far inside the reserve.
const LEASE: u64 = 1024 * 1024;

/// Pages a change touches, in relation to its bytes.
const AMPLIFICATION: u64 = 4;

/// The file system a store lies on.
#[derive(Clone)]
pub(super) struct Space {
    /// Bytes that are free; `None` where the file system does not say.
    free: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
    /// What is left of the lease.
    leased: Arc<AtomicU64>,
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
        Self { free: Arc::new(free), leased: Arc::default() }
    }

    /// Whether `bytes` more may be written. A file system that does not say is taken to have room. It is asked about once
    /// in a megabyte.
    pub(super) fn has(&self, bytes: usize) -> bool {
        let take = |left: u64| left.checked_sub(AMPLIFICATION.saturating_mul(bytes as u64));
        if self.leased.fetch_update(Relaxed, Relaxed, take).is_ok() {
            return true;
        }
        let enough = (self.free)().is_none_or(|free| enough(free, bytes));
        self.leased.store(if enough { LEASE } else { 0 }, Relaxed);
        enough
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
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn the_file_system_is_asked_once_in_a_while() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let space = Space::asking(move || {
            count.fetch_add(1, Relaxed);
            Some(RESERVE + 4000)
        });
        assert!(space.has(1000) && space.has(1000) && !space.has(LEASE as usize));
        assert_eq!(asked.load(Relaxed), 2);
        assert!(space.has(1000), "a refusal takes the lease back");
        assert_eq!(asked.load(Relaxed), 3);
    }

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
