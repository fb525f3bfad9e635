//! The listeners of a node: bound on every worker, with their TLS and their rules.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::ServerError;
use super::banner;
use crate::config::node::model::{Bind, Listener as Configured};
use crate::net::listener::{self, Address, BindError, Bound};
use crate::net::serve::Deadlines;
use crate::net::tls::{self, ReloadableServerTls};
use crate::node::Node;
use crate::node::bootstrap::Unauthenticated;
use crate::node::front::ApiFront;
use crate::node::headers::{AddedHeaders, Identity};
use crate::node::listener_front::{ListenerFront, Rules};
use crate::node::workers::{Listener, Workers};

/// What was bound, before anything is served: an address that is taken ends the start early.
pub(super) struct Sockets {
    listeners: Vec<BoundListener>,
    workers: usize,
}

struct BoundListener {
    configured: Configured,
    tls: Option<Arc<ReloadableServerTls>>,
    /// A row for each worker.
    sockets: Vec<Vec<Bound>>,
}

/// The TLS of a listener, for reloading.
pub(super) struct Tls {
    pub(super) address: String,
    pub(super) files: Arc<ReloadableServerTls>,
    /// Zero: only when told to.
    pub(super) watch_interval: Duration,
}

/// Binds every address once for each worker and loads the certificates.
pub(super) fn bind(listeners: &[Configured]) -> Result<Sockets, ServerError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let bound = |configured: &Configured| {
        let tls = configured.tls.as_ref().map(ReloadableServerTls::load).transpose()?.map(Arc::new);
        warn_of_exposed_keys(configured);
        let sockets = bind_one(&configured.bind, workers)?;
        Ok(BoundListener { configured: configured.clone(), tls, sockets })
    };
    let listeners = listeners.iter().map(bound).collect::<Result<_, ServerError>>()?;
    Ok(Sockets { listeners, workers })
}

fn warn_of_exposed_keys(configured: &Configured) {
    for pair in configured.tls.iter().flat_map(|tls| &tls.certificates) {
        if let Some(warning) = tls::key_exposure(&pair.key_file) {
            tracing::warn!("{warning}");
        }
    }
}

fn bind_one(bind: &Bind, workers: usize) -> Result<Vec<Vec<Bound>>, ServerError> {
    let addresses =
        addresses(bind).map_err(|source| ServerError::Name { name: banner::address(bind), source })?;
    let mut rows: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    for address in addresses {
        let sockets = match bind_all(&address, workers) {
            Err(error) if is_missing_ipv6(bind, &address, &error) => continue,
            sockets => sockets?,
        };
        rows.iter_mut().zip(sockets).for_each(|(row, socket)| row.push(socket));
    }
    if let Bind::Unix(socket) = bind {
        let mode = std::fs::Permissions::from_mode(socket.mode);
        std::fs::set_permissions(&socket.path, mode).map_err(ServerError::Io)?;
    }
    Ok(rows)
}

/// Removes the files of unix sockets: a client that comes later is told at once that nobody listens.
pub(super) fn remove_sockets(listeners: &[Configured]) {
    for listener in listeners {
        let Bind::Unix(socket) = &listener.bind else { continue };
        if let Err(error) = std::fs::remove_file(&socket.path) {
            tracing::warn!(%error, socket = %socket.path.display(), "the socket file stays");
        }
    }
}

fn bind_all(address: &Address, workers: usize) -> Result<Vec<Bound>, BindError> {
    listener::is_free(address)?;
    listener::bind(address, workers)
}

/// A machine without IPv6 still listens everywhere.
fn is_missing_ipv6(bind: &Bind, address: &Address, error: &BindError) -> bool {
    let unsupported =
        matches!(error.source.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
            || error.source.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    matches!((bind, address), (Bind::Everywhere(_), Address::Tcp(SocketAddr::V6(_)))) && unsupported
}

fn addresses(bind: &Bind) -> io::Result<Vec<Address>> {
    Ok(match bind {
        Bind::Tcp(address) => vec![Address::Tcp(*address)],
        Bind::Everywhere(port) => vec![
            Address::Tcp((Ipv4Addr::UNSPECIFIED, *port).into()),
            Address::Tcp((Ipv6Addr::UNSPECIFIED, *port).into()),
        ],
        Bind::Name(name, port) => {
            let mut found: Vec<_> = (name.as_str(), *port).to_socket_addrs()?.collect();
            found.sort();
            found.dedup();
            found.into_iter().map(Address::Tcp).collect()
        }
        Bind::Unix(socket) => vec![Address::Unix(socket.path.clone())],
    })
}

// === impl Sockets ===

impl Sockets {
    /// For reloading the certificates.
    pub(super) fn tls(&self) -> Vec<Tls> {
        let of = |BoundListener { configured, tls, .. }: &BoundListener| {
            let watch_interval = configured.tls.as_ref().map_or(Duration::ZERO, |tls| tls.watch_interval);
            let address = banner::address(&configured.bind);
            Some(Tls { address, files: Arc::clone(tls.as_ref()?), watch_interval })
        };
        self.listeners.iter().filter_map(of).collect()
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn serve(self, node: &Arc<Node>, identity: &Identity) -> io::Result<Workers> {
        let mut rows: Vec<Vec<(Listener, Bound)>> = (0..self.workers).map(|_| Vec::new()).collect();
        for BoundListener { configured, tls, sockets } in self.listeners {
            let listener = served(&configured, tls, node, identity);
            for (row, bound) in rows.iter_mut().zip(sockets) {
                row.extend(bound.into_iter().map(|bound| (listener.clone(), bound)));
            }
        }
        Workers::start(rows)
    }
}

fn served(
    configured: &Configured,
    tls: Option<Arc<ReloadableServerTls>>,
    node: &Arc<Node>,
    identity: &Identity,
) -> Listener {
    let rules = Rules {
        forwarded: configured.forwarded.clone(),
        duration: shorter(configured.limits.duration, configured.timeouts.write),
        headers: AddedHeaders::new(&configured.custom_headers, identity),
    };
    let open = configured.open;
    let offered =
        Unauthenticated { rekey: open.rekey, generate_root: open.generate_root, metrics: open.metrics };
    let api = Arc::new(ApiFront::new(Arc::clone(node), configured.limits, offered));
    Listener { front: Arc::new(ListenerFront::new(api, rules)), tls, deadlines: deadlines(configured) }
}

/// `http_write_timeout` bounds a whole answer, as the duration of its request does.
fn shorter(duration: Option<Duration>, write: Duration) -> Option<Duration> {
    let write = (!write.is_zero()).then_some(write);
    match (duration, write) {
        (Some(duration), Some(write)) => Some(duration.min(write)),
        (one, other) => one.or(other),
    }
}

/// Zero is without limit in both.
fn deadlines(configured: &Configured) -> Deadlines {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let timeouts = &configured.timeouts;
    Deadlines {
        head_ms: millis(timeouts.read_header),
        idle_ms: millis(timeouts.idle),
        stall_ms: millis(timeouts.read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_of_two_limits_holds() {
        let s = Duration::from_secs;
        for (duration, write, expected) in [
            (Some(s(90)), s(0), Some(s(90))),
            (Some(s(90)), s(5), Some(s(5))),
            (None, s(5), Some(s(5))),
            (None, s(0), None),
        ] {
            assert_eq!(shorter(duration, write), expected);
        }
    }

    #[test]
    fn everywhere_is_both_families() {
        assert_eq!(addresses(&Bind::Everywhere(1)).unwrap().len(), 2);
        let names = addresses(&Bind::Name("localhost".into(), 1)).unwrap();
        assert!(names.contains(&Address::Tcp("127.0.0.1:1".parse().unwrap())));
    }
}
