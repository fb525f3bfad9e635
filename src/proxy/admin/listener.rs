//! The admin's socket: bound exclusively, few connections, and a deadline for everything a client may delay.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::proxy::Bind;
use crate::net::listener::{self, Acceptor, Address, Bound, ClientStream};

use super::access::Reach;
use super::handle;
use super::state::AdminState;

/// Operators, a scraper or two, probes: more are made to wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// For the head of a request, and for an idle connection to send one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// hyper's smallest is 8 KiB; heads here are short.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Pause when accepting fails for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bound socket, before and while it serves.
#[derive(Debug)]
pub struct AdminListener {
    acceptor: Acceptor,
    reach: Reach,
    address: Option<SocketAddr>,
    /// Removed when the listener goes.
    path: Option<PathBuf>,
}

// === impl AdminListener ===
impl AdminListener {
    /// Binds; to be called on the runtime that will serve.
    ///
    /// A unix socket gets mode 0600, and has it from the first moment it can be found by its name.
    ///
    /// # Errors
    /// The address is taken or not ours to use; the message names it.
    pub fn bind(bind: &Bind) -> io::Result<Self> {
        match bind {
            Bind::Tcp(address) => Self::bind_tcp(*address),
            Bind::Unix(path) => Self::bind_unix(path),
        }
    }

    /// The TCP address, with the port the kernel chose for 0.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn bind_tcp(address: SocketAddr) -> io::Result<Self> {
        let wanted = Address::Tcp(address);
        listener::is_free(&wanted).map_err(io::Error::other)?;
        let bound = listener::bind(&wanted, 1).map_err(io::Error::other)?.pop();
        let Some(Bound::Tcp(socket)) = bound else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
        Ok(Self {
            reach: if address.ip().is_loopback() { Reach::Loopback } else { Reach::Network },
            address: Some(socket.local_addr()?),
            path: None,
            acceptor: Bound::Tcp(socket).into_acceptor()?,
        })
    }

    fn bind_unix(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on unix:{}: {error}", path.display()))
        };
        let socket = bind_private(path).map_err(named)?;
        let acceptor = Bound::Unix(socket).into_acceptor()?;
        Ok(Self { acceptor, reach: Reach::Unix, address: None, path: Some(path.to_owned()) })
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, "the admin's socket file was gone already");
        }
    }
}

/// Made in a folder only we can enter, then moved to its name: nobody can connect before the mode is set.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    refuse_live(path)?;
    let mut folder = path.as_os_str().to_owned();
    folder.push(format!(".{}", std::process::id()));
    let folder = PathBuf::from(folder);
    DirBuilder::new().mode(0o700).create(&folder)?;
    let socket = bind_in(&folder.join("s"), path);
    std::fs::remove_dir_all(&folder)?;
    socket
}

fn bind_in(made: &Path, path: &Path) -> io::Result<UnixListener> {
    let socket = UnixListener::bind(made)?;
    socket.set_nonblocking(true)?;
    std::fs::set_permissions(made, Permissions::from_mode(0o600))?;
    std::fs::rename(made, path)?;
    Ok(socket)
}

/// A socket nobody listens on is left over from a crash and may be replaced.
fn refuse_live(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket is in the way",
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(_) => Ok(()),
    }
}

/// Serves until the future is dropped. Runs on any tokio runtime; one connection is one task.
pub async fn serve(listener: AdminListener, state: Arc<AdminState>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        match listener.acceptor.accept().await {
            Ok((stream, _peer)) => {
                connections.spawn(connection(stream, listener.reach, Arc::clone(&state), permit));
            }
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    stream: ClientStream,
    reach: Reach,
    state: Arc<AdminState>,
    permit: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, std::convert::Infallible>(handle::answer(&state, reach, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an admin connection ended early");
    }
    drop(permit);
}
