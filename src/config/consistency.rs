//! `consistency`: what a client may read after what it wrote or read.

use std::time::Duration;

use super::proxy::{Consistency, ConsistencyMode, FirstSeen, OnStale};
use super::raw::RawConsistency;
use super::report::Report;

/// Mode. Nobody misses their own writes, and standbys still take the reads.
const MODE: ConsistencyMode = ConsistencyMode::Session;
/// Sessions: about 10 MB; the one used longest ago makes room, at the price of a floor that is too high.
const MAX_SESSIONS: usize = 100_000;
/// Floor of a new session: everything this proxy has seen, as a token may be the child of another.
const FIRST_SEEN: FirstSeen = FirstSeen::Global;
/// When no standby is fresh enough.
const ON_STALE: OnStale = OnStale::WaitThenActive;
/// Longest wait of a read for a standby. A lone write reaches OpenBao's standbys after 53 to 100 ms; a read waits at
/// all only where a wait pays (`proxy::route`), so the bound has room for the slowest of those.
const MAX_WAIT: Duration = Duration::from_millis(100);
/// Time a changed mount, auth, policy or namespace prefix stays on the active after the standbys passed its index:
/// they rebuild their tables after they applied the entry.
const MOUNT_CHANGE_WINDOW: Duration = Duration::from_secs(1);

pub(crate) fn convert(raw: RawConsistency, report: &Report) -> Consistency {
    let max_sessions = raw.max_sessions.or(MAX_SESSIONS);
    Consistency {
        mode: raw.mode.or(MODE),
        max_sessions: report.within("consistency.max_sessions", max_sessions, 100..=10_000_000),
        first_seen: raw.first_seen.or(FIRST_SEEN),
        monotonic: raw.monotonic.or(true),
        on_stale: raw.on_stale.or(ON_STALE),
        max_wait: raw.max_wait.or(MAX_WAIT),
        mount_change_window: raw.mount_change_window.or(MOUNT_CHANGE_WINDOW),
        request_override: raw.request_override.or(true),
    }
}
