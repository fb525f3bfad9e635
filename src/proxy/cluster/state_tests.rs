//! The owner's state driven event by event, without a socket or a clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decide_tests::config;
use super::state::ClusterState;
use crate::clock::Clock;
use crate::config::proxy::ProxyConfig;
use crate::proxy::endpoint::tests::{facts, report};
use crate::proxy::health::answer::{Capability, LeaderFacts};
use crate::proxy::health::{Pace, ProbeReport};
use crate::proxy::learn::ShapeKey;
use crate::proxy::metrics::Metrics;
use crate::proxy::observation::{FailureKind, Observation};
use crate::proxy::snapshot::{AdminState, Role, ServerId};

const A: ServerId = ServerId(0);
const B: ServerId = ServerId(1);
const C: ServerId = ServerId(2);

struct World {
    state: ClusterState,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let config = Arc::new(config(""));
        let servers = config.cluster.servers.clone();
        let counters = Metrics::default().cluster();
        Self { state: ClusterState::new(config, &servers, Clock::starting_at(now), counters, now), now }
    }

    /// `a` leads, everybody is at `index`, OpenBao.
    fn healthy() -> Self {
        let mut world = Self::new();
        world.round(A, 100);
        assert_eq!(world.reasons(), ["active", "ok", "ok"]);
        world
    }

    /// One probe of everybody, 1 s later. Asked in order, so the active is first when it is `a`.
    fn round(&mut self, leader: ServerId, index: u64) {
        self.pass(1_000);
        for id in [A, B, C] {
            self.probe(id, self.says(id, leader, index));
        }
    }

    fn says(&self, id: ServerId, leader: ServerId, index: u64) -> ProbeReport {
        let role = if id == leader { Role::Active } else { Role::Standby };
        let name = ["a", "b", "c"][leader.index()];
        let leader = LeaderFacts {
            ha_enabled: true,
            is_self: id == leader,
            leader_address: format!("http://{name}:8200").into(),
            committed: Some(index),
            applied: Some(index),
            ..LeaderFacts::default()
        };
        ProbeReport { capability: Some(Capability::Yes), ..report(self.now, Some(facts(role, leader))) }
    }

    fn probe(&mut self, id: ServerId, report: ProbeReport) {
        self.state.probed(id, &report, self.now);
    }

    fn down(&mut self, id: ServerId) {
        for _ in 0..self.config().cluster.health_check.unhealthy_threshold {
            self.probe(id, report(self.now, None));
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.state.tick(self.now);
    }

    fn see(&mut self, observation: Observation) -> bool {
        self.state.observed(&observation, self.now)
    }

    fn fail(&mut self, id: ServerId, times: u32) -> bool {
        (0..times).any(|_| self.see(Observation::Failure { server: id, kind: FailureKind::Reset }))
    }

    fn config(&self) -> ProxyConfig {
        (*self.state.config).clone()
    }

    fn active(&self) -> Option<ServerId> {
        self.state.snapshot().active
    }

    fn reasons(&self) -> Vec<&'static str> {
        self.state.snapshot().servers.iter().map(|server| server.reads_reason).collect()
    }
}

#[test]
fn nothing_is_known_at_first() {
    let world = World::new();
    let snapshot = world.state.snapshot();
    assert_eq!((snapshot.generation, snapshot.active, snapshot.cluster_id), (1, None, None));
    assert!(
        snapshot.servers.iter().all(|server| server.role == Role::Unknown && !server.reads && !server.usable)
    );
    assert!(snapshot.servers.iter().all(|server| server.ready_since.is_none()));
}

#[test]
fn a_failover_moves_the_writes_and_then_the_reads() {
    let mut world = World::healthy();
    world.down(A);
    assert_eq!(
        (world.active(), world.reasons()),
        (None, vec!["unreachable", "no_leader_grace", "no_leader_grace"])
    );
    world.pass(1_000);
    world.probe(B, world.says(B, B, 101));
    assert_eq!(world.active(), Some(B), "health and leader agree and nobody else claims it");
    assert_eq!(world.reasons(), ["unreachable", "active", "names_other_leader"]);
    assert_eq!(world.state.orders(C).pace, Pace::Fast);
    world.probe(C, world.says(C, B, 101));
    assert_eq!(world.reasons(), ["unreachable", "active", "ok"]);
    assert!(matches!(world.state.orders(A).pace, Pace::Down { .. }));
}

#[test]
fn an_answer_of_not_leader_stops_writes_and_asks_everybody() {
    let mut world = World::healthy();
    let before: Vec<u64> = [A, B, C].map(|id| world.state.orders(id).at_once).to_vec();
    assert!(world.see(Observation::NotLeader { server: A, leader_hint: Some("http://b:8200".into()) }));
    assert_eq!(world.active(), None);
    for (id, before) in [A, B, C].into_iter().zip(before) {
        assert_eq!(world.state.orders(id).at_once, before + 1);
        assert_eq!(world.state.orders(id).pace, Pace::Fast);
    }
    assert!(!world.see(Observation::NotLeader { server: B, leader_hint: None }), "it never was");
    // A hundred more within a moment ask no more than once per fast interval.
    let asked = world.state.orders(A).at_once;
    for _ in 0..100 {
        world.see(Observation::LeaderWanted);
    }
    assert_eq!(world.state.orders(A).at_once, asked);
    world.probe(A, world.says(A, A, 100));
    assert_eq!(world.active(), Some(A), "it was wrong: one answer sets it right");
}

#[test]
fn caught_up_moments_come_from_what_the_active_said_earlier() {
    let mut world = World::healthy();
    let first = world.state.snapshot().servers[1].caught_up_to_ms;
    assert_eq!(first, 1_000, "asked a at 1 s, b has it");
    world.pass(1_000);
    world.probe(A, world.says(A, A, 200));
    assert_eq!(world.state.snapshot().servers[1].caught_up_to_ms, 1_000, "b has not shown 200");
    world.state.endpoints[1].live.raise_applied_index(200);
    world.state.caught_up(B, Duration::from_millis(80));
    let b = &world.state.snapshot().servers[1];
    assert_eq!((b.caught_up_to_ms, b.catch_up_us), (2_000, 80_000));
}

#[test]
fn failures_eject_a_standby_within_the_share_and_a_probe_ends_it() {
    let mut world = World::healthy();
    let streak = world.config().cluster.outlier_detection.consecutive_failures;
    assert!(!world.fail(A, streak * 3), "the active is never ejected");
    assert!(!world.fail(B, streak - 1));
    world.see(Observation::Success { server: B });
    assert!(!world.fail(B, streak - 1));
    assert!(world.fail(B, 1));
    assert_eq!(world.reasons(), ["active", "ejected", "ok"]);
    assert!(!world.fail(C, streak * 2), "half of two is out already");
    world.pass(1_000);
    world.probe(B, world.says(B, A, 100));
    assert_eq!(world.reasons(), ["active", "ok", "ok"]);
    assert!(world.state.snapshot().servers[1].ready_since.is_some(), "slow start after an ejection");
}

#[test]
fn slow_start_follows_an_outage_and_no_mere_lag() {
    let mut world = World::healthy();
    world.down(B);
    world.pass(500);
    world.probe(B, world.says(B, A, 100));
    assert_eq!(world.state.snapshot().servers[1].ready_since, Some(world.now));
    world.probe(C, world.says(C, B, 100));
    assert_eq!(world.reasons()[2], "names_other_leader");
    world.probe(C, world.says(C, A, 100));
    assert_eq!((world.reasons()[2], world.state.snapshot().servers[2].ready_since), ("ok", None));
}

#[test]
fn another_cluster_behind_the_same_addresses_is_a_new_epoch() {
    let mut world = World::healthy();
    world.pass(1_000);
    for id in [A, B, C] {
        let mut report = world.says(id, A, 5);
        report.facts.as_mut().unwrap().cluster_id = Some("c2".into());
        report.live_before = 100;
        world.probe(id, report);
    }
    let snapshot = world.state.snapshot();
    assert_eq!((snapshot.epoch, snapshot.cluster_id.as_deref()), (1, Some("c2")));
    assert!(snapshot.servers.iter().all(|server| server.live.applied_index() == 5));
    assert_eq!(world.active(), Some(A));
}

#[test]
fn a_cluster_restored_to_an_earlier_index_is_a_new_epoch() {
    let mut world = World::healthy();
    for _ in 0..3 {
        assert_eq!(world.state.snapshot().epoch, 0);
        world.round(A, 30);
    }
    assert_eq!(world.state.snapshot().epoch, 1);
    world.round(A, 31);
    assert_eq!((world.state.snapshot().epoch, world.reasons()), (1, vec!["active", "ok", "ok"]));
}

#[test]
fn wanted_indexes_go_to_standbys_that_lack_them() {
    let mut world = World::healthy();
    world.state.endpoints[2].live.raise_applied_index(150);
    world.see(Observation::IndexWanted { index: 150 });
    let wanted = [A, B, C].map(|id| world.state.orders(id).wanted.map(|wanted| wanted.index));
    assert_eq!(wanted, [None, Some(150), None]);
}

#[test]
fn learned_shapes_are_published_and_reset() {
    let mut world = World::healthy();
    let shape = ShapeKey::of("", "plug/creds/x", crate::api::operation::Operation::Read);
    let samples = world.config().routing.learn.min_samples;
    let turned = (0..samples)
        .filter(|_| world.see(Observation::Forwarded { shape: shape.clone(), forwarded: true }))
        .count();
    assert!(turned > 0 && !world.state.snapshot().learned.is_empty());
    world.state.reset_learned();
    assert!(world.state.snapshot().learned.is_empty());
}

#[test]
fn a_reload_keeps_what_is_known_of_servers_that_stay() {
    let mut world = World::healthy();
    assert!(world.state.set_admin("c", AdminState::Drain, world.now));
    let config = Arc::clone(&world.state.config);
    let mut servers = config.cluster.servers.clone();
    servers.swap(0, 2);
    servers.remove(1);
    world.state.install(config, &servers, world.now);
    let snapshot = world.state.snapshot();
    assert_eq!(snapshot.generation, 2);
    let shown: Vec<_> = snapshot.servers.iter().map(|s| (&*s.name, s.role, s.reads_reason)).collect();
    assert_eq!(shown, [("c", Role::Standby, "drained"), ("a", Role::Active, "active")]);
    assert_eq!(snapshot.active, Some(ServerId(1)));
    assert!(!world.state.set_admin("b", AdminState::Ready, world.now));
}
