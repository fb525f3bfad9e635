//! `understudy server`: a node, from its configuration to its end.
//!
//! ```text
//!   args, environment ─▶ configuration ─▶ log, pid file, sockets, store ─▶ node ─▶ banner ─▶ serve
//!   SIGHUP: certificates, log level, log and audit files       SIGINT, SIGTERM: finish; twice: at once
//! ```

mod args;
mod banner;
mod dev;
mod dev_tls;
mod listeners;
mod log;
mod pid_file;
mod reload;
mod start;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::config::finding::{self, Severity};
use crate::config::node::model::Endpoints;
use crate::config::node::{Environment, Loaded, NodeConfig, load};
use crate::net::listener::BindError;
use crate::net::tls::TlsError;
use crate::node::headers::Identity;
use crate::node::workers::Workers;
use crate::node::{Node, NodeError, Settings};
use crate::seal::{Method, Share, StaticKeyError};
use crate::storage::OpenError;
use crate::telemetry::LogError;
use dev_tls::DevTls;
use listeners::Sockets;
use pid_file::PidFile;
use reload::Reloader;
use start::Store;

pub use args::ServerArgs;

/// How long requests may take to end after a signal.
const GRACE: Duration = Duration::from_secs(30);
/// How often certificate files are looked at where a listener asks for it, and who watches the log.
const WATCH: Duration = Duration::from_secs(1);
/// How often a sealed node with a key of its own looks whether it can use it.
const UNSEAL: Duration = Duration::from_millis(250);
/// The command line cannot be obeyed (BSD's EX_USAGE).
const USAGE: u8 = 64;

/// Looks up a variable of the environment.
pub type Variable<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Why a node does not run.
#[derive(Debug, Error)]
pub enum ServerError {
    #[error("{0}")]
    Usage(String),
    /// The findings, printed already.
    #[error("the configuration is refused")]
    Configuration,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("cannot write the pid file {}: {source}", path.display())]
    Pid { path: PathBuf, source: io::Error },
    #[error("cannot look up {name}: {source}")]
    Name { name: String, source: io::Error },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("cannot make certificates: {0}")]
    Certificates(String),
    #[error(transparent)]
    Seal(#[from] StaticKeyError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("the key-value engine was not mounted at secret/: status {0}")]
    Mount(u16),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until a signal. Exit codes: 0 after a clean stop, 1 when it could not start, 64 for a command line that
/// cannot be obeyed.
#[must_use]
pub fn run(args: &ServerArgs, variable: Variable<'_>, notify: Option<OsString>) -> ExitCode {
    let args = args.clone().with_environment(variable);
    match prepare(args, variable).and_then(|prepared| prepared.serve(notify)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("understudy server: {error}");
            ExitCode::from(if matches!(error, ServerError::Usage(_)) { USAGE } else { 1 })
        }
    }
}

/// A node that has everything it needs and serves nothing yet.
struct Prepared {
    config: NodeConfig,
    sockets: Sockets,
    identity: Identity,
    /// Of the node, and the store it works on.
    settings: Settings,
    store: Store,
    reloader: Reloader,
    /// Held until the end.
    pid_file: Option<PidFile>,
    /// Held until the end, too.
    dev_tls: Option<DevTls>,
    home: Option<PathBuf>,
}

fn prepare(args: ServerArgs, variable: Variable<'_>) -> Result<Prepared, ServerError> {
    if !args.dev && args.config.is_empty() {
        let why = "say where the configuration is: -config FILE or DIR, or -dev for the development mode";
        return Err(ServerError::Usage(why.to_owned()));
    }
    let environment = Environment::read(variable);
    let dev_tls = args
        .dev_tls
        .then(|| DevTls::make(args.dev_tls_cert_dir.as_deref(), &args.dev_tls_san))
        .transpose()?;
    let mut config = configuration(&args, dev_tls.as_ref(), &environment)?;
    config.log = log::chosen(&args, &config.log)?;
    if args.dev {
        // As in Vault: who develops may look everywhere.
        config.endpoints = Endpoints { raw_storage: true, introspection: true };
    }
    let log = log::install(&config.log)?;
    without_core_dumps();
    let sockets = listeners::bind(&config.listeners)?;
    let store = start::store(&config)?;
    let pid_file = config.pid_file.as_deref().map(|path| {
        PidFile::write(path).map_err(|source| ServerError::Pid { path: path.to_owned(), source })
    });
    let pid_file = pid_file.transpose()?;
    let root_token = args.dev_root_token_id.clone().filter(|_| args.dev).map(Zeroizing::new);
    let settings = start::settings(&config, &store, root_token, log.clone(), variable)?;
    let identity = start::identity(&config, &store);
    let reloader = Reloader { tls: sockets.tls(), args, environment, log };
    let home = variable("HOME").map(PathBuf::from);
    Ok(Prepared { config, sockets, identity, settings, store, reloader, pid_file, dev_tls, home })
}

/// Reads the configuration and prints what is to be said about it.
fn configuration(
    args: &ServerArgs,
    tls: Option<&DevTls>,
    environment: &Environment,
) -> Result<NodeConfig, ServerError> {
    let own = args.dev.then(|| dev::configuration(args.dev_listen_address.as_deref(), tls));
    let own: Vec<(&str, &str)> = own.iter().map(|text| (dev::NAME, text.as_str())).collect();
    let Loaded { config, mut findings, files } = load(&args.config, &own, environment);
    // That the development mode forgets everything is in its banner.
    findings.retain(|finding| finding.severity == Severity::Error || finding.file != dev::NAME);
    if !findings.is_empty() {
        eprint!("{}", finding::render(&files.join(", "), &findings));
    }
    config.ok_or(ServerError::Configuration)
}

/// A core dump of a node holds keys.
fn without_core_dumps() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps stay on");
    }
}

// === impl Prepared ===

impl Prepared {
    fn serve(self, notify: Option<OsString>) -> Result<(), ServerError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.run(notify))
    }

    async fn run(self, notify: Option<OsString>) -> Result<(), ServerError> {
        let Self { config, sockets, identity, settings, store, reloader, pid_file, dev_tls, home } = self;
        let mut signals = Signals::listen()?;
        let seals_itself = matches!(*settings.seal, Method::Static(_));
        let node = Node::build(store.storage, settings)?;
        let mut said = banner::configuration(&config);
        if reloader.args.dev {
            let ca_file = dev_tls.as_ref().map(DevTls::authority);
            said.push_str(&development(&node, &config, &reloader.args, ca_file, home).await?);
        }
        let workers = sockets.serve(&node, &identity)?;
        say(&said)?;
        let notify = crate::shutdown::Notify::new(notify.as_deref())?;
        told(notify.send(crate::shutdown::State::Ready));
        tokio::select! {
            () = signals.until_the_end(&node, &reloader) => {}
            () = unseal_when_possible(&node, seals_itself) => {}
        }
        told(notify.send(crate::shutdown::State::Stopping));
        tracing::info!("shutdown triggered");
        reloader.log.end_watchers();
        signals.finish(workers).await;
        listeners::remove_sockets(&config.listeners);
        node.seal.seal().await;
        drop((pid_file, dev_tls));
        Ok(())
    }
}

fn told(sent: io::Result<()>) {
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager was not told");
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Makes the store of the development mode usable, and says with what.
async fn development(
    node: &Arc<Node>,
    config: &NodeConfig,
    args: &ServerArgs,
    ca_file: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<String, ServerError> {
    let made = node.initialize_and_open().await?;
    let root = Zeroizing::new(made.root_token.as_str().to_owned());
    if !args.dev_no_kv {
        dev::mount_secret(node, &root).await?;
    }
    if !args.dev_no_store_token {
        dev::store_token(home, &root);
    }
    let key = made.shares.unseal.first().map(Share::base64).unwrap_or_default();
    Ok(banner::development(&config.cluster.api_addr, ca_file.as_deref(), &key, &root))
}

/// With a key of its own the node opens as soon as its store is initialised, once: when an operator seals it later, it
/// stays sealed. Never ends by itself.
async fn unseal_when_possible(node: &Node, seals_itself: bool) {
    let mut tick = tokio::time::interval(UNSEAL);
    let (mut open, mut told) = (!seals_itself, false);
    while !open {
        tick.tick().await;
        open = match node.seal.unseal_by_itself().await {
            Ok(open) => open,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "the node cannot unseal itself; it goes on trying");
                }
                false
            }
        };
    }
    std::future::pending().await
}

/// What the process is told from outside.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

// === impl Signals ===

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn end(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }

    /// Reloads as often as it is asked to.
    async fn until_the_end(&mut self, node: &Node, reloader: &Reloader) {
        let mut watch = tokio::time::interval(WATCH);
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => reloader.reload(node),
                _ = watch.tick() => {
                    reloader.watch();
                    reloader.log.tend_watchers();
                }
            }
        }
    }

    /// Lets requests end; a second signal does not wait for them.
    async fn finish(&mut self, workers: Workers) {
        let stopping = tokio::task::spawn_blocking(move || workers.stop(GRACE));
        tokio::select! {
            stopped = stopping => if stopped.is_err() { tracing::error!("a worker did not stop") },
            () = self.end() => tracing::warn!("a second signal: what still runs is cut"),
        }
    }
}
