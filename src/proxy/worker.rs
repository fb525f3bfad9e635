//! One worker: a thread with its own runtime, sockets, pools and counters. It owns everything below `Rc`; what it
//! shares with other workers is in [`Shared`], and none of that is written per request in the steady state.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use slab::Slab;
use tokio::sync::{mpsc, watch};

use crate::config::proxy::{ProxyConfig, ServerAddress};
use crate::index::encode_openbao;
use crate::net::client::{Target, TlsTarget};
use crate::net::listener::{Acceptor, Address, Bound};
use crate::net::pool::{Pool, PoolLimits};
use crate::net::serve::{Command as ConnectionCommand, ConnectionState, Deadlines, Overdue, Phase};
use crate::net::tls;

use super::access_log::AccessLog;
use super::affinity::Sessions;
use super::attempts::Attempts;
use super::balance::{Load, score_millionths};
use super::client::{self, Listener};
use super::cluster::ClusterHandle;
use super::decisions::{Malformed, WorkerDecisions};
use super::first_touch::FirstTouch;
use super::metrics::label::{ConnectionState as Upstreamed, Dropped, Rejected};
use super::metrics::{ServerSlot, WorkerMetrics};
use super::mount_change::MountChanges;
use super::observation::Observation;
use super::observe::SeenIndex;
use super::rules::CompiledRules;
use super::snapshot::{Role, ServerId, ServerView, Snapshot};
use super::spare_maps::SpareMaps;

/// How often deadlines are looked at: a timeout is late by at most this.
const TICK: Duration = Duration::from_millis(50);
/// Every how many ticks connections and pools are swept.
const SWEEP_EVERY: u32 = 10;
/// During a drain, a connection that stays idle this long is closed: an active client has come back by then and
/// was told to close in its answer.
const DRAIN_IDLE_MS: u64 = 1000;

/// What all workers of the process share.
#[derive(Debug)]
pub struct Shared {
    pub cluster: ClusterHandle,
    pub sessions: Sessions,
    pub mount_changes: MountChanges,
    pub first_touch: FirstTouch,
    pub malformed: Arc<Malformed>,
    /// How to speak TLS to servers; replaced as a whole by a reload, before the snapshot of that reload.
    pub upstream_tls: ArcSwapOption<rustls::ClientConfig>,
    /// Client connections of all listeners.
    pub connections: AtomicUsize,
    pub workers: usize,
    pub started: Instant,
}

/// What the control thread tells a worker.
#[derive(Debug)]
pub enum Command {
    /// Accept on these sockets (or only take the new settings of a listener that is open already).
    Listen {
        listener: Box<Listener>,
        /// All addresses it listens on from now; others it had are given up.
        addresses: Vec<Address>,
        /// Those of them that are new.
        bound: Vec<(Address, Bound)>,
    },
    /// Stop accepting on a listener that a reload removed; its connections finish.
    Close { name: String },
    /// Stop accepting, finish what runs, cut the rest at the deadline; the worker ends then.
    Drain { deadline: Instant },
    /// The access log was reopened or reconfigured.
    AccessLog(Option<AccessLog>),
}

/// One worker.
#[derive(Debug)]
pub struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: WorkerMetrics,
    pub(super) decisions: WorkerDecisions,
    pub(super) access_log: RefCell<Option<AccessLog>>,
    pub(super) attempts: Attempts,
    /// Requests being answered, and how many of their attempts are repetitions: the retry budget.
    pub(super) requests: Cell<u32>,
    pub(super) retries: Cell<u32>,
    /// Requests waiting for a leader.
    pub(super) held: Cell<usize>,
    pub(super) rng: RefCell<fastrand::Rng>,
    pub(super) turn: Cell<u64>,
    pub(super) clock: Arc<AtomicU64>,
    connections: RefCell<Slab<Watch>>,
    listeners: RefCell<Vec<Listening>>,
    view: RefCell<Rc<View>>,
    index_header: RefCell<Option<(u64, HeaderValue)>>,
    /// The last index header seen and what it said.
    pub(super) last_index: RefCell<Option<(HeaderValue, Option<SeenIndex>)>>,
    /// `net::boxes::Boxes` for the futures of requests, whose type has no name.
    pub(super) request_boxes: OnceCell<Rc<dyn Any>>,
    /// Header maps of requests that are done, for the next answers.
    pub(super) spare_maps: SpareMaps,
    /// For path templates, so that writing one allocates nothing.
    pub(super) scratch: RefCell<String>,
    draining: watch::Sender<bool>,
}

/// A client connection as the sweeper sees it.
#[derive(Debug)]
struct Watch {
    state: Arc<ConnectionState>,
    deadlines: Deadlines,
    listener: super::metrics::ListenerSlot,
}

#[derive(Debug)]
struct Listening {
    name: String,
    settings: Rc<RefCell<Rc<Listener>>>,
    accepting: Vec<(Address, tokio::task::AbortHandle)>,
}

/// A snapshot with this worker's own pools beside it. Requests hold one for as long as they run.
#[derive(Debug)]
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) rules: Rc<CompiledRules>,
    pub(super) upstreams: Vec<Rc<Upstream>>,
}

/// One server as this worker reaches it.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) pool: Rc<Pool>,
    pub(super) slot: ServerSlot,
    /// `host:port` for the `Host` header.
    pub(super) host: String,
    pub(super) name: HeaderValue,
    pub(super) in_flight: Cell<u32>,
    /// Peak-EWMA of answer times, microseconds.
    pub(super) ewma_us: Cell<u64>,
    key: UpstreamKey,
}

/// What makes two upstreams the same: then a reload keeps the pool.
#[derive(Debug, Clone)]
struct UpstreamKey {
    /// Its counters and its name in answers belong to a place in the configuration.
    id: ServerId,
    name: Arc<str>,
    address: Arc<ServerAddress>,
    tls: Option<Arc<rustls::ClientConfig>>,
    limits: PoolLimits,
    connect_timeout: Duration,
}

/// Runs a worker on the calling thread until it has drained.
///
/// # Errors
/// The thread's runtime cannot be made.
pub fn run(
    shared: Arc<Shared>,
    metrics: WorkerMetrics,
    decisions: WorkerDecisions,
    commands: mpsc::Receiver<Command>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        let worker = Rc::new(Worker::new(shared, metrics, decisions));
        worker.metrics.runs_here();
        worker.main_loop(commands).await;
    });
    Ok(())
}

// === impl Worker ===

impl Worker {
    fn new(shared: Arc<Shared>, metrics: WorkerMetrics, decisions: WorkerDecisions) -> Self {
        let snapshot = shared.cluster.snapshot.load_full();
        let clock = Arc::new(AtomicU64::new(1));
        let view = View::new(snapshot, &shared, &metrics, None);
        Self {
            shared,
            metrics,
            decisions,
            access_log: RefCell::default(),
            attempts: Attempts::default(),
            requests: Cell::new(0),
            retries: Cell::new(0),
            held: Cell::new(0),
            rng: RefCell::new(fastrand::Rng::new()),
            turn: Cell::new(0),
            clock,
            connections: RefCell::default(),
            listeners: RefCell::default(),
            view: RefCell::new(Rc::new(view)),
            index_header: RefCell::default(),
            last_index: RefCell::default(),
            request_boxes: OnceCell::new(),
            spare_maps: SpareMaps::default(),
            scratch: RefCell::default(),
            draining: watch::Sender::new(false),
        }
    }

    async fn main_loop(self: &Rc<Self>, mut commands: mpsc::Receiver<Command>) {
        let mut changed = self.shared.cluster.changed.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        let mut deadline: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Drain { deadline: until }) => { deadline = Some(until); self.start_drain(); }
                    Some(command) => self.obey(command),
                    None => return,
                },
                result = changed.changed() => {
                    if result.is_err() { return; }
                    self.refresh();
                }
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.tick(ticks);
                    if deadline.is_some_and(|until| self.drained(until)) { return; }
                }
            }
        }
    }

    fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Listen { listener, addresses, bound } => self.listen(*listener, &addresses, bound),
            Command::Close { name } => self.close(&name),
            Command::AccessLog(log) => *self.access_log.borrow_mut() = log,
            Command::Drain { .. } => self.start_drain(),
        }
    }

    fn listen(self: &Rc<Self>, listener: Listener, addresses: &[Address], bound: Vec<(Address, Bound)>) {
        let mut listeners = self.listeners.borrow_mut();
        let at = listeners.iter().position(|open| open.name == listener.config.name);
        let at = at.unwrap_or_else(|| {
            let settings = Rc::new(RefCell::new(Rc::new(listener.clone())));
            listeners.push(Listening { name: listener.config.name.clone(), settings, accepting: Vec::new() });
            listeners.len() - 1
        });
        let open = &mut listeners[at];
        *open.settings.borrow_mut() = Rc::new(listener);
        open.accepting.retain(|(address, accepting)| {
            let stays = addresses.contains(address);
            if !stays {
                accepting.abort();
            }
            stays
        });
        for (address, socket) in bound {
            match socket.into_acceptor() {
                Ok(acceptor) => {
                    let accepting = self.accept_on(acceptor, &open.settings);
                    open.accepting.push((address, accepting));
                }
                Err(error) => {
                    tracing::error!(%error, listener = %open.name, "cannot accept on a bound socket")
                }
            }
        }
    }

    fn accept_on(
        self: &Rc<Self>,
        acceptor: Acceptor,
        settings: &Rc<RefCell<Rc<Listener>>>,
    ) -> tokio::task::AbortHandle {
        let (worker, settings) = (Rc::clone(self), Rc::clone(settings));
        tokio::task::spawn_local(async move { client::accept_loop(worker, acceptor, settings).await })
            .abort_handle()
    }

    fn close(&self, name: &str) {
        self.listeners.borrow_mut().retain(|open| {
            if open.name == name {
                open.accepting.iter().for_each(|(_, accepting)| accepting.abort());
            }
            open.name != name
        });
    }

    // --- snapshot ---

    /// The picture requests work from.
    pub(super) fn view(&self) -> Rc<View> {
        Rc::clone(&self.view.borrow())
    }

    fn refresh(&self) {
        let snapshot = self.shared.cluster.snapshot.load_full();
        self.shared.sessions.enter_epoch(snapshot.epoch);
        if let Some(active) = snapshot.active_server() {
            self.shared.sessions.seed_global(active.live.applied_index());
        }
        let old = self.view();
        let new = View::new(snapshot, &self.shared, &self.metrics, Some(&old));
        if old.snapshot.cluster_id != new.snapshot.cluster_id {
            *self.index_header.borrow_mut() = None;
            *self.last_index.borrow_mut() = None;
        }
        for server in &old.snapshot.servers {
            let now = new.snapshot.servers.iter().find(|now| now.name == server.name);
            // A drained server finishes what it has.
            if server.usable && !now.is_some_and(|now| serves(now.role)) {
                self.attempts.server_lost(server.id);
            }
            if server.usable
                && !now.is_some_and(|now| now.usable)
                && let Some(upstream) = old.upstreams.get(server.id.index())
            {
                upstream.pool.clear_idle();
            }
        }
        *self.view.borrow_mut() = Rc::new(new);
    }

    /// Tells the cluster owner; a full channel drops it, because the next probe sees the same.
    pub(super) fn observe(&self, observation: Observation) {
        if self.shared.cluster.observe.try_send(observation).is_err() {
            self.metrics.dropped(Dropped::Observation);
        }
    }

    /// The index header for a floor, encoded once for as long as the floor stays.
    pub(super) fn index_header(&self, cluster: &str, floor: u64) -> Option<HeaderValue> {
        let mut cached = self.index_header.borrow_mut();
        if let Some((known, value)) = cached.as_ref()
            && *known == floor
        {
            return Some(value.clone());
        }
        let value = HeaderValue::from_str(&encode_openbao(cluster, floor)).ok()?;
        *cached = Some((floor, value.clone()));
        Some(value)
    }

    // --- connections ---

    /// Puts a client connection under the sweeper's eye; the key takes it off again.
    pub(super) fn watch(&self, state: &Arc<ConnectionState>, listener: &Listener) -> usize {
        let key = self.connections.borrow_mut().insert(Watch {
            state: Arc::clone(state),
            deadlines: listener.deadlines(),
            listener: listener.slot,
        });
        if *self.draining.borrow() {
            state.finish_after_next();
        }
        key
    }

    pub(super) fn unwatch(&self, key: usize) {
        self.connections.borrow_mut().remove(key);
    }

    pub(super) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    fn tick(&self, ticks: u32) {
        let now = Instant::now();
        let now_ms = self.set_clock(now);
        self.attempts.sweep(now_ms);
        if ticks.is_multiple_of(SWEEP_EVERY) {
            self.sweep_connections();
            self.sweep_pools(now);
        }
    }

    /// Sets the coarse clock and returns it, in milliseconds since the process began.
    pub(super) fn set_clock(&self, now: Instant) -> u64 {
        let now_ms = self.shared.sessions.ms(now);
        self.clock.store(now_ms, Ordering::Relaxed);
        now_ms
    }

    fn sweep_connections(&self) {
        let draining = self.is_draining();
        for (_, watch) in self.connections.borrow().iter() {
            if let Some(overdue) = watch.state.overdue(watch.deadlines) {
                if matches!(overdue, Overdue::Head | Overdue::Body) {
                    self.metrics.rejected(watch.listener, Rejected::HeaderTimeout);
                }
                watch.state.order(ConnectionCommand::Cut);
            } else if draining && is_to_finish(&watch.state) {
                watch.state.order(ConnectionCommand::Finish);
            }
        }
    }

    fn sweep_pools(&self, now: Instant) {
        let view = self.view();
        let policy = view.snapshot.config.routing.balance;
        for upstream in &view.upstreams {
            upstream.pool.sweep(now);
            let load = Load { in_flight: upstream.in_flight.get(), ewma_us: upstream.ewma_us.get() };
            self.metrics.server_load(upstream.slot, score_millionths(policy, load));
            self.metrics.set_pending(upstream.slot, upstream.pool.pending() as u64);
            let idle = upstream.pool.idle();
            let active = upstream.pool.open().saturating_sub(idle);
            self.metrics.set_upstream_connections(upstream.slot, Upstreamed::Idle, idle as u64);
            self.metrics.set_upstream_connections(upstream.slot, Upstreamed::Active, active as u64);
        }
    }

    // --- drain ---

    fn start_drain(&self) {
        self.draining.send_replace(true);
        for (_, watch) in self.connections.borrow().iter() {
            watch.state.finish_after_next();
        }
    }

    /// Nothing is left, or the deadline passed and what was left has been cut.
    fn drained(&self, until: Instant) -> bool {
        let accepting = |open: &Listening| open.accepting.iter().any(|(_, task)| !task.is_finished());
        if self.connections.borrow().is_empty() && !self.listeners.borrow().iter().any(accepting) {
            return true;
        }
        if Instant::now() < until {
            return false;
        }
        let connections = self.connections.borrow();
        tracing::warn!(left = connections.len(), "the grace period is over; cutting what is left");
        connections.iter().for_each(|(_, watch)| watch.state.order(ConnectionCommand::Cut));
        true
    }
}

fn serves(role: Role) -> bool {
    matches!(role, Role::Active | Role::Standby | Role::PerfStandby)
}

/// During a drain: a connection nothing comes on, and every HTTP/2 one, whose answers cannot say `close` but which
/// finishes what it has after GOAWAY. One that has not brought its first request yet gets the head's time for it.
fn is_to_finish(state: &ConnectionState) -> bool {
    match state.phase() {
        Phase::Idle => state.is_multiplexed() || state.in_phase_ms() >= DRAIN_IDLE_MS,
        Phase::Busy => state.is_multiplexed(),
        Phase::Head => false,
    }
}

// === impl View ===

impl View {
    fn new(snapshot: Arc<Snapshot>, shared: &Shared, metrics: &WorkerMetrics, old: Option<&Self>) -> Self {
        let rules = match old {
            Some(old) if Arc::ptr_eq(&old.snapshot.config, &snapshot.config) => Rc::clone(&old.rules),
            Some(_) | None => Rc::new(CompiledRules::compile(&snapshot.config.routing.rules)),
        };
        let tls = shared.upstream_tls.load_full();
        let upstreams = snapshot
            .servers
            .iter()
            .map(|server| {
                let key = UpstreamKey::new(server, &snapshot.config, tls.as_ref(), shared.workers);
                old.and_then(|old| old.kept(&key)).unwrap_or_else(|| {
                    Rc::new(Upstream::new(server, key, &snapshot.config, metrics.server(server.id)))
                })
            })
            .collect();
        Self { snapshot, rules, upstreams }
    }

    fn kept(&self, key: &UpstreamKey) -> Option<Rc<Upstream>> {
        self.upstreams.iter().find(|upstream| upstream.key.same(key)).cloned()
    }

    pub(super) fn load(&self, id: ServerId) -> Load {
        self.upstreams.get(id.index()).map_or_else(Load::default, |upstream| Load {
            in_flight: upstream.in_flight.get(),
            ewma_us: upstream.ewma_us.get(),
        })
    }
}

// === impl Upstream ===

impl Upstream {
    fn new(server: &ServerView, key: UpstreamKey, config: &ProxyConfig, slot: ServerSlot) -> Self {
        let address = &server.address;
        let target = target(address, &key, config);
        let host = if address.host.contains(':') {
            format!("[{}]:{}", address.host, address.port)
        } else {
            format!("{}:{}", address.host, address.port)
        };
        Self {
            pool: Rc::new(Pool::new(target, key.limits)),
            slot,
            host,
            name: HeaderValue::from_str(&server.name).unwrap_or(HeaderValue::from_static("unnamed")),
            in_flight: Cell::new(0),
            ewma_us: Cell::new(0),
            key,
        }
    }
}

/// Where and how to connect. `None`: the server asks for TLS and it cannot be spoken; better no connection than one
/// in the clear.
fn target(address: &ServerAddress, key: &UpstreamKey, config: &ProxyConfig) -> Option<Target> {
    let tls = if address.tls { Some(tls_target(address, key, config)?) } else { None };
    let (host, port, connect_timeout) = (address.host.clone(), address.port, key.connect_timeout);
    Some(Target { host, port, tls, connect_timeout })
}

/// The name a certificate must carry: the configured one, else for discovered servers (known by address only) the
/// discovered name, else the server's host.
fn tls_target(address: &ServerAddress, key: &UpstreamKey, config: &ProxyConfig) -> Option<TlsTarget> {
    let client = Arc::clone(key.tls.as_ref()?);
    let mut settings = config.cluster.tls.clone();
    if let Some(discovery) = &config.cluster.discovery {
        settings.server_name.get_or_insert_with(|| discovery.name.clone());
    }
    match tls::server_name(&settings, &address.host) {
        Ok(name) => Some(TlsTarget { config: client, name }),
        Err(error) => {
            tracing::error!(%error, host = %address.host, "this server cannot be used");
            None
        }
    }
}

// === impl UpstreamKey ===

impl UpstreamKey {
    fn new(
        server: &ServerView,
        config: &ProxyConfig,
        tls: Option<&Arc<rustls::ClientConfig>>,
        workers: usize,
    ) -> Self {
        let settings = &config.cluster.connections;
        let share = |total: usize| total.div_ceil(workers).max(1);
        Self {
            id: server.id,
            name: Arc::clone(&server.name),
            address: Arc::clone(&server.address),
            tls: tls.cloned(),
            limits: PoolLimits {
                max_open: share(settings.max_per_server),
                max_pending: share(settings.max_pending),
                max_idle: share(settings.max_idle_per_server),
                idle_timeout: settings.idle_timeout,
                max_requests: settings.max_requests_per_connection,
            },
            connect_timeout: settings.connect_timeout,
        }
    }

    fn same(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_tls
            && (self.id, &self.name) == (other.id, &other.name)
            && self.address == other.address
            && self.limits == other.limits
            && self.connect_timeout == other.connect_timeout
    }
}
