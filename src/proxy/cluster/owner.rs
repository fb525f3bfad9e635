//! The owner's task: waits for events, hands them to [`ClusterState`], publishes what follows and passes orders to
//! the probers. It decides nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock::Clock;
use crate::config::proxy::{ProxyConfig, Server};
use crate::net::tls::TlsError;
use crate::proxy::discovery::{self, Found};
use crate::proxy::health::{Orders, ProbeConnection, ProbeEvent, Prober, UpstreamIdentity};
use crate::proxy::metrics::ClusterCounters;
use crate::proxy::observation::Observation;
use crate::proxy::snapshot::{ServerId, Snapshot};

use super::state::ClusterState;
use super::status::{self, ClusterStatus};
use super::{ClusterCommand, UnknownServer};

/// How often time alone is looked at: ejections, grace and soft numbers.
const TICK: Duration = Duration::from_millis(50);
/// Catch-up times and moments alone are published at most this often.
const SOFT_PUBLISH: Duration = Duration::from_millis(250);
/// Observations handled in one go.
const BATCH: usize = 256;
/// Events of probers and discovery waiting for the owner; senders wait when it is full.
const MAX_EVENTS: usize = 256;

/// The task. Dropping it ends every prober.
#[derive(Debug)]
pub(super) struct Owner {
    state: ClusterState,
    published: Arc<ArcSwap<Snapshot>>,
    version: watch::Sender<u64>,
    published_at: Instant,
    observations: mpsc::Receiver<Observation>,
    commands: mpsc::Receiver<ClusterCommand>,
    identity: Option<UpstreamIdentity>,
    probers: Probers,
    found: (mpsc::Sender<Found>, mpsc::Receiver<Found>),
    discovery: JoinSet<()>,
}

/// The running probers and the channel their reports come in by.
#[derive(Debug)]
struct Probers {
    generation: u64,
    orders: Vec<watch::Sender<Orders>>,
    tasks: JoinSet<()>,
    events: (mpsc::Sender<ProberMessage>, mpsc::Receiver<ProberMessage>),
}

type ProberMessage = (u64, ServerId, ProbeEvent);
type Parts = (Owner, Arc<ArcSwap<Snapshot>>, watch::Receiver<u64>);

impl Owner {
    pub(super) fn new(
        config: Arc<ProxyConfig>,
        clock: Clock,
        counters: Arc<ClusterCounters>,
        observations: mpsc::Receiver<Observation>,
        commands: mpsc::Receiver<ClusterCommand>,
    ) -> Result<Parts, TlsError> {
        let now = Instant::now();
        let identity = identity(&config)?;
        let mut state = ClusterState::new(Arc::clone(&config), &config.cluster.servers, clock, counters, now);
        state.mounts_found(discovery::configured_mounts(&config.routing.mount_discovery));
        let published = Arc::new(ArcSwap::from_pointee(state.snapshot()));
        let (version, changed) = watch::channel(1);
        let owner = Self {
            state,
            published: Arc::clone(&published),
            version,
            published_at: now,
            observations,
            commands,
            identity,
            probers: Probers::new(),
            found: mpsc::channel(MAX_EVENTS),
            discovery: JoinSet::new(),
        };
        Ok((owner, published, changed))
    }

    /// Runs until every handle is gone.
    pub(super) async fn run(mut self) {
        self.start_tasks();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                Some(message) = self.probers.events.1.recv() => self.probe_event(&message),
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                seen = self.observations.recv_many(&mut batch, BATCH) => {
                    if seen == 0 {
                        return;
                    }
                    self.observations(&mut batch);
                }
                Some(found) = self.found.1.recv() => self.found(found),
                _ = tick.tick() => {
                    self.state.tick(Instant::now());
                    self.publish();
                }
            }
        }
    }

    fn start_tasks(&mut self) {
        self.probers.restart(&self.state, self.identity.as_ref());
        self.discovery = discovery::start(
            Arc::clone(&self.state.config),
            Arc::clone(&self.published),
            self.identity.clone(),
            self.found.0.clone(),
        );
    }

    fn probe_event(&mut self, (generation, server, event): &ProberMessage) {
        if *generation != self.probers.generation {
            return;
        }
        match event {
            ProbeEvent::Report(report) => self.state.probed(*server, report, Instant::now()),
            ProbeEvent::CaughtUp { took } => self.state.caught_up(*server, *took),
        }
        self.publish();
    }

    fn observations(&mut self, batch: &mut Vec<Observation>) {
        let now = Instant::now();
        for observation in batch.drain(..) {
            self.state.observed(&observation, now);
        }
        self.publish();
    }

    fn found(&mut self, found: Found) {
        match found {
            Found::Mounts(mounts) => self.state.mounts_found(mounts),
            Found::Servers(servers) => self.install(Arc::clone(&self.state.config), &servers),
        }
        self.publish_now();
    }

    fn command(&mut self, command: ClusterCommand) {
        let now = Instant::now();
        match command {
            ClusterCommand::Reload { config, done } => answer(done, self.reload(config)),
            ClusterCommand::AdminState { server, state, done } => {
                let known = self.state.set_admin(&server, state, now);
                answer(done, known.then_some(()).ok_or(UnknownServer(server)));
            }
            ClusterCommand::Weight { server, weight, done } => {
                let known = self.state.set_weight(&server, weight);
                answer(done, known.then_some(()).ok_or(UnknownServer(server)));
            }
            ClusterCommand::ProbeNow => self.state.hurry(now),
            ClusterCommand::ResetLearned => self.state.reset_learned(),
            ClusterCommand::Status { done } => answer(done, self.status(now)),
            ClusterCommand::Learned { done } => answer(done, self.state.learning.report()),
        }
        self.publish();
    }

    fn reload(&mut self, config: Arc<ProxyConfig>) -> Result<u64, TlsError> {
        self.identity = identity(&config)?;
        let servers = match &config.cluster.discovery {
            // The discovered servers stay until the name is looked up again.
            Some(_) if config.cluster.discovery == self.state.config.cluster.discovery => self.servers(),
            _ => config.cluster.servers.clone(),
        };
        self.state.mounts_found(discovery::configured_mounts(&config.routing.mount_discovery));
        self.install(config, &servers);
        self.publish_now();
        Ok(self.state.generation)
    }

    fn servers(&self) -> Vec<Server> {
        let server = |endpoint: &crate::proxy::endpoint::Endpoint| Server {
            name: endpoint.name.to_string(),
            address: (*endpoint.address).clone(),
            zone: endpoint.zone.as_deref().map(str::to_owned),
            weight: endpoint.weight,
        };
        self.state.endpoints.iter().map(server).collect()
    }

    /// Waiting observations name servers by their old position: they are dropped.
    fn install(&mut self, config: Arc<ProxyConfig>, servers: &[Server]) {
        while self.observations.try_recv().is_ok() {}
        let restart_discovery = *config != *self.state.config;
        self.state.install(config, servers, Instant::now());
        if restart_discovery {
            self.start_tasks();
        } else {
            self.probers.restart(&self.state, self.identity.as_ref());
        }
    }

    fn status(&self, now: Instant) -> ClusterStatus {
        status::of(&self.state, now)
    }

    /// Passes orders on, and publishes at once what routing depends on, the rest a few times a second.
    fn publish(&mut self) {
        self.probers.order(&self.state);
        let next = self.state.snapshot();
        let old = self.published.load();
        let soft = self.published_at.elapsed() >= SOFT_PUBLISH;
        let due = differs(&old, &next) || (soft && differs_softly(&old, &next));
        drop(old);
        if due {
            self.store(next);
        }
    }

    fn publish_now(&mut self) {
        self.probers.order(&self.state);
        self.store(self.state.snapshot());
    }

    fn store(&mut self, next: Snapshot) {
        self.published.store(Arc::new(next));
        self.published_at = Instant::now();
        self.version.send_modify(|version| *version += 1);
    }
}

/// Whoever asked may have gone away meanwhile; then nobody misses the answer.
fn answer<T>(done: oneshot::Sender<T>, value: T) {
    drop(done.send(value));
}

fn identity(config: &ProxyConfig) -> Result<Option<UpstreamIdentity>, TlsError> {
    let cluster = &config.cluster;
    let needed = cluster.servers.iter().any(|server| server.address.tls)
        || cluster.discovery.as_ref().is_some_and(|discovery| discovery.tls);
    if needed { UpstreamIdentity::load(cluster).map(Some) } else { Ok(None) }
}

/// Does anything differ that routing depends on?
fn differs(old: &Snapshot, new: &Snapshot) -> bool {
    old.generation != new.generation
        || old.active != new.active
        || old.cluster_id != new.cluster_id
        || old.cluster_name != new.cluster_name
        || old.epoch != new.epoch
        || !Arc::ptr_eq(&old.mounts, &new.mounts)
        || !Arc::ptr_eq(&old.learned, &new.learned)
        || old.servers.len() != new.servers.len()
        || old.servers.iter().zip(&new.servers).any(|(old, new)| {
            old.role != new.role
                || old.usable != new.usable
                || old.reads != new.reads
                || old.reads_reason != new.reads_reason
                || old.dialect != new.dialect
                || old.node_id != new.node_id
                || old.hostname != new.hostname
                || old.weight != new.weight
                || old.ready_since != new.ready_since
        })
}

fn differs_softly(old: &Snapshot, new: &Snapshot) -> bool {
    old.servers
        .iter()
        .zip(&new.servers)
        .any(|(old, new)| old.caught_up_to_ms != new.caught_up_to_ms || old.catch_up_us != new.catch_up_us)
}

// === impl Probers ===

impl Probers {
    fn new() -> Self {
        Self { generation: 0, orders: Vec::new(), tasks: JoinSet::new(), events: mpsc::channel(MAX_EVENTS) }
    }

    /// One prober per server; the old ones end, and reports of theirs still under way are ignored.
    fn restart(&mut self, state: &ClusterState, identity: Option<&UpstreamIdentity>) {
        self.tasks.abort_all();
        self.tasks = JoinSet::new();
        self.orders.clear();
        self.generation += 1;
        for (at, endpoint) in state.endpoints.iter().enumerate() {
            let id = super::decide::server_id(at);
            let (orders, receiver) = watch::channel(state.orders(id));
            let cluster = &state.config.cluster;
            let connection = ProbeConnection::new(
                &endpoint.address,
                identity,
                cluster.connections.connect_timeout,
                cluster.health_check.timeout,
            );
            let prober = Prober {
                server: id,
                generation: self.generation,
                settings: cluster.health_check.clone(),
                connection,
                live: Arc::clone(&endpoint.live),
                orders: receiver,
                events: self.events.0.clone(),
            };
            let _task: AbortHandle = self.tasks.spawn(prober.run());
            self.orders.push(orders);
        }
    }

    fn order(&self, state: &ClusterState) {
        for (at, sender) in self.orders.iter().enumerate() {
            let wanted = state.orders(super::decide::server_id(at));
            sender.send_if_modified(|current| {
                let news = *current != wanted;
                *current = wanted;
                news
            });
        }
    }
}
