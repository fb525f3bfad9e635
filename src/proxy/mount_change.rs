//! After a mount, auth, policy or namespace change this proxy saw, requests under that prefix go to the active node
//! until the standbys have passed the change and a little more (openbao#2546: a standby answers 404 on a mount
//! it has not opened yet).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Most windows open at once; beyond it the oldest closes. Each lasts about a second.
const MAX_WINDOWS: usize = 256;

/// Prefixes that stay on the active node for now.
#[derive(Debug, Default)]
pub struct MountChanges {
    open: AtomicUsize,
    windows: Mutex<Vec<Window>>,
}

#[derive(Debug)]
struct Window {
    prefix: Box<str>,
    /// Index of the change; 0: the server said none.
    index: u64,
    /// How long it stays open once every reading standby is past the index.
    length: Duration,
    until: Instant,
}

// === impl MountChanges ===

impl MountChanges {
    /// A change under `path` (canonical, without `/v1/`) was acknowledged at `index` (0: not known).
    pub fn changed(&self, path: &str, index: u64, now: Instant, length: Duration) {
        let Some(prefix) = affected_prefix(path) else { return };
        let mut windows = self.windows.lock();
        windows.retain(|known| known.until > now && &*known.prefix != prefix);
        if windows.len() >= MAX_WINDOWS {
            windows.remove(0);
        }
        windows.push(Window { prefix: prefix.into(), index, length, until: now + length });
        self.open.store(windows.len(), Ordering::Release);
    }

    /// Does the path lie under a prefix that changed a moment ago? `reached`: are all standbys that serve reads at
    /// or past an index? Until they are, the window does not begin to close.
    pub fn covers(&self, path: &str, now: Instant, reached: impl Fn(u64) -> bool) -> bool {
        if self.open.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut windows = self.windows.lock();
        for window in windows.iter_mut().filter(|window| !reached(window.index)) {
            window.until = now + window.length;
        }
        windows.retain(|window| window.until > now);
        self.open.store(windows.len(), Ordering::Release);
        windows.iter().any(|window| lies_under(path, &window.prefix))
    }
}

/// `ns/sys/mounts/kv` concerns `ns/kv`, `sys/auth/x` concerns `auth/x`, `sys/namespaces/n` concerns `n`;
/// policies concern nobody's path but their own listing.
fn affected_prefix(path: &str) -> Option<&str> {
    let after = |marker: &str| path.split_once(marker).map(|(_, rest)| rest);
    if let Some(rest) = after("sys/mounts/").or_else(|| after("sys/namespaces/")) {
        return Some(rest.trim_end_matches('/').trim_end_matches("/tune"));
    }
    if let Some((_, rest)) = path.split_once("sys/") {
        let rest = rest.trim_end_matches('/').trim_end_matches("/tune");
        return Some(rest.strip_prefix("policies/").or_else(|| rest.strip_prefix("policy/")).unwrap_or(rest));
    }
    None
}

/// Looked for anywhere at a segment border, because a namespace may stand in front of it.
fn lies_under(path: &str, prefix: &str) -> bool {
    if prefix.is_empty() {
        return true;
    }
    path.match_indices(prefix).any(|(at, _)| {
        let before = path.as_bytes().get(at.wrapping_sub(1));
        let behind = path.as_bytes().get(at + prefix.len());
        (at == 0 || before == Some(&b'/')) && matches!(behind, None | Some(b'/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    #[test]
    fn prefixes() {
        let table = [
            ("sys/mounts/kv", "kv/a", true),
            ("sys/mounts/kv", "kv", true),
            ("sys/mounts/kv", "kv2/a", false),
            ("sys/mounts/kv/tune", "kv/a", true),
            ("ns1/sys/mounts/kv", "ns1/kv/a", true),
            ("sys/auth/userpass", "auth/userpass/login/x", true),
            ("sys/auth/userpass", "auth/approle/login", false),
            ("sys/namespaces/ns1", "ns1/kv/a", true),
            ("sys/policies/acl/dev", "sys/policies/acl/dev", true),
            ("sys/policies/acl/dev", "kv/dev", false),
            ("kv/a", "kv/a", false),
        ];
        for (change, path, covered) in table {
            let changes = MountChanges::default();
            let now = Instant::now();
            changes.changed(change, 7, now, WINDOW);
            assert_eq!(changes.covers(path, now, |_| true), covered, "{change} → {path}");
        }
    }

    #[test]
    fn a_window_closes() {
        let changes = MountChanges::default();
        let now = Instant::now();
        changes.changed("sys/mounts/kv", 7, now, WINDOW);
        assert!(!changes.covers("kv/a", now + WINDOW, |_| true));
        assert!(!changes.covers("kv/a", now, |_| true), "it was forgotten when it was over");
    }

    #[test]
    fn a_window_waits_for_the_last_standby() {
        let changes = MountChanges::default();
        let now = Instant::now();
        changes.changed("sys/mounts/kv", 7, now, WINDOW);
        let late = now + 10 * WINDOW;
        assert!(changes.covers("kv/a", late, |index| index < 7), "a standby is still behind");
        assert!(changes.covers("kv/a", late + WINDOW / 2, |_| true), "it has only just arrived");
        assert!(!changes.covers("kv/a", late + WINDOW, |_| true));
    }

    #[test]
    fn windows_are_bounded() {
        let changes = MountChanges::default();
        let now = Instant::now();
        for n in 0..2 * MAX_WINDOWS {
            changes.changed(&format!("sys/mounts/m{n}"), 7, now, WINDOW);
        }
        assert_eq!(changes.windows.lock().len(), MAX_WINDOWS);
        assert!(changes.covers("m511/a", now, |_| true) && !changes.covers("m0/a", now, |_| true));
    }
}
