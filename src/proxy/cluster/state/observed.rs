//! What workers saw: failures, refusals, wishes and lessons, folded into the owner's state.

use std::time::{Duration, Instant};

use crate::proxy::endpoint::Endpoint;
use crate::proxy::health::Wanted;
use crate::proxy::learn::Lesson;
use crate::proxy::observation::{FailureKind, Observation};
use crate::proxy::outlier::allowed_ejections;
use crate::proxy::snapshot::{AdminState, Role, ServerId};

use super::super::decide::Verdict;
use super::ClusterState;

/// After somebody asked for a leader, everybody is probed fast for this long.
const URGENT: Duration = Duration::from_secs(10);

impl ClusterState {
    /// Something a worker saw. True when the picture may have changed.
    pub fn observed(&mut self, observation: &Observation, now: Instant) -> bool {
        match observation {
            Observation::NotLeader { server, leader_hint } => {
                self.not_leader(*server, leader_hint.as_deref(), now)
            }
            Observation::Failure { server, kind } => self.failed(*server, *kind, now),
            Observation::Success { server } => {
                self.endpoints
                    .get_mut(server.index())
                    .into_iter()
                    .for_each(|endpoint| endpoint.outlier.success());
                false
            }
            Observation::Forwarded { shape, forwarded } => {
                let lesson = self.learning.observe(shape, *forwarded, now);
                self.learned_anew |= lesson != Lesson::Nothing;
                if lesson == Lesson::Turned {
                    self.publish_learned();
                }
                lesson == Lesson::Turned
            }
            Observation::Dialect { server, dialect } => {
                let Some(endpoint) = self.endpoints.get_mut(server.index()) else { return false };
                let news = endpoint.dialect != *dialect;
                endpoint.speaks(*dialect);
                news
            }
            Observation::IndexWanted { index } => {
                self.index_wanted(*index, now);
                false
            }
            Observation::LeaderWanted => {
                self.hurry(now);
                false
            }
        }
    }

    /// Every server is probed at once, and fast for a while.
    pub fn hurry(&mut self, now: Instant) {
        self.urgent_until = Some(now + URGENT);
        (0..self.endpoints.len()).for_each(|at| self.kick(at, now));
    }

    fn not_leader(&mut self, id: ServerId, hint: Option<&str>, now: Instant) -> bool {
        let Some(endpoint) = self.endpoints.get_mut(id.index()) else { return false };
        let changed = endpoint.not_leader();
        self.hurry(now);
        if let Some(hint) = hint {
            tracing::debug!(server = %self.endpoints[id.index()].name, hint, "not the leader");
        }
        if changed {
            self.settle(now);
        }
        changed
    }

    /// A failed request: a reason to ask the server at once, and perhaps to take it out of the reads.
    fn failed(&mut self, id: ServerId, kind: FailureKind, now: Instant) -> bool {
        let at = id.index();
        let settings = self.config.cluster.outlier_detection.clone();
        let Some(endpoint) = self.endpoints.get_mut(at) else { return false };
        let asked = endpoint.outlier.failure(&settings);
        self.kick(at, now);
        if !asked || !self.may_eject(at, now) {
            return false;
        }
        let length = self.endpoints[at].outlier.eject(&settings, now);
        self.counters.ejected(id, kind);
        tracing::warn!(server = %self.endpoints[at].name, ?kind, ?length, "ejected from reads");
        self.settle(now);
        true
    }

    /// The active node is never ejected, and of the read servers only the configured share.
    fn may_eject(&self, at: usize, now: Instant) -> bool {
        let is_standby = |verdict: &Verdict| matches!(verdict.role, Role::Standby | Role::PerfStandby);
        if !is_standby(&self.decision.verdicts[at]) {
            return false;
        }
        let out = |endpoint: &Endpoint| endpoint.outlier.ejected_until().is_some_and(|until| now < until);
        let pairs = || self.decision.verdicts.iter().zip(&self.endpoints);
        let candidates = pairs().filter(|(v, e)| is_standby(v) && (v.reads || out(e))).count();
        let ejected = pairs().filter(|(_, endpoint)| out(endpoint)).count();
        ejected < allowed_ejections(candidates, self.config.cluster.outlier_detection.max_ejection)
    }

    /// Chases the index on every standby that could serve it but is not there yet.
    fn index_wanted(&mut self, index: u64, now: Instant) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let verdict = &self.decision.verdicts[at];
            let standby = verdict.reads && matches!(verdict.role, Role::Standby | Role::PerfStandby);
            let news = slot.orders.wanted.is_none_or(|wanted| index != wanted.index);
            if standby && news && index > self.endpoints[at].live.applied_index() {
                slot.orders.wanted = Some(Wanted { index, since: now });
            }
        }
    }

    /// Probe this server at once, at most once per `fast_interval`.
    fn kick(&mut self, at: usize, now: Instant) {
        let slot = &mut self.slots[at];
        let fast = self.config.cluster.health_check.fast_interval;
        if self.endpoints[at].admin == AdminState::Maint
            || slot.kicked_at.is_some_and(|last| now.saturating_duration_since(last) < fast)
        {
            return;
        }
        slot.kicked_at = Some(now);
        slot.orders.at_once += 1;
    }
}
