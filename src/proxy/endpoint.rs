//! What the cluster owner believes about one server: a pure fold of probe results and live-traffic observations.
//! It does not compare servers (`cluster::decide`) and asks nobody (`health`).
//!
//! Belief moves at two speeds. What makes a server *less* trusted (no longer active, sealed, removed) is believed at
//! the first answer, because a late belief would send work to the wrong place. What makes it *more* trusted needs two
//! agreeing answers, asked at `fast_interval`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::proxy::{HealthCheck, Server, ServerAddress};

use super::health::answer::{Capability, LeaderFacts, NodeFacts};
use super::health::{CheckResult, ProbeReport};
use super::outlier::Outlier;
use super::snapshot::{AdminState, Dialect, Role, ServerLive};

/// Answers that must agree before a server is trusted more than before.
const AGREEING_ANSWERS: u32 = 2;

/// The state of one server. Fields are read by `cluster::decide` and `cluster::status`; only this file changes them.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: Arc<str>,
    pub address: Arc<ServerAddress>,
    pub zone: Option<Arc<str>>,
    pub weight: u32,
    pub admin: AdminState,
    pub live: Arc<ServerLive>,
    /// The believed role; `Unknown` before the first answer, never `Foreign` (that is a comparison).
    pub role: Role,
    pub facts: Option<NodeFacts>,
    pub capability: Capability,
    pub dialect: Dialect,
    pub node_id: Option<Arc<str>>,
    pub hostname: Option<Arc<str>>,
    pub outlier: Outlier,
    pub gate: Gate,
    pub last_check: Option<LastCheck>,
    /// `true` once any probe has ended, well or not.
    pub asked: bool,
    pub catch_up_us: u64,
    /// Probe failures in a row.
    pub failures: u32,
    successes: u32,
    pending: Option<(Role, u32)>,
}

/// What the freshness gate remembers of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gate {
    /// Passed once since the server last (re)started: only then may it read on without a visible leader.
    pub passed: bool,
    /// Everything the active had committed when asked at this moment is applied here.
    pub caught_up_to: Option<Instant>,
    /// When the server last said who leads and how far it is.
    pub answered_at: Option<Instant>,
}

/// The newest probe, for status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCheck {
    pub at: Instant,
    pub took: Duration,
    pub result: CheckResult,
}

/// What a probe changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// The believed role is another now.
    pub role: Option<Role>,
    /// An ejection ended.
    pub ejection_over: bool,
}

impl Endpoint {
    #[must_use]
    pub fn new(server: &Server) -> Self {
        Self {
            name: server.name.as_str().into(),
            address: Arc::new(server.address.clone()),
            zone: server.zone.as_deref().map(Arc::from),
            weight: server.weight,
            admin: AdminState::Ready,
            live: Arc::default(),
            role: Role::Unknown,
            facts: None,
            capability: Capability::Unknown,
            dialect: Dialect::None,
            node_id: None,
            hostname: None,
            outlier: Outlier::default(),
            gate: Gate::default(),
            last_check: None,
            asked: false,
            catch_up_us: 0,
            failures: 0,
            successes: 0,
            pending: None,
        }
    }

    /// Folds one probe in. `rival` is true while another server is believed active.
    pub fn probed(&mut self, report: &ProbeReport, settings: &HealthCheck, rival: bool) -> Change {
        let before = self.role;
        self.asked = true;
        self.last_check =
            Some(LastCheck { at: report.ended, took: report.ended - report.began, result: report.result });
        let mut ejection_over = false;
        match &report.facts {
            None => self.missed(settings),
            Some(facts) => {
                self.answered(report, facts, settings, rival);
                ejection_over = is_serving(self.role) && self.outlier.good_probe(report.began, report.ended);
            }
        }
        Change { role: (self.role != before).then_some(self.role), ejection_over }
    }

    /// Should the next probe come at `fast_interval`? After the first sign of a change, until answers agree.
    #[must_use]
    pub fn unsettled(&self, settings: &HealthCheck) -> bool {
        let losing = self.failures > 0 && self.failures < settings.unhealthy_threshold;
        let returning = self.role == Role::Unreachable && self.successes > 0;
        self.pending.is_some() || losing || returning
    }

    /// Its own words on who leads.
    #[must_use]
    pub fn leader(&self) -> Option<&LeaderFacts> {
        self.facts.as_ref().and_then(|facts| facts.leader.as_ref())
    }

    #[must_use]
    pub fn cluster_id(&self) -> Option<&Arc<str>> {
        self.facts.as_ref().and_then(|facts| facts.cluster_id.as_ref())
    }

    /// A live answer told which index header the server speaks.
    pub fn speaks(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// A live answer said "I am not the leader": writes leave it before the next probe says so too.
    /// Returns whether the belief changed.
    pub fn not_leader(&mut self) -> bool {
        let was_active = self.role == Role::Active;
        if was_active {
            self.role = Role::Standby;
            self.pending = None;
        }
        was_active
    }

    /// The moment, by the active's answers, up to which this server has everything.
    pub fn caught_up(&mut self, asked_active_at: Instant) {
        self.gate.caught_up_to = self.gate.caught_up_to.max(Some(asked_active_at));
    }

    /// Smooths the time this standby needs to show an index: 1/4 of the newest sample.
    pub fn needed(&mut self, catch_up: Duration) {
        let sample = u64::try_from(catch_up.as_micros()).unwrap_or(u64::MAX).max(1);
        self.catch_up_us = match self.catch_up_us {
            0 => sample,
            old => old - old / 4 + sample / 4,
        };
    }

    fn missed(&mut self, settings: &HealthCheck) {
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        if self.failures >= settings.unhealthy_threshold {
            self.pending = None;
            self.forget_gate();
            self.role = Role::Unreachable;
        }
    }

    fn answered(&mut self, report: &ProbeReport, facts: &NodeFacts, settings: &HealthCheck, rival: bool) {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if report.reconnected {
            // The server closed a connection in use: perhaps a restart between two probes.
            self.forget_gate();
        }
        self.learn_names(report);
        self.learn_capability(report, facts);
        self.learn_index(report, facts);
        let corroborated = facts.leader.as_ref().is_some_and(|leader| leader.is_self) && !rival;
        self.keep_facts(facts);
        if self.role == Role::Unreachable && self.successes < settings.healthy_threshold {
            return;
        }
        self.believe(facts.role, corroborated);
    }

    /// A probe that was refused a leader answer keeps the last one; its age shows in the gate.
    fn keep_facts(&mut self, facts: &NodeFacts) {
        let old = self.facts.take().and_then(|old| old.leader).filter(|_| is_serving(facts.role));
        let leader = facts.leader.clone().or(old);
        self.facts = Some(NodeFacts { leader, ..facts.clone() });
    }

    fn believe(&mut self, claimed: Role, corroborated: bool) {
        if claimed == self.role {
            self.pending = None;
            return;
        }
        let seen = match self.pending {
            Some((role, seen)) if role == claimed => seen + 1,
            Some(_) | None => 1,
        };
        if seen >= answers_needed(self.role, claimed, corroborated) {
            self.pending = None;
            self.role = claimed;
            if !is_serving(claimed) {
                self.forget_gate();
            }
        } else {
            self.pending = Some((claimed, seen));
        }
    }

    fn learn_names(&mut self, report: &ProbeReport) {
        if report.node_id.is_some() {
            self.node_id.clone_from(&report.node_id);
        }
        if report.hostname.is_some() {
            self.hostname.clone_from(&report.hostname);
        }
    }

    fn learn_capability(&mut self, report: &ProbeReport, facts: &NodeFacts) {
        let upgraded = self.facts.as_ref().is_some_and(|old| old.version != facts.version);
        if upgraded {
            self.dialect = Dialect::None;
            self.capability = Capability::Unknown;
        }
        if let Some(dialect) = report.dialect {
            self.dialect = dialect;
        }
        match report.capability {
            Some(Capability::Unknown) | None => {}
            Some(verdict) => self.capability = verdict,
        }
    }

    /// A node that names less than it was known to have before the question was sent has lost data or was rebuilt:
    /// its old number must not stand.
    fn learn_index(&mut self, report: &ProbeReport, facts: &NodeFacts) {
        let Some(leader) = &facts.leader else { return };
        match leader.applied {
            Some(applied) if applied < report.live_before => {
                self.live.reset_applied_index(applied);
                self.forget_gate();
            }
            Some(applied) => self.live.raise_applied_index(applied),
            None => {}
        }
        self.gate.answered_at = Some(report.ended);
    }

    fn forget_gate(&mut self) {
        self.gate = Gate::default();
    }
}

/// Answers logical requests in this role.
#[must_use]
pub fn is_serving(role: Role) -> bool {
    match role {
        Role::Active | Role::Standby | Role::PerfStandby => true,
        Role::DrSecondary
        | Role::Sealed
        | Role::Uninitialized
        | Role::Unhealthy
        | Role::Removed
        | Role::Foreign
        | Role::Unreachable
        | Role::Unknown => false,
    }
}

/// How many agreeing answers it takes from one role to another.
fn answers_needed(from: Role, to: Role, corroborated: bool) -> u32 {
    let fresh = matches!(from, Role::Unknown | Role::Unreachable);
    let demoted = from == Role::Active || !is_serving(to);
    // Health and leader answer agree and nobody else claims it: that is two answers already.
    let promoted_alone = to == Role::Active && corroborated;
    if fresh || demoted || promoted_alone { 1 } else { AGREEING_ANSWERS }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::proxy::health::answer::LeaderFacts;

    pub(crate) fn settings() -> HealthCheck {
        HealthCheck {
            path: "/v1/sys/health".to_owned(),
            interval: Duration::from_secs(1),
            fast_interval: Duration::from_millis(100),
            down_interval: Duration::from_secs(5),
            jitter: 0.1,
            timeout: Duration::from_secs(1),
            unhealthy_threshold: 2,
            healthy_threshold: 1,
            leader_probe: true,
            capability_interval: Duration::from_secs(10),
        }
    }

    pub(crate) fn endpoint(name: &str) -> Endpoint {
        let address = ServerAddress { tls: false, host: name.to_owned(), port: 8200 };
        Endpoint::new(&Server { name: name.to_owned(), address, zone: None, weight: 1 })
    }

    pub(crate) fn facts(role: Role, leader: LeaderFacts) -> NodeFacts {
        NodeFacts {
            role,
            cluster_id: Some("c1".into()),
            cluster_name: None,
            version: Some("2.7.2".into()),
            leader: Some(leader),
        }
    }

    pub(crate) fn report(now: Instant, facts: Option<NodeFacts>) -> ProbeReport {
        ProbeReport {
            began: now,
            ended: now,
            result: if facts.is_some() { CheckResult::Ok } else { CheckResult::Connect },
            facts,
            capability: None,
            dialect: None,
            node_id: None,
            hostname: None,
            reconnected: false,
            live_before: 0,
        }
    }

    fn says(role: Role, is_self: bool) -> Option<NodeFacts> {
        Some(facts(
            role,
            LeaderFacts { ha_enabled: true, is_self, applied: Some(5), ..LeaderFacts::default() },
        ))
    }

    /// Folds a run of claims and returns the believed role after each.
    fn run(claims: &[Option<Role>], rival: bool) -> Vec<Role> {
        let mut endpoint = endpoint("a");
        let now = Instant::now();
        let fold = |claim: &Option<Role>| {
            let facts = claim.and_then(|role| says(role, role == Role::Active));
            endpoint.probed(&report(now, facts), &settings(), rival);
            endpoint.role
        };
        claims.iter().map(fold).collect()
    }

    #[test]
    fn belief_table() {
        use Role::{Active, PerfStandby, Sealed, Standby, Unreachable};
        let (a, s, p, x) = (Some(Active), Some(Standby), Some(PerfStandby), Some(Sealed));
        assert_eq!(run(&[a, s], false), [Active, Standby], "loses writes at once");
        assert_eq!(run(&[s, a], false), [Standby, Active], "health and leader agree, no rival");
        assert_eq!(run(&[s, a, a], true), [Standby, Standby, Active], "a rival asks for two");
        assert_eq!(run(&[p, s, p], false), [PerfStandby; 3], "one transient 429 is no change");
        assert_eq!(run(&[p, s, s], false), [PerfStandby, PerfStandby, Standby]);
        assert_eq!(run(&[s, x], false), [Standby, Sealed], "sealed is believed at once");
        assert_eq!(run(&[x, s, s], false), [Sealed, Sealed, Standby], "unsealed is not");
        assert_eq!(run(&[s, None, None, s], false), [Standby, Standby, Unreachable, Standby]);
    }

    #[test]
    fn unsettled_while_answers_disagree() {
        let mut endpoint = endpoint("a");
        let now = Instant::now();
        for (claim, expected) in [
            (says(Role::Standby, false), false),
            (None, true),
            (says(Role::Standby, false), false),
            (says(Role::PerfStandby, false), true),
            (says(Role::PerfStandby, false), false),
        ] {
            endpoint.probed(&report(now, claim), &settings(), false);
            assert_eq!(endpoint.unsettled(&settings()), expected);
        }
    }

    #[test]
    fn healthy_threshold_counts_good_answers() {
        let mut endpoint = endpoint("a");
        let now = Instant::now();
        let careful = HealthCheck { healthy_threshold: 3, ..settings() };
        for _ in 0..2 {
            endpoint.probed(&report(now, None), &careful, false);
        }
        let roles: Vec<Role> = (0..3)
            .map(|_| {
                endpoint.probed(&report(now, says(Role::Standby, false)), &careful, false);
                endpoint.role
            })
            .collect();
        assert_eq!(roles, [Role::Unreachable, Role::Unreachable, Role::Standby]);
    }

    #[test]
    fn a_lower_index_resets_and_a_racing_one_does_not() {
        let mut endpoint = endpoint("a");
        let now = Instant::now();
        endpoint.live.raise_applied_index(9);
        endpoint.gate.passed = true;
        // A live answer raised the number to 9 after the probe (which had seen 0) was sent.
        endpoint.probed(&report(now, says(Role::Standby, false)), &settings(), false);
        assert_eq!((endpoint.live.applied_index(), endpoint.gate.passed), (9, true));
        let late = ProbeReport { live_before: 9, ..report(now, says(Role::Standby, false)) };
        endpoint.probed(&late, &settings(), false);
        assert_eq!((endpoint.live.applied_index(), endpoint.gate.passed), (5, false));
    }

    #[test]
    fn restart_and_upgrade_are_noticed() {
        let mut endpoint = endpoint("a");
        let now = Instant::now();
        endpoint.probed(&report(now, says(Role::Standby, false)), &settings(), false);
        endpoint.gate.passed = true;
        endpoint.capability = Capability::Yes;
        endpoint.dialect = Dialect::OpenBao;
        let mut other = says(Role::Standby, false).unwrap();
        other.version = Some("2.4.0".into());
        let again = ProbeReport { reconnected: true, ..report(now, Some(other)) };
        endpoint.probed(&again, &settings(), false);
        assert!(!endpoint.gate.passed);
        assert_eq!((endpoint.capability, endpoint.dialect), (Capability::Unknown, Dialect::None));
    }

    #[test]
    fn quota_answers_keep_the_capability_verdict() {
        let mut endpoint = endpoint("a");
        let now = Instant::now();
        for (answer, expected) in [
            (Some(Capability::Yes), Capability::Yes),
            (Some(Capability::Unknown), Capability::Yes),
            (None, Capability::Yes),
            (Some(Capability::No), Capability::No),
        ] {
            let report = ProbeReport { capability: answer, ..report(now, says(Role::Standby, false)) };
            endpoint.probed(&report, &settings(), false);
            assert_eq!(endpoint.capability, expected);
        }
    }

    #[test]
    fn catch_up_is_smoothed() {
        let mut endpoint = endpoint("a");
        endpoint.needed(Duration::from_micros(80_000));
        assert_eq!(endpoint.catch_up_us, 80_000);
        endpoint.needed(Duration::from_micros(40_000));
        assert_eq!(endpoint.catch_up_us, 70_000);
    }
}
