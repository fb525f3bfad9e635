//! What the cluster owner and the control thread count. Few events a second, so shared atomics are fine here.

use std::time::Duration;

use crate::proxy::observation::FailureKind;
use crate::proxy::snapshot::{Role, ServerId};

use super::cell::{BoundsUs, Grid, Histograms};
use super::label::{CheckResult, Label, ReloadResult};
use super::slot::{ROWS, Slots};

/// 0.5 ms to 5 s: a probe answers from memory, its timeout is seconds.
const CHECK_BOUNDS: BoundsUs = &[500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// The counters of roles, probes, ejections, elections, sessions and reloads. Any thread may write.
#[derive(Debug)]
pub struct ClusterCounters {
    pub(super) servers: std::sync::Arc<Slots>,
    pub(super) checks: Grid<2>,
    pub(super) check_duration: Histograms<1>,
    pub(super) role_changes: Grid<2>,
    pub(super) ejections: Grid<2>,
    pub(super) lag_ms: Grid<1>,
    pub(super) leader_changes: Grid<0>,
    pub(super) no_leader_ms: Grid<0>,
    pub(super) sessions: Grid<0>,
    pub(super) sessions_evicted: Grid<0>,
    pub(super) reloads: Grid<1>,
    pub(super) last_reload_ok: Grid<0>,
    /// Unix seconds.
    pub(super) last_reload_at: Grid<0>,
}

impl ClusterCounters {
    pub(super) fn new(servers: std::sync::Arc<Slots>) -> Self {
        Self {
            servers,
            checks: Grid::new([ROWS, CheckResult::WORDS.len()]),
            check_duration: Histograms::new(CHECK_BOUNDS, [ROWS]),
            role_changes: Grid::new([ROWS, Role::WORDS.len()]),
            ejections: Grid::new([ROWS, FailureKind::WORDS.len()]),
            lag_ms: Grid::new([ROWS]),
            leader_changes: Grid::new([]),
            no_leader_ms: Grid::new([]),
            sessions: Grid::new([]),
            sessions_evicted: Grid::new([]),
            reloads: Grid::new([ReloadResult::WORDS.len()]),
            last_reload_ok: Grid::new([]),
            last_reload_at: Grid::new([]),
        }
    }

    fn row(&self, id: ServerId) -> usize {
        usize::from(self.servers.at(id.index()))
    }

    /// Which name stands at which [`ServerId`] from now on. The owner calls it whenever the server list changes.
    pub fn place_servers<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        self.servers.place(names);
    }

    /// A health check ended.
    pub fn checked(&self, server: ServerId, result: CheckResult, took: Duration) {
        self.checks.add_shared([self.row(server), result.index()], 1);
        self.check_duration.record_shared([self.row(server)], took);
    }

    pub fn role_changed(&self, server: ServerId, to: Role) {
        self.role_changes.add_shared([self.row(server), to.index()], 1);
    }

    pub fn ejected(&self, server: ServerId, reason: FailureKind) {
        self.ejections.add_shared([self.row(server), reason.index()], 1);
    }

    /// Time since this standby's index was the active's.
    pub fn lag(&self, server: ServerId, behind: Duration) {
        let millis = u64::try_from(behind.as_millis()).unwrap_or(u64::MAX);
        self.lag_ms.set([self.row(server)], millis);
    }

    /// A different server leads than before.
    pub fn leader_changed(&self) {
        self.leader_changes.add_shared([], 1);
    }

    /// The cluster had no known leader for this much longer.
    pub fn without_leader(&self, more: Duration) {
        self.no_leader_ms.add_shared([], u64::try_from(more.as_millis()).unwrap_or(0));
    }

    /// Entries of the floor map now.
    pub fn sessions(&self, entries: usize) {
        self.sessions.set([], entries as u64);
    }

    pub fn sessions_evicted(&self, more: u64) {
        self.sessions_evicted.add_shared([], more);
    }

    /// A reload ended at this moment (Unix seconds). The first load counts too.
    pub fn reloaded(&self, result: ReloadResult, at_unix_s: u64) {
        self.reloads.add_shared([result.index()], 1);
        self.last_reload_ok.set([], u64::from(result == ReloadResult::Ok));
        self.last_reload_at.set([], at_unix_s);
    }
}
