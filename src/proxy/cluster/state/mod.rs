//! Everything the cluster owner knows, and how each event changes it. No channel, no clock, no socket: events come in
//! with their moment, [`ClusterState::snapshot`] and [`ClusterState::orders`] say what follows. `owner` runs it.

mod observed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::mount::MountTable;
use crate::clock::Clock;
use crate::config::proxy::{ProxyConfig, Server};
use crate::proxy::endpoint::{Endpoint, is_serving};
use crate::proxy::health::{Orders, Pace, ProbeReport};
use crate::proxy::learn::{Learned, LearningTree};
use crate::proxy::metrics::ClusterCounters;
use crate::proxy::snapshot::{AdminState, Role, ServerId, ServerView, Snapshot};

use super::decide::{self, Decision, Memory, Picture, Verdict};
use super::history::History;

/// A cluster without leader is probed fast for this long, then at the ordinary pace until somebody asks.
const FAST_WITHOUT_LEADER: Duration = Duration::from_secs(60);
/// Learned evidence is swept this often.
const DECAY_EVERY: Duration = Duration::from_secs(10);

/// The owner's state.
#[derive(Debug)]
pub struct ClusterState {
    pub(super) config: Arc<ProxyConfig>,
    pub(super) generation: u64,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) decision: Decision,
    pub(super) memory: Memory,
    pub(super) epoch: u64,
    pub(super) learning: LearningTree,
    clock: Clock,
    counters: Arc<ClusterCounters>,
    history: History,
    slots: Vec<Slot>,
    last_leader: Option<Arc<str>>,
    learned: Arc<Learned>,
    /// Evidence that workers should know of soon.
    learned_anew: bool,
    mounts: Arc<MountTable>,
    cluster_name: Option<Arc<str>>,
    urgent_until: Option<Instant>,
    leaderless_since: Option<Instant>,
    settled_at: Instant,
    decayed_at: Instant,
}

/// What the owner keeps beside each endpoint.
#[derive(Debug, Clone, Default)]
struct Slot {
    orders: Orders,
    kicked_at: Option<Instant>,
    /// Served reads at some time in this process.
    was_ready: bool,
    /// Has been really out since (not just behind for a moment): slow start is due.
    was_out: bool,
    ready_since: Option<Instant>,
}

impl ClusterState {
    #[must_use]
    pub fn new(
        config: Arc<ProxyConfig>,
        servers: &[Server],
        clock: Clock,
        counters: Arc<ClusterCounters>,
        now: Instant,
    ) -> Self {
        let mut state = Self {
            generation: 0,
            endpoints: Vec::new(),
            decision: Decision {
                active: None,
                disputed: false,
                cluster: decide::Identity::default(),
                verdicts: vec![],
            },
            memory: Memory::default(),
            epoch: 0,
            learning: LearningTree::new(&config.routing.learn),
            clock,
            counters,
            history: History::default(),
            slots: Vec::new(),
            last_leader: None,
            learned: Arc::default(),
            learned_anew: false,
            mounts: Arc::default(),
            cluster_name: None,
            urgent_until: None,
            leaderless_since: Some(now),
            settled_at: now,
            decayed_at: now,
            config: Arc::clone(&config),
        };
        state.install(config, servers, now);
        state
    }

    /// A new configuration or a new list of servers: the next generation. What is known of a server that stays
    /// (same name and address) stays known.
    pub fn install(&mut self, config: Arc<ProxyConfig>, servers: &[Server], now: Instant) {
        let mut old: Vec<(Endpoint, Slot)> =
            self.endpoints.drain(..).zip(std::mem::take(&mut self.slots)).collect();
        for server in servers {
            let kept = old
                .iter()
                .position(|(known, _)| *known.name == *server.name && *known.address == server.address);
            let (mut endpoint, slot) = match kept {
                Some(at) => old.swap_remove(at),
                None => (Endpoint::new(server), Slot::default()),
            };
            endpoint.weight = server.weight;
            endpoint.zone = server.zone.as_deref().map(Arc::from);
            self.endpoints.push(endpoint);
            self.slots.push(Slot { orders: Orders::default(), ..slot });
        }
        self.counters.place_servers(self.endpoints.iter().map(|endpoint| &*endpoint.name));
        self.learning.configure(&config.routing.learn, now);
        self.publish_learned();
        self.config = config;
        self.generation += 1;
        self.decision.verdicts.clear();
        self.settle(now);
    }

    /// The mount list is known anew.
    pub fn mounts_found(&mut self, mounts: MountTable) {
        self.mounts = Arc::new(mounts);
    }

    /// A probe ended.
    pub fn probed(&mut self, id: ServerId, report: &ProbeReport, now: Instant) {
        let at = id.index();
        let rival = self.decision.active.is_some_and(|active| active != id);
        let Some(endpoint) = self.endpoints.get_mut(at) else { return };
        self.counters.checked(id, report.result, report.ended - report.began);
        let change = endpoint.probed(report, &self.config.cluster.health_check, rival);
        if let Some(role) = change.role {
            let (name, role) = (&endpoint.name, role_word(role));
            tracing::info!(server = %name, role, "a server's role changed");
        }
        self.note_progress(at, report);
        self.settle(now);
    }

    /// A standby showed a chased index.
    pub fn caught_up(&mut self, id: ServerId, took: Duration) {
        if let Some(endpoint) = self.endpoints.get_mut(id.index()) {
            endpoint.needed(took);
            let covered = self.history.covered(endpoint.live.applied_index());
            covered.into_iter().for_each(|moment| endpoint.caught_up(moment));
        }
    }

    /// The operator's word. False: no such server.
    pub fn set_admin(&mut self, name: &str, state: AdminState, now: Instant) -> bool {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| *endpoint.name == *name) else {
            return false;
        };
        endpoint.admin = state;
        self.settle(now);
        true
    }

    /// The operator's weight, until the next reload. False: no such server.
    pub fn set_weight(&mut self, name: &str, weight: u32) -> bool {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| *endpoint.name == *name) else {
            return false;
        };
        endpoint.weight = weight;
        true
    }

    /// Everything learned is forgotten.
    pub fn reset_learned(&mut self) {
        self.learning.reset();
        self.publish_learned();
    }

    fn publish_learned(&mut self) {
        self.learned_anew = false;
        self.learned = self.learning.publish();
    }

    /// Lets time pass: ejections end, grace ends, evidence decays. True when the picture may have changed.
    pub fn tick(&mut self, now: Instant) {
        for endpoint in &mut self.endpoints {
            if endpoint.outlier.expire(now) {
                tracing::info!(server = %endpoint.name, "an ejection ended");
            }
        }
        if now.duration_since(self.decayed_at) >= DECAY_EVERY {
            self.decayed_at = now;
            self.learned_anew |= self.learning.decay(now);
        }
        if self.learned_anew {
            self.publish_learned();
        }
        self.settle(now);
    }

    /// What the prober of each server is to do.
    #[must_use]
    pub fn orders(&self, id: ServerId) -> Orders {
        self.slots.get(id.index()).map(|slot| slot.orders).unwrap_or_default()
    }

    /// The picture for the workers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            generation: self.generation,
            config: Arc::clone(&self.config),
            servers: (0..self.endpoints.len()).map(|at| self.view(at)).collect(),
            active: self.decision.active,
            cluster_id: self.decision.cluster.id.clone(),
            cluster_name: self.cluster_name.clone(),
            mounts: Arc::clone(&self.mounts),
            learned: Arc::clone(&self.learned),
            epoch: self.epoch,
        }
    }

    fn view(&self, at: usize) -> ServerView {
        let endpoint = &self.endpoints[at];
        let verdict = self.decision.verdicts[at];
        ServerView {
            id: decide::server_id(at),
            name: Arc::clone(&endpoint.name),
            address: Arc::clone(&endpoint.address),
            zone: endpoint.zone.clone(),
            weight: endpoint.weight,
            role: verdict.role,
            usable: verdict.usable,
            reads: verdict.reads,
            reads_reason: verdict.reason,
            dialect: endpoint.dialect,
            node_id: endpoint.node_id.clone(),
            hostname: endpoint.hostname.clone(),
            ready_since: self.slots[at].ready_since,
            caught_up_to_ms: endpoint.gate.caught_up_to.map_or(0, |moment| self.clock.ms(moment)),
            catch_up_us: endpoint.catch_up_us,
            live: Arc::clone(&endpoint.live),
        }
    }

    /// Decides anew and remembers what the next decision needs.
    pub fn settle(&mut self, now: Instant) {
        let picture = Picture {
            endpoints: &self.endpoints,
            history: &self.history,
            memory: &self.memory,
            config: &self.config,
            now,
        };
        let decision = decide::decide(&picture);
        let before = std::mem::replace(&mut self.decision, decision);
        self.note_cluster();
        self.note_leader(before.active, now);
        for at in 0..self.endpoints.len() {
            self.note_server(at, before.verdicts.get(at), now);
        }
        for at in 0..self.endpoints.len() {
            self.slots[at].orders.pace = self.pace(at, now);
        }
    }

    fn note_cluster(&mut self) {
        let cluster = &self.decision.cluster;
        self.memory.cluster_id.clone_from(&cluster.id);
        if cluster.replaced {
            tracing::warn!(id = ?cluster.id, "the servers belong to another cluster now: every floor is void");
            self.history = History::default();
            self.enter_epoch();
        }
        let named = self.decision.active.and_then(|id| self.endpoints[id.index()].facts.as_ref());
        if let Some(name) = named.and_then(|facts| facts.cluster_name.clone()) {
            self.cluster_name = Some(name);
        }
    }

    /// Indexes handed out so far mean nothing any more.
    fn enter_epoch(&mut self) {
        self.epoch += 1;
        for endpoint in &mut self.endpoints {
            let applied = endpoint.leader().and_then(|leader| leader.applied).unwrap_or(0);
            endpoint.live.reset_applied_index(applied);
            endpoint.gate.caught_up_to = None;
        }
    }

    fn note_leader(&mut self, before: Option<ServerId>, now: Instant) {
        let passed = now.saturating_duration_since(self.settled_at);
        self.settled_at = now;
        let Some(id) = self.decision.active else {
            self.counters.without_leader(passed);
            self.leaderless_since.get_or_insert(now);
            if before.is_some() {
                tracing::warn!(disputed = self.decision.disputed, "no active node is known: writes are held");
            }
            return;
        };
        let active = &self.endpoints[id.index()];
        self.leaderless_since = None;
        if active.failures == 0 {
            self.memory.leader_seen = active.last_check.map(|check| check.at).max(self.memory.leader_seen);
        }
        if self.last_leader.as_ref() != Some(&active.name) {
            if self.last_leader.is_some() {
                self.counters.leader_changed();
            }
            tracing::info!(server = %active.name, "the active node");
            self.last_leader = Some(Arc::clone(&active.name));
            self.history.clear();
            self.restart_history(id);
        }
    }

    /// The new leader's own last answer is the first sample of its history.
    fn restart_history(&mut self, id: ServerId) {
        let active = &self.endpoints[id.index()];
        let committed = active.leader().and_then(|leader| leader.committed);
        if let (Some(committed), Some(check)) = (committed, active.last_check) {
            self.active_said(committed, check.at - check.took);
        }
    }

    /// The active named its committed index when asked at this moment.
    fn active_said(&mut self, committed: u64, asked_at: Instant) {
        if self.history.has_gone_back(committed) {
            tracing::warn!(committed, "the cluster has gone back to an earlier index: every floor is void");
            self.enter_epoch();
        }
        self.history.record(asked_at, committed);
    }

    fn note_server(&mut self, at: usize, before: Option<&Verdict>, now: Instant) {
        let verdict = self.decision.verdicts[at];
        let (endpoint, slot) = (&mut self.endpoints[at], &mut self.slots[at]);
        if before.is_some_and(|before| before.role != verdict.role) {
            self.counters.role_changed(decide::server_id(at), verdict.role);
        }
        self.counters.lag(decide::server_id(at), verdict.lag.time);
        endpoint.gate.passed |= verdict.gate_passed;
        slot.was_out |= slot.was_ready && is_out(&verdict, endpoint.admin);
        if verdict.reads && slot.was_out {
            slot.ready_since = Some(now);
            slot.was_out = false;
        }
        slot.was_ready |= verdict.reads;
    }

    /// Which probe pace this server needs now.
    fn pace(&self, at: usize, now: Instant) -> Pace {
        let endpoint = &self.endpoints[at];
        let urgent = self.urgent_until.is_some_and(|until| now < until) && self.decision.active.is_none();
        let leaderless = self.leaderless_since.is_some_and(|since| now - since < FAST_WITHOUT_LEADER);
        let confused = self.decision.verdicts[at].reason == "names_other_leader";
        if urgent || endpoint.unsettled(&self.config.cluster.health_check) || confused {
            Pace::Fast
        } else if endpoint.role == Role::Unreachable {
            Pace::Down { failures: endpoint.failures }
        } else if leaderless && is_serving(endpoint.role) {
            Pace::Fast
        } else {
            Pace::Steady
        }
    }

    fn note_progress(&mut self, at: usize, report: &ProbeReport) {
        let leader = report.facts.as_ref().and_then(|facts| facts.leader.as_ref());
        let is_active = self.decision.active == Some(decide::server_id(at));
        if let Some(committed) = leader.and_then(|leader| leader.committed).filter(|_| is_active) {
            self.active_said(committed, report.began);
        }
        for endpoint in &mut self.endpoints {
            if let Some(moment) = self.history.covered(endpoint.live.applied_index()) {
                endpoint.caught_up(moment);
            }
        }
    }
}

/// Out for a reason after which a server should be loaded slowly again.
fn is_out(verdict: &Verdict, admin: AdminState) -> bool {
    !is_serving(verdict.role) || admin != AdminState::Ready || verdict.reason == "ejected"
}

/// The role's word in logs, status and metrics.
#[must_use]
pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::Active => "active",
        Role::Standby => "standby",
        Role::PerfStandby => "perf_standby",
        Role::DrSecondary => "dr_secondary",
        Role::Sealed => "sealed",
        Role::Uninitialized => "uninitialized",
        Role::Unhealthy => "unhealthy",
        Role::Removed => "removed",
        Role::Foreign => "foreign",
        Role::Unreachable => "unreachable",
        Role::Unknown => "unknown",
    }
}
