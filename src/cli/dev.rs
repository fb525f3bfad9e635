//! `understudy dev`: a whole cluster and the proxy in front of it, on this machine, gone again on Ctrl-C.
//!
//! The only engine so far is OpenBao, whose nodes run as child processes ([`super::openbao`]). The proxy runs in this
//! process on a thread of its own; it is asked to stop before the nodes are, so that nothing it holds is cut.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::{Method, StatusCode};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::openbao::call::call;
use super::openbao::node::Node;
use super::openbao::{Cluster, ClusterSpec, OpenBaoError, binary};
use crate::config::proxy::ProxyConfig;
use crate::config::{finding, load};

/// Where the admin listener goes unless that port is taken.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8299);
/// How long the proxy may take to find the active node; it takes about one health interval.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Options of `understudy dev`.
#[derive(Debug, Clone, Args)]
pub struct DevArgs {
    /// What the nodes are.
    #[arg(long, value_enum, default_value = "openbao")]
    pub engine: Engine,
    /// How many nodes, 1 to 7 [default: 3, or as many as lie in --data].
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// The address clients use.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8200")]
    pub listen: SocketAddr,
    /// Keep everything in this directory and find it there again; without it nothing is kept.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print one JSON line when everything is ready, and nothing else.
    #[arg(long)]
    pub json: bool,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// The OpenBao server, found or installed.
    Openbao,
}

/// Serves the proxy: blocks until SIGINT or SIGTERM has drained it; an error says why it could not serve.
pub type Serve = fn(ProxyConfig) -> Result<(), String>;

/// Why it stopped.
#[derive(Debug, thiserror::Error)]
enum DevError {
    #[error(transparent)]
    OpenBao(#[from] OpenBaoError),
    #[error("cannot listen on {address}: {source}; give another address with --listen")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("the proxy's own configuration was refused (please report this):\n{0}")]
    Config(String),
    #[error("the proxy {0}")]
    Proxy(String),
}

/// Runs until a signal; the exit code is 0 after a clean stop, 1 otherwise.
#[must_use]
pub fn run(args: &DevArgs, serve: Serve) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(play(args, serve)),
        Err(source) => Err(DevError::Io { what: "cannot start the runtime", source }),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("understudy dev: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The whole play: look at the stage, bring the nodes up, put the proxy in front, wait, clear away.
async fn play(args: &DevArgs, serve: Serve) -> Result<(), DevError> {
    let mut stop = Stop::new()?;
    let listen = client_address(args)?;
    let (data, throw_away) = data_dir(args)?;
    let raised = tokio::select! {
        raised = raise(args, &data, throw_away) => raised,
        () = stop.asked() => {
            say("stopped while starting");
            Ok(None)
        }
    };
    // What was started of a cluster that did not come up is dead by now; its scratch directory is ours to remove.
    let Some(mut cluster) = raised.inspect_err(|_| clear(&data, throw_away))? else {
        clear(&data, throw_away);
        return Ok(());
    };
    let shown = show(args, &cluster, listen, &data, &mut stop, serve).await;
    cluster.stop().await?;
    shown
}

async fn raise(args: &DevArgs, data: &Path, throw_away: bool) -> Result<Option<Cluster>, DevError> {
    let Engine::Openbao = args.engine;
    let binary = binary::find_or_install(&mut |line| say(line)).await.map_err(OpenBaoError::from)?;
    say("starting the nodes");
    let spec =
        ClusterSpec { binary, data: data.to_owned(), nodes: args.nodes, throw_away, extra: Vec::new() };
    Ok(Some(Cluster::start(spec).await?))
}

/// The proxy in front of a running cluster, until a signal or until the proxy ends by itself.
async fn show(
    args: &DevArgs,
    cluster: &Cluster,
    listen: SocketAddr,
    data: &Path,
    stop: &mut Stop,
    serve: Serve,
) -> Result<(), DevError> {
    let place = Place { listen, admin: admin_address(listen)? };
    let config = proxy_config(place, cluster.nodes(), data)?;
    let mut proxy = Front::start(config, serve)?;
    tokio::select! {
        ready = ready(place.admin) => ready?,
        ended = proxy.ended() => return ended,
        () = stop.asked() => return proxy.ended().await,
    }
    announce(args, cluster, place);
    tokio::select! {
        ended = proxy.ended() => ended,
        () = stop.asked() => {
            say("stopping");
            proxy.ended().await
        }
    }
}

/// The proxy on its own thread. It hears the same signals as we do and drains by itself.
struct Front {
    ended: tokio::sync::oneshot::Receiver<Result<(), String>>,
}

impl Front {
    /// The one place that starts the proxy.
    fn start(config: ProxyConfig, serve: Serve) -> Result<Self, DevError> {
        let (report, ended) = tokio::sync::oneshot::channel();
        let serve = move || {
            let served = serve(config);
            // Nobody waits any more only when we are going down ourselves.
            drop(report.send(served));
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(serve);
        thread.map_err(|source| DevError::Io { what: "cannot start the proxy's thread", source })?;
        Ok(Self { ended })
    }

    async fn ended(&mut self) -> Result<(), DevError> {
        match (&mut self.ended).await {
            Ok(served) => served.map_err(|why| DevError::Proxy(format!("ended: {why}"))),
            Err(_) => Err(DevError::Proxy("panicked".to_owned())),
        }
    }
}

/// SIGINT and SIGTERM, however often.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Self, DevError> {
        let hear = |kind| signal(kind).map_err(|source| DevError::Io { what: "cannot hear signals", source });
        Ok(Self { interrupt: hear(SignalKind::interrupt())?, terminate: hear(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

/// Where the proxy listens.
#[derive(Debug, Clone, Copy)]
struct Place {
    listen: SocketAddr,
    admin: SocketAddr,
}

/// Learns before anything is started that the client address is free; port 0 becomes a real one.
fn client_address(args: &DevArgs) -> Result<SocketAddr, DevError> {
    let free = TcpListener::bind(args.listen).and_then(|held| held.local_addr());
    free.map_err(|source| DevError::Listen { address: args.listen, source })
}

/// The usual address if it is free, else any port; asked at the last moment, as others may want it too.
fn admin_address(listen: SocketAddr) -> Result<SocketAddr, DevError> {
    if listen != ADMIN && TcpListener::bind(ADMIN).is_ok() {
        return Ok(ADMIN);
    }
    // The client address is held meanwhile: it must not be the one that is found.
    let _client = TcpListener::bind(listen);
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|held| held.local_addr());
    let other = any.map_err(|source| DevError::Io { what: "no port for the admin listener", source })?;
    say(&format!("{ADMIN} is taken: the admin listener goes to {other}"));
    Ok(other)
}

/// `--data`, or a new private directory that goes away with us.
fn data_dir(args: &DevArgs) -> Result<(PathBuf, bool), DevError> {
    if let Some(data) = &args.data {
        let absolute = std::path::absolute(data);
        return Ok((absolute.map_err(|source| DevError::Io { what: "--data", source })?, false));
    }
    let name = format!("understudy-dev-{}-{:08x}", std::process::id(), fastrand::u32(..));
    let dir = std::env::temp_dir().join(name);
    // Not recursive: a directory somebody else put there first is refused.
    let made = std::fs::DirBuilder::new().mode(0o700).create(&dir);
    made.map_err(|source| DevError::Io { what: "cannot make a directory for temporary files", source })?;
    Ok((dir, true))
}

fn clear(data: &Path, throw_away: bool) {
    if throw_away
        && let Err(error) = std::fs::remove_dir_all(data)
        && error.kind() != io::ErrorKind::NotFound
    {
        say(&format!("cannot remove {}: {error}", data.display()));
    }
}

/// Written beside the data, so that `understudy check` and `explain` can be tried on it, then read as any other.
fn proxy_config(place: Place, nodes: &[Node], data: &Path) -> Result<ProxyConfig, DevError> {
    let path = data.join("proxy.yaml");
    std::fs::write(&path, proxy_yaml(place, nodes.iter().map(|n| (n.id(), n.api()))))
        .map_err(|source| DevError::Io { what: "cannot write the proxy's configuration", source })?;
    let loaded = load::load(&path);
    loaded
        .config
        .ok_or_else(|| DevError::Config(finding::render(&path.display().to_string(), &loaded.findings)))
}

fn proxy_yaml<'a>(place: Place, nodes: impl Iterator<Item = (&'a str, SocketAddr)>) -> String {
    let Place { listen, admin } = place;
    let servers = nodes.map(|(id, api)| format!("    - {{name: {id}, address: \"http://{api}\"}}\n"));
    format!(
        "# The proxy of `understudy dev`; written anew at each start.\n\
         version: 1\n\
         runtime:\n  shutdown_grace: 5s\n  log: {{level: warn, format: text, output: stderr}}\n\
         listeners:\n  - {{name: dev, bind: [\"{listen}\"], answer_headers: true}}\n\
         cluster:\n  name: dev\n  api: openbao\n  servers:\n{}\
         admin: {{bind: \"{admin}\"}}\n",
        servers.collect::<String>()
    )
}

/// Waits until the proxy itself says that it can serve writes.
async fn ready(admin: SocketAddr) -> Result<(), DevError> {
    let asked = async {
        loop {
            let answer = call(admin, Method::GET, "/-/ready?require=active", None, None).await;
            if answer.is_ok_and(|answer| answer.status == StatusCode::OK) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let late = |_| DevError::Proxy(format!("found no active node in {} s", READY_LIMIT.as_secs()));
    tokio::time::timeout(READY_LIMIT, asked).await.map_err(late)
}

fn announce(args: &DevArgs, cluster: &Cluster, place: Place) {
    if args.json {
        println!("{}", json_line(place, cluster));
        return;
    }
    let (Place { listen, admin }, token) = (place, cluster.root_token());
    let keys: Vec<&str> = cluster.unseal_keys().iter().map(|key| key.as_str()).collect();
    println!("\n  {:<12} http://{listen}", "address");
    println!("  {:<12} {token}", "root token");
    println!("  {:<12} {}", "unseal key", keys.join(" "));
    println!("  {:<12} http://{admin}", "admin");
    for node in cluster.nodes() {
        println!(
            "  {:<12} http://{}  pid {}  log {}",
            node.id(),
            node.api(),
            pid(node),
            node.log().display()
        );
    }
    println!("\n  export BAO_ADDR=http://{listen} BAO_TOKEN={token}\n");
    println!("Ctrl-C stops everything{}.", if args.data.is_some() { " and keeps the data" } else { "" });
}

fn json_line(place: Place, cluster: &Cluster) -> serde_json::Value {
    let node = |node: &Node| {
        serde_json::json!({
            "id": node.id(),
            "api_addr": format!("http://{}", node.api()),
            "cluster_addr": format!("https://{}", node.cluster()),
            "pid": pid(node),
        })
    };
    serde_json::json!({
        "address": format!("http://{}", place.listen),
        "root_token": cluster.root_token(),
        "unseal_keys": cluster.unseal_keys().iter().map(|key| key.as_str()).collect::<Vec<_>>(),
        "admin": format!("http://{}", place.admin),
        "nodes": cluster.nodes().iter().map(node).collect::<Vec<_>>(),
    })
}

fn pid(node: &Node) -> u32 {
    node.pid().unwrap_or_default()
}

/// Progress goes to standard error: standard output is the answer.
fn say(line: &str) {
    eprintln!("understudy dev: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_configuration_is_one_we_accept() {
        let place = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let nodes = [("n1", place(20_001)), ("n2", place(20_003))];
        let yaml = proxy_yaml(Place { listen: place(8200), admin: ADMIN }, nodes.into_iter());
        let loaded = load::parse(&yaml, "proxy.yaml");
        let config = loaded.config.unwrap_or_else(|| panic!("{}", finding::render(&yaml, &loaded.findings)));
        assert_eq!(config.cluster.servers.len(), 2);
        assert!(config.observability.access_log.is_none(), "standard output is for the announcement");
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
    }
}
