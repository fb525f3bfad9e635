//! Tables for `decide`: one line a cluster, one word a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decide::{Decision, Memory, Picture, decide, identity};
use super::history::History;
use crate::config::proxy::{ProxyConfig, StandbyReads};
use crate::proxy::endpoint::Endpoint;
use crate::proxy::endpoint::tests::{endpoint, facts};
use crate::proxy::health::answer::{Capability, LeaderFacts};
use crate::proxy::snapshot::{AdminState, Role, ServerId};

pub(super) fn config(extra: &str) -> ProxyConfig {
    let text = format!(
        "version: 1\nlisteners: [{{bind: \"127.0.0.1:1\"}}]\n{extra}cluster: {{servers: [{{name: a, address: \
         \"http://a:8200\"}}, {{name: b, address: \"http://b:8200\"}}, {{name: c, address: \"http://c:8200\"}}], \
         failover: {{read_without_leader_for: 10s}}}}\n"
    );
    let loaded = crate::config::load::parse(&text, "test.yaml");
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

/// A cluster under test. Servers are `a`, `b`, `c` at `http://<name>:8200`.
struct World {
    endpoints: Vec<Endpoint>,
    history: History,
    memory: Memory,
    config: ProxyConfig,
    start: Instant,
}

impl World {
    /// `a` active, the others fresh OpenBao standbys that name it.
    fn healthy() -> Self {
        let mut world = Self {
            endpoints: vec![endpoint("a"), endpoint("b"), endpoint("c")],
            history: History::default(),
            memory: Memory { cluster_id: Some("c1".into()), leader_seen: None },
            config: config(""),
            start: Instant::now(),
        };
        world.is(0, Role::Active, "a");
        world.is(1, Role::Standby, "a");
        world.is(2, Role::Standby, "a");
        world.history.record(world.start, 100);
        for standby in &mut world.endpoints {
            standby.capability = Capability::Yes;
            standby.live.raise_applied_index(100);
            standby.gate.answered_at = Some(world.start);
            standby.gate.caught_up_to = Some(world.start);
        }
        world
    }

    /// Vault Enterprise: performance standbys, which ignore the no-forward header.
    fn enterprise() -> Self {
        let mut world = Self::healthy();
        for at in 1..3 {
            world.is(at, Role::PerfStandby, "a");
            world.endpoints[at].capability = Capability::Unknown;
        }
        world
    }

    fn is(&mut self, at: usize, role: Role, names: &str) -> &mut Endpoint {
        let endpoint = &mut self.endpoints[at];
        endpoint.role = role;
        endpoint.asked = true;
        let leader = LeaderFacts {
            ha_enabled: true,
            is_self: role == Role::Active,
            leader_address: format!("http://{names}:8200").into(),
            committed: Some(100),
            applied: Some(100),
            ..LeaderFacts::default()
        };
        endpoint.facts = Some(facts(role, leader));
        endpoint
    }

    fn leader_facts(&mut self, at: usize) -> &mut LeaderFacts {
        self.endpoints[at].facts.as_mut().unwrap().leader.as_mut().unwrap()
    }

    fn cluster_id(&mut self, at: usize, id: &str) {
        self.endpoints[at].facts.as_mut().unwrap().cluster_id = Some(id.into());
    }

    fn at(&self, seconds: u64) -> Decision {
        let now = self.start + Duration::from_secs(seconds);
        let Self { endpoints, history, memory, config, .. } = self;
        decide(&Picture { endpoints, history, memory, config, now })
    }

    fn decide(&self) -> Decision {
        self.at(0)
    }
}

fn reasons(decision: &Decision) -> Vec<&'static str> {
    decision.verdicts.iter().map(|verdict| verdict.reason).collect()
}

fn reads(decision: &Decision) -> Vec<bool> {
    decision.verdicts.iter().map(|verdict| verdict.reads).collect()
}

fn active(decision: &Decision) -> Option<usize> {
    decision.active.map(ServerId::index)
}

#[test]
fn a_healthy_cluster_reads_everywhere() {
    for world in [World::healthy(), World::enterprise()] {
        let decision = world.decide();
        assert_eq!(active(&decision), Some(0));
        assert_eq!(reasons(&decision), ["active", "ok", "ok"]);
        assert_eq!(reads(&decision), [true; 3]);
        assert!(decision.verdicts.iter().all(|verdict| verdict.usable && verdict.gate_passed));
    }
}

#[test]
fn products_and_standby_reads() {
    use Capability::{No, Unknown, Yes};
    use StandbyReads::{Always, Auto, Never};
    for (setting, role, capability, expected) in [
        (Auto, Role::Standby, Yes, "ok"),                     // OpenBao >= 2.5
        (Auto, Role::Standby, No, "no_standby_reads"), // Vault CE, a mixed Enterprise cluster's 429, older
        (Auto, Role::Standby, Unknown, "capability_unknown"), // quota, or not asked yet
        (Auto, Role::PerfStandby, No, "ok"),           // 473 says it itself
        (Always, Role::Standby, No, "ok"),
        (Never, Role::Standby, Yes, "switched_off"),
        (Never, Role::PerfStandby, Yes, "switched_off"),
    ] {
        let mut world = World::healthy();
        world.config.routing.standby_reads = setting;
        world.is(1, role, "a").capability = capability;
        let decision = world.decide();
        assert_eq!(reasons(&decision)[1], expected, "{setting:?} {role:?} {capability:?}");
        assert_eq!(reads(&decision)[1], expected == "ok");
        assert!(decision.verdicts[1].usable, "any node can still be asked what any node can answer");
    }
}

#[test]
fn a_mixed_enterprise_cluster_reads_from_its_473_only() {
    let mut world = World::enterprise();
    world.is(2, Role::Standby, "a").capability = Capability::No;
    assert_eq!(reasons(&world.decide()), ["active", "ok", "no_standby_reads"]);
}

#[test]
fn unfit_roles_get_nothing() {
    for (role, expected) in [
        (Role::Sealed, "sealed"),
        (Role::Uninitialized, "uninitialized"),
        (Role::Unhealthy, "lost_active"), // 474
        (Role::Removed, "removed"),       // 530
        (Role::DrSecondary, "dr_secondary"),
        (Role::Unreachable, "unreachable"),
    ] {
        let mut world = World::enterprise();
        world.is(1, role, "a");
        let decision = world.decide();
        assert_eq!(reasons(&decision)[1], expected);
        assert!(!decision.verdicts[1].reads && !decision.verdicts[1].usable);
        assert_eq!(active(&decision), Some(0));
    }
}

#[test]
fn a_foreign_server_is_never_used() {
    let mut world = World::healthy();
    world.cluster_id(1, "other");
    let decision = world.decide();
    assert_eq!(decision.verdicts[1].role, Role::Foreign);
    assert_eq!(reasons(&decision)[1], "other_cluster");
    // Even when it claims to be active and ours has none.
    world.is(1, Role::Active, "b");
    world.cluster_id(1, "other");
    world.is(0, Role::Unreachable, "a");
    assert_eq!(active(&world.decide()), None);
    assert!(!world.decide().disputed);
}

#[test]
fn which_cluster_is_ours() {
    let ids = |list: &[Option<&str>]| -> Vec<Endpoint> {
        let mut world = World::healthy();
        for (at, id) in list.iter().enumerate() {
            match id {
                Some(id) => world.cluster_id(at, id),
                None => world.endpoints[at] = endpoint("x"),
            }
        }
        world.endpoints
    };
    let named = |list: &[Option<&str>], believed: Option<&str>| {
        let believed: Option<Arc<str>> = believed.map(Arc::from);
        let identity = identity(&ids(list), believed.as_ref());
        (identity.id.map(|id| id.to_string()), identity.replaced)
    };
    let is = |id: &str, replaced: bool| (Some(id.to_owned()), replaced);
    assert_eq!(
        named(&[Some("x"), None, None], None),
        (None, false),
        "one of three, the others not asked yet"
    );
    assert_eq!(named(&[Some("x"), Some("x"), None], None), is("x", false));
    assert_eq!(named(&[Some("y"), Some("x"), Some("x")], None), is("x", false));
    assert_eq!(
        named(&[Some("y"), Some("x"), Some("z")], None),
        is("y", false),
        "all asked, a tie: the first"
    );
    assert_eq!(named(&[Some("x"), Some("y"), None], Some("x")), is("x", false));
    assert_eq!(
        named(&[Some("x"), Some("y"), Some("y")], Some("x")),
        is("y", true),
        "a majority is another cluster"
    );
}

#[test]
fn nobody_is_trusted_before_the_cluster_is_known() {
    let mut world = World::healthy();
    world.memory.cluster_id = None;
    world.endpoints[1] = endpoint("b");
    world.endpoints[2] = endpoint("c");
    let decision = world.decide();
    assert_eq!((active(&decision), decision.verdicts[0].role), (None, Role::Unknown));
}

#[test]
fn two_claimants() {
    let time =
        |text: &str| time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok();
    let two = || {
        let mut world = World::healthy();
        world.is(1, Role::Active, "b");
        world
    };
    // c names b
    let mut world = two();
    world.is(2, Role::Standby, "b");
    assert_eq!(active(&world.decide()), Some(1));
    // c names a; the loser gets no reads either
    let decision = two().decide();
    assert_eq!((active(&decision), reasons(&decision)[1]), (Some(0), "disputed_leader"));
    // nobody else answers: the newer one
    let mut world = two();
    world.is(2, Role::Unreachable, "a");
    world.leader_facts(0).active_time = time("2026-11-22T19:08:05.5Z");
    world.leader_facts(1).active_time = time("2026-11-22T19:08:06Z");
    assert_eq!(active(&world.decide()), Some(1));
    // same moment: the further one
    world.leader_facts(1).active_time = time("2026-11-22T19:08:05.5Z");
    world.leader_facts(0).committed = Some(101);
    assert_eq!(active(&world.decide()), Some(0));
    // nothing tells them apart: writes are held, reads stop
    world.leader_facts(0).committed = Some(100);
    let decision = world.decide();
    assert_eq!((active(&decision), decision.disputed), (None, true));
    // the one that stopped answering does not count against the one that does
    world.endpoints[0].failures = 1;
    assert_eq!(active(&world.decide()), Some(1));
}

#[test]
fn leader_names() {
    // By its own words about itself: NAT, or an api_addr that is a load balancer's.
    let mut world = World::healthy();
    world.leader_facts(0).leader_address = "https://lb:443".into();
    world.leader_facts(1).leader_address = "https://lb:443".into();
    assert_eq!(reasons(&world.decide()), ["active", "ok", "ok"], "b by words, c by the configured address");
    // One api_addr for all: the cluster address tells.
    for at in 0..3 {
        world.leader_facts(at).leader_address = "https://lb:443".into();
        world.leader_facts(at).leader_cluster_address = "https://10.0.0.1:8201".into();
    }
    world.leader_facts(2).leader_cluster_address = "https://10.0.0.9:8201".into();
    assert_eq!(reasons(&world.decide()), ["active", "ok", "names_other_leader"]);
}

#[test]
fn the_gate_measures_lag() {
    for (applied, caught_up_s, expected) in [
        (100, 20, "ok"),
        (90, 17, "ok"),      // ten entries for 3 s
        (90, 10, "lagging"), // ten entries for 10 s
        (5_100, 20, "ok"),   // ahead of what the active said last
        (0, 20, "lagging"),  // 3000 entries: beyond the limit at once
    ] {
        let mut world = World::healthy();
        let committed = if applied == 0 { 3_000 } else { 100 };
        let now = world.start + Duration::from_secs(20);
        world.history.record(now, committed);
        let b = &mut world.endpoints[1];
        b.live.reset_applied_index(applied);
        b.gate.answered_at = Some(now);
        b.gate.caught_up_to = Some(world.start + Duration::from_secs(caught_up_s));
        assert_eq!(
            reasons(&world.at(20))[1],
            expected,
            "{applied} applied, even with the active at {caught_up_s} s"
        );
    }
}

#[test]
fn without_an_index_the_leader_must_be_named() {
    let mut world = World::healthy();
    world.history.clear();
    assert_eq!(reasons(&world.decide()), ["active", "ok", "ok"], "PostgreSQL storage: no numbers");
    world.leader_facts(1).leader_address = "http://c:8200".into();
    assert_eq!(reasons(&world.decide())[1], "names_other_leader");
}

#[test]
fn old_words_open_no_gate() {
    let mut world = World::healthy();
    assert_eq!(reasons(&world.at(60)), ["active", "leader_answer_old", "leader_answer_old"]);
    world.config.cluster.health_check.leader_probe = false;
    assert_eq!(reasons(&world.at(60)), ["active", "ok", "ok"], "the operator does without");
}

#[test]
fn reads_without_a_leader_end() {
    let mut world = World::healthy();
    world.is(0, Role::Unreachable, "a");
    world.memory.leader_seen = Some(world.start);
    world.endpoints[1].gate.passed = true;
    for (second, b, c) in [
        (0, "no_leader_grace", "no_leader"),
        (10, "no_leader_grace", "no_leader"),
        (11, "no_leader", "no_leader"),
    ] {
        assert_eq!(
            reasons(&world.at(second))[1..],
            [b, c],
            "{second} s; c has not passed the gate since it started"
        );
    }
    world.config.cluster.failover.read_without_leader = false;
    assert_eq!(reasons(&world.at(0))[1], "no_leader");
    world.config.cluster.failover.read_without_leader = true;
    world.memory.leader_seen = None;
    assert_eq!(reasons(&world.at(0))[1], "no_leader", "never seen one");
}

#[test]
fn the_operator_and_ejection() {
    let mut world = World::healthy();
    world.endpoints[0].admin = AdminState::Drain;
    world.endpoints[1].admin = AdminState::Drain;
    let settings = world.config.cluster.outlier_detection.clone();
    world.endpoints[2].outlier.eject(&settings, world.start);
    world.endpoints[0].outlier.eject(&settings, world.start);
    let decision = world.decide();
    assert_eq!(reasons(&decision), ["drained", "drained", "ejected"]);
    assert_eq!(
        active(&decision),
        Some(0),
        "only it can write: drain keeps the writes, ejection does not touch it"
    );
    world.endpoints[0].admin = AdminState::Maint;
    assert_eq!(active(&world.decide()), None);
    assert_eq!(reasons(&world.at(3_600))[2], "no_leader");
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn role() -> impl Strategy<Value = Role> {
        prop::sample::select(vec![
            Role::Active,
            Role::Standby,
            Role::PerfStandby,
            Role::Sealed,
            Role::Unhealthy,
            Role::Unreachable,
            Role::Unknown,
            Role::DrSecondary,
        ])
    }

    fn admin() -> impl Strategy<Value = AdminState> {
        prop::sample::select(vec![AdminState::Ready, AdminState::Ready, AdminState::Drain, AdminState::Maint])
    }

    proptest! {
        #[test]
        fn whatever_the_servers_say(
            servers in prop::collection::vec((role(), admin(), 0_usize..3, any::<bool>(), 0_u64..200, any::<bool>()), 3),
            known in any::<bool>(),
            second in 0_u64..30,
        ) {
            let mut world = World::healthy();
            for (at, (role, admin, names, foreign, applied, ejected)) in servers.iter().enumerate() {
                let endpoint = world.is(at, *role, ["a", "b", "c"][*names]);
                endpoint.admin = *admin;
                endpoint.live.reset_applied_index(*applied);
                if *ejected {
                    let settings = config("").cluster.outlier_detection;
                    let start = world.start;
                    world.endpoints[at].outlier.eject(&settings, start);
                }
                if *foreign {
                    world.cluster_id(at, "other");
                }
            }
            if !known {
                world.memory.cluster_id = None;
            }
            let decision = world.at(second);
            if let Some(id) = decision.active {
                let verdict = decision.verdicts[id.index()];
                prop_assert_eq!(verdict.role, Role::Active);
                prop_assert!(world.endpoints[id.index()].admin != AdminState::Maint);
                prop_assert!(!decision.disputed);
                prop_assert_ne!(verdict.reason, "ejected");
            }
            for (at, verdict) in decision.verdicts.iter().enumerate() {
                prop_assert!(!verdict.reads || verdict.usable, "reads where nothing may be asked: {verdict:?}");
                prop_assert!(!verdict.usable || world.endpoints[at].admin == AdminState::Ready);
                prop_assert!(verdict.role != Role::Foreign || !verdict.usable);
                let leads = decision.active.is_some_and(|id| id.index() == at);
                prop_assert!(!(verdict.reads && verdict.role == Role::Active) || leads, "one active reads at most");
                prop_assert!(!verdict.gate_passed || decision.active.is_some());
            }
        }
    }
}
