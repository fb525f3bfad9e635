//! `understudy server`: a node. So far in its development mode: everything in memory, unsealed, one root token.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::net::listener::{self, Address};
use crate::net::serve::Deadlines;
use crate::node::front::ApiFront;
use crate::node::workers::{Listener, Workers};
use crate::node::{Node, Settings};
use crate::storage::inmem;
use crate::system::ha_status::Addresses;
use crate::telemetry;

/// Vault's deadlines: heads 10 s, bodies 30 s, idle connections 5 min.
const DEADLINES: Deadlines = Deadlines { head_ms: 10_000, idle_ms: 300_000, stall_ms: 30_000 };
/// How long requests may take to end after a signal.
const GRACE: Duration = Duration::from_secs(30);

/// `understudy server -dev`
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// Everything in memory, unsealed, for trying things out.
    #[arg(long)]
    pub dev: bool,
    /// The root token of the development mode.
    #[arg(long, value_name = "TOKEN")]
    pub dev_root_token_id: Option<String>,
    /// Where the development mode listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8200")]
    pub dev_listen_address: SocketAddr,
    /// Do not write the root token to the token helper's file.
    #[arg(long)]
    pub dev_no_store_token: bool,
}

/// Serves until a signal. Exit codes: 0 after a clean stop, 1 when it could not start.
#[must_use]
pub fn run(args: &ServerArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(serve(args)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("understudy server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &ServerArgs) -> Result<(), Box<dyn std::error::Error>> {
    if !args.dev {
        return Err("only -dev is there so far".into());
    }
    telemetry::install(tracing::Level::INFO, telemetry::Format::Text, &telemetry::Output::Stderr)?;
    let address = args.dev_listen_address;
    let settings = Settings {
        root_token: args.dev_root_token_id.clone().map(Zeroizing::new),
        addresses: Addresses {
            api: format!("http://{address}"),
            cluster: format!("https://{}", SocketAddr::new(address.ip(), address.port().saturating_add(1))),
        },
        ..Settings::default()
    };
    let node = Node::build(inmem::open(), settings)?;
    let made = node.initialize_and_open().await?;
    for share in &made.shares.unseal {
        println!("Unseal Key: {}", share.base64().as_str());
    }
    println!("Root Token: {}", made.root_token.as_str());
    let workers = workers(&node, args.dev_listen_address)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    workers.stop(GRACE);
    node.seal.seal().await;
    Ok(())
}

fn workers(node: &Arc<Node>, address: SocketAddr) -> Result<Workers, Box<dyn std::error::Error>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let sockets = listener::bind(&Address::Tcp(address), threads)?;
    let listener = Listener { tls: None, deadlines: DEADLINES };
    let rows = sockets.into_iter().map(|bound| vec![(listener.clone(), bound)]).collect();
    Ok(Workers::start(&(Arc::new(ApiFront::new(Arc::clone(node))) as _), rows)?)
}
