//! The control thread: start, signals, reload, watches, drain. Whatever can fail is tried before anything changes,
//! so a bad file or a taken port leaves the old generation running.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock::{Clock, unix_seconds};
use crate::config::proxy::ProxyConfig;
use crate::config::{self, Severity};
use crate::net::tls;
use crate::proxy::access_log::AccessLogWriter;
use crate::proxy::admin::{self, AdminListener, AdminState, ControlCommand};
use crate::proxy::affinity::Sessions;
use crate::proxy::cluster::{self, ClusterCommand, ClusterHandle};
use crate::proxy::decisions::{Decisions, Malformed};
use crate::proxy::metrics::Metrics;
use crate::proxy::metrics::label::ReloadResult;
use crate::proxy::worker::Shared;
use crate::shutdown::{self, Drainer, Notify, State};
use crate::telemetry::LogControl;

use super::insight::Mirror;
use super::listeners::{self, OpenListener};
use super::parts::{Addresses, Source, Start, StartError};
use super::workers::Workers;

/// Admin commands waiting; the admin waits when it is full.
const MAX_CONTROL: usize = 16;
/// How often files are looked at and mirrors refreshed.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// A started proxy.
#[derive(Debug)]
pub struct Running {
    control: Control,
    signals: Signals,
    commands: mpsc::Receiver<ControlCommand>,
}

#[derive(Debug)]
struct Control {
    config: Arc<ProxyConfig>,
    config_text: Arc<ArcSwap<String>>,
    source: Source,
    /// What the file looked like when it was last read: one that was refused is not tried again until it changes.
    stamp: Option<(SystemTime, u64)>,
    cluster: ClusterHandle,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    workers: Workers,
    listeners: Vec<OpenListener>,
    access_log: Option<AccessLogWriter>,
    mirror: Arc<Mirror>,
    log: Option<LogControl>,
    notify: Notify,
    drainer: Drainer,
    /// The admin asked for a drain without a deadline: workers end one by one, the process with the last.
    draining: bool,
    addresses: Addresses,
    certificates_seen: Instant,
    /// Evicted sessions already counted.
    evicted: u64,
}

#[derive(Debug)]
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// Starts a proxy on the current (current-thread) runtime and serves until it has drained.
///
/// # Errors
/// It could not start; nothing is left running.
pub async fn serve(start: Start, started: impl FnOnce(&Addresses)) -> Result<(), StartError> {
    let running = Running::start(start).await?;
    started(running.addresses());
    running.run().await;
    Ok(())
}

// === impl Running ===

impl Running {
    /// Assembles everything and begins to listen.
    ///
    /// # Errors
    /// An address, a certificate, a file or a thread is not to be had.
    pub async fn start(start: Start) -> Result<Self, StartError> {
        let Start { config, text, source, log, notify } = start;
        let signals = Signals::new().map_err(StartError::Signals)?;
        let notify = Notify::new(notify.as_deref()).map_err(StartError::Notify)?;
        let begun = Instant::now();
        let metrics = Arc::new(Metrics::default());
        let workers = config.runtime.workers.max(1);
        let limit = config.runtime.max_connections;
        let prepared = listeners::prepare(&config.listeners, limit, &[], workers, &metrics)?;
        let admin = bind_admin(&config)?;
        let access_log = open_access_log(&config)?;
        let upstream_tls = upstream_tls(&config)?;
        let cluster = cluster::spawn(Arc::clone(&config), Clock::starting_at(begun), metrics.cluster())?;
        let (decisions, malformed) = (Arc::new(Decisions::default()), Arc::new(Malformed::default()));
        let shared = Arc::new(Shared {
            cluster: cluster.clone(),
            sessions: Sessions::new(config.consistency.max_sessions, begun)?,
            mount_changes: Default::default(),
            first_touch: Default::default(),
            malformed: Arc::clone(&malformed),
            upstream_tls: ArcSwapOption::from(upstream_tls),
            connections: Default::default(),
            workers,
            started: begun,
        });
        let threads = Workers::start(workers, &shared, &metrics, &decisions)?;
        threads.set_access_log(access_log.as_ref()).await;
        threads.tell_each(prepared.commands).await;
        let (control, commands) = mpsc::channel(MAX_CONTROL);
        let (drainer, drain) = shutdown::drain();
        let mirror = Arc::new(Mirror::new(Arc::clone(&shared)));
        let config_text = Arc::new(ArcSwap::from_pointee(text));
        let addresses = addresses(&prepared.open, admin.as_ref(), &config);
        if let Some(admin) = admin {
            let state = AdminState {
                metrics: Arc::clone(&metrics),
                snapshot: Arc::clone(&cluster.snapshot),
                decisions,
                malformed,
                log: log.clone(),
                control,
                insight: Arc::clone(&mirror) as Arc<dyn admin::Insight>,
                config_text: Arc::clone(&config_text),
                drain,
                started: begun,
            };
            tokio::spawn(admin::serve(admin, Arc::new(state)));
        }
        metrics.cluster().reloaded(ReloadResult::Ok, unix_seconds());
        let stamp = stamp(&source);
        let control = Control {
            config,
            config_text,
            source,
            stamp,
            cluster,
            shared,
            metrics,
            workers: threads,
            listeners: prepared.open,
            access_log,
            mirror,
            log,
            notify,
            drainer,
            draining: false,
            addresses,
            certificates_seen: begun,
            evicted: 0,
        };
        control.publish_certificates();
        control.tell(State::Ready);
        Ok(Self { control, signals, commands })
    }

    /// What it listens on.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.control.addresses
    }

    /// Serves until told to stop and drained.
    pub async fn run(self) {
        let Self { mut control, mut signals, mut commands } = self;
        let mut tick = tokio::time::interval(HOUSEKEEPING);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let grace = loop {
            let grace = control.config.runtime.shutdown_grace;
            tokio::select! {
                _ = signals.terminate.recv() => break grace,
                _ = signals.interrupt.recv() => break grace,
                _ = signals.hangup.recv() => control.hangup().await,
                Some(command) = commands.recv() => {
                    if let Some(asked) = control.obey(command).await { break asked.unwrap_or(grace); }
                }
                _ = tick.tick() => {
                    control.housekeeping().await;
                    if control.draining {
                        if control.workers.all_ended() { break grace; }
                    } else if control.workers.lost_one() {
                        tracing::error!("a worker thread died; draining the others");
                        break grace;
                    }
                }
            }
        };
        control.drain(grace, &mut signals).await;
    }
}

// === impl Control ===

impl Control {
    // --- reload ---

    async fn hangup(&mut self) {
        if let Some(log) = &self.log
            && let Err(error) = log.reopen()
        {
            tracing::error!(%error, "the old log file stays open");
        }
        if let Some(log) = &self.access_log {
            log.reopen();
        }
        // The outcome is logged and counted by `reload`.
        drop(self.reload("SIGHUP").await);
    }

    /// Reads the file again and takes it over as a whole, or not at all.
    async fn reload(&mut self, why: &str) -> Result<u64, String> {
        self.tell(State::Reloading { monotonic_us: monotonic_us() });
        let outcome = self.try_reload().await;
        let result = if outcome.is_ok() { ReloadResult::Ok } else { ReloadResult::Failed };
        self.metrics.cluster().reloaded(result, unix_seconds());
        match &outcome {
            Ok(generation) => tracing::info!(generation, why, "configuration reloaded"),
            Err(error) => tracing::error!(why, "configuration refused, the old one stays in force: {error}"),
        }
        self.tell(State::Ready);
        outcome
    }

    async fn try_reload(&mut self) -> Result<u64, String> {
        let Source::File(path) = self.source.clone() else {
            return Err("this proxy's configuration does not come from a file".to_owned());
        };
        self.stamp = stamp(&self.source);
        let (config, text) = read_config(&path)?;
        let config = Arc::new(config);
        self.refuse_unchangeable(&config)?;
        let limit = config.runtime.max_connections;
        let prepared =
            listeners::prepare(&config.listeners, limit, &self.listeners, self.shared.workers, &self.metrics)
                .map_err(|error| error.to_string())?;
        let access_log = if config.observability.access_log == self.config.observability.access_log {
            None
        } else {
            Some(open_access_log(&config).map_err(|error| error.to_string())?)
        };
        let upstream_tls = upstream_tls(&config).map_err(|error| error.to_string())?;
        // From here on nothing fails but the owner, which checks the same files again first.
        let kept_tls = self.shared.upstream_tls.swap(upstream_tls);
        let reloaded = self.cluster.reload(Arc::clone(&config)).await;
        let generation = reloaded.map_err(|error| {
            self.shared.upstream_tls.store(kept_tls);
            error.to_string()
        })?;
        self.workers.tell_each(prepared.commands).await;
        self.listeners = prepared.open;
        if let Some(log) = access_log {
            self.workers.set_access_log(log.as_ref()).await;
            self.access_log = log;
        }
        if self.config.runtime.log.level != config.runtime.log.level {
            self.set_level(&config);
        }
        self.config = config;
        self.config_text.store(Arc::new(text));
        self.publish_certificates();
        Ok(generation)
    }

    /// What a running process cannot change is an error, so that nobody believes it took effect.
    fn refuse_unchangeable(&self, new: &ProxyConfig) -> Result<(), String> {
        let old = &self.config;
        let changed = [
            (old.runtime.workers != new.runtime.workers, "runtime.workers"),
            (old.admin.as_ref().map(|a| &a.bind) != new.admin.as_ref().map(|a| &a.bind), "admin.bind"),
            (old.consistency.max_sessions != new.consistency.max_sessions, "consistency.max_sessions"),
            (old.runtime.log.output != new.runtime.log.output, "runtime.log.output"),
            (old.runtime.log.format != new.runtime.log.format, "runtime.log.format"),
        ];
        match changed.iter().find(|(changed, _)| *changed) {
            Some((_, setting)) => Err(format!("`{setting}` can only change with a restart")),
            None => Ok(()),
        }
    }

    fn set_level(&self, config: &ProxyConfig) {
        use crate::config::proxy::LogLevel;
        let level = match config.runtime.log.level {
            LogLevel::Error => tracing::Level::ERROR,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Debug => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        };
        if let Some(log) = &self.log
            && let Err(error) = log.set_level(level)
        {
            tracing::error!(%error, "the log level stays");
        }
    }

    // --- admin commands ---

    /// `Some`: the process shall end, with this grace.
    async fn obey(&mut self, command: ControlCommand) -> Option<Option<Duration>> {
        match command {
            ControlCommand::Reload(reply) => {
                let outcome = self.reload("admin").await;
                answer(reply, outcome);
            }
            ControlCommand::Drain => {
                self.drainer.begin();
                self.draining = true;
                let never = Instant::now() + Duration::from_secs(365 * 24 * 3600);
                self.workers.drain(never).await;
            }
            ControlCommand::Shutdown { grace } => return Some(grace),
            ControlCommand::SetServerState { server, state, reply } => {
                let name = self.server_name(server);
                let set = self.cluster.ask(|done| ClusterCommand::AdminState { server: name, state, done });
                answer(reply, flatten(set.await));
            }
            ControlCommand::Probe { server, reply } => {
                let found = self.probe(server).await;
                answer(reply, found);
            }
            ControlCommand::ResetLearned(reply) => {
                let shapes = self.cluster.learned().await.map_or(0, |report| report.shapes);
                let sent = self.cluster.command.send(ClusterCommand::ResetLearned).await;
                answer(reply, sent.map(|()| shapes).map_err(|_| "the cluster owner has ended".to_owned()));
                self.mirror.refresh(&self.cluster).await;
            }
        }
        None
    }

    fn server_name(&self, server: crate::proxy::snapshot::ServerId) -> String {
        let snapshot = self.cluster.snapshot.load();
        snapshot.server(server).map(|view| view.name.to_string()).unwrap_or_default()
    }

    async fn probe(&self, server: crate::proxy::snapshot::ServerId) -> Result<serde_json::Value, String> {
        let name = self.server_name(server);
        self.cluster
            .command
            .send(ClusterCommand::ProbeNow)
            .await
            .map_err(|_| "the cluster owner has ended")?;
        let mut changed = self.cluster.changed.clone();
        // A probe that changes nothing publishes nothing: the status is asked for either way.
        drop(tokio::time::timeout(self.config.cluster.health_check.timeout, changed.changed()).await);
        let status = self.cluster.status().await.map_err(|error| error.to_string())?;
        let found = status.servers.into_iter().find(|known| known.name == name);
        serde_json::to_value(found).map_err(|error| error.to_string())
    }

    // --- housekeeping ---

    async fn housekeeping(&mut self) {
        self.mirror.refresh(&self.cluster).await;
        self.metrics.cluster().sessions(self.shared.sessions.len());
        let evicted = self.shared.sessions.evicted();
        self.metrics.cluster().sessions_evicted(evicted - self.evicted);
        self.evicted = evicted;
        let now = stamp(&self.source);
        if now.is_some() && now != self.stamp {
            // Written a moment ago may mean still being written: wait for the next look.
            let settled =
                now.is_some_and(|(modified, _)| modified.elapsed().is_ok_and(|age| age >= HOUSEKEEPING / 2));
            if settled {
                // The outcome is logged and counted by `reload`.
                drop(self.reload("the file changed").await);
            }
        }
        let watch = self.config.listeners.iter().filter_map(|l| l.tls.as_ref()).map(|tls| tls.watch_interval);
        if let Some(interval) = watch.filter(|interval| !interval.is_zero()).min()
            && self.certificates_seen.elapsed() >= interval
        {
            self.certificates_seen = Instant::now();
            self.listeners.iter().for_each(OpenListener::refresh_certificates);
            self.publish_certificates();
        }
        self.tell(State::Watchdog);
        let status = self.sentence();
        self.tell(State::Status(&status));
    }

    fn publish_certificates(&self) {
        self.metrics.set_certificates(self.listeners.iter().flat_map(OpenListener::certificates).collect());
    }

    /// One line for the service manager.
    fn sentence(&self) -> String {
        let snapshot = self.cluster.snapshot.load();
        let reading = snapshot.servers.iter().filter(|server| server.reads).count();
        match snapshot.active_server() {
            Some(active) => format!("{} leads, {reading} standbys read", active.name),
            None => format!("no active node is known, {reading} standbys read"),
        }
    }

    // --- the end ---

    async fn drain(self, grace: Duration, signals: &mut Signals) {
        self.tell(State::Stopping);
        self.drainer.begin();
        let deadline = Instant::now() + grace;
        tracing::info!(grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX), "draining");
        self.workers.drain(deadline).await;
        self.listeners.iter().for_each(OpenListener::remove_socket_files);
        tokio::select! {
            () = self.workers.ended(deadline) => tracing::info!("drained"),
            () = signals.impatient() => tracing::warn!("a second signal: not waiting any longer"),
        }
    }

    /// Tells the service manager; one that does not listen changes nothing.
    fn tell(&self, state: State<'_>) {
        if let Err(error) = self.notify.send(state) {
            tracing::debug!(%error, "the service manager did not hear it");
        }
    }
}

fn answer<T>(reply: admin::Reply<T>, outcome: Result<T, String>) {
    // The asker may have gone.
    drop(reply.send(outcome));
}

fn flatten<T, A: ToString, B: ToString>(outcome: Result<Result<T, A>, B>) -> Result<T, String> {
    outcome.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

// --- parts of a start ---

fn bind_admin(config: &ProxyConfig) -> Result<Option<AdminListener>, StartError> {
    let Some(admin) = &config.admin else { return Ok(None) };
    AdminListener::bind(&admin.bind).map(Some).map_err(StartError::Admin)
}

fn open_access_log(config: &ProxyConfig) -> Result<Option<AccessLogWriter>, StartError> {
    let log = config.observability.access_log.as_ref();
    log.map(AccessLogWriter::start).transpose().map_err(StartError::AccessLog)
}

fn upstream_tls(config: &ProxyConfig) -> Result<Option<Arc<rustls::ClientConfig>>, tls::TlsError> {
    let servers = config.cluster.servers.iter().any(|server| server.address.tls);
    let discovered = config.cluster.discovery.as_ref().is_some_and(|discovery| discovery.tls);
    (servers || discovered).then(|| tls::client_config(&config.cluster.tls)).transpose()
}

fn addresses(open: &[OpenListener], admin: Option<&AdminListener>, config: &ProxyConfig) -> Addresses {
    use crate::config::proxy::Bind;
    let admin_tcp = admin.and_then(AdminListener::address);
    let admin = config.admin.as_ref().map(|admin| match (&admin.bind, admin_tcp) {
        (Bind::Unix(path), _) => format!("unix:{}", path.display()),
        (Bind::Tcp(_), Some(address)) => format!("http://{address}"),
        (Bind::Tcp(address), None) => format!("http://{address}"),
    });
    Addresses { listeners: open.iter().flat_map(OpenListener::addresses).collect(), admin, admin_tcp }
}

/// The configuration of a file, or all its errors as one text.
fn read_config(path: &Path) -> Result<(ProxyConfig, String), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let loaded = config::load(path);
    match loaded.config {
        Some(config) => Ok((config, text)),
        None => {
            let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
            let lines: Vec<String> = errors
                .map(|error| format!("{}:{}:{}: {}", error.file, error.line, error.column, error.message))
                .collect();
            Err(lines.join("; "))
        }
    }
}

fn stamp(source: &Source) -> Option<(SystemTime, u64)> {
    let Source::File(path) = source else { return None };
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}

// === impl Signals ===

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn impatient(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}
