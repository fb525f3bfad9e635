//! Binding: one socket per worker and address, so that the kernel spreads connections and a reload can bind before
//! anything is given up. Accepting and serving is `serve`'s and the worker's.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Connections the kernel queues while every worker is busy.
const BACKLOG: i32 = 4096;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A bound, listening socket that no runtime owns yet.
#[derive(Debug)]
pub enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// A listening socket of one worker.
#[derive(Debug)]
pub enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A client's connection before TLS.
#[derive(Debug)]
pub enum ClientStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", advice(source))]
pub struct BindError {
    pub address: Address,
    #[source]
    pub source: io::Error,
}

fn advice(source: &io::Error) -> &'static str {
    let known = [
        (io::ErrorKind::AddrInUse, "; another process listens there: stop it or choose another `bind`"),
        (io::ErrorKind::PermissionDenied, "; ports below 1024 need CAP_NET_BIND_SERVICE"),
        (io::ErrorKind::AddrNotAvailable, "; this machine does not have that address"),
    ];
    known.iter().find(|(kind, _)| *kind == source.kind()).map_or("", |(_, advice)| advice)
}

/// Binds `address` once per worker.
///
/// # Errors
/// The address is taken by another process, not ours to use, or not on this machine.
pub fn bind(address: &Address, workers: usize) -> Result<Vec<Bound>, BindError> {
    let bound = match address {
        Address::Tcp(tcp) => (0..workers).map(|_| bind_tcp(*tcp).map(Bound::Tcp)).collect(),
        Address::Unix(path) => bind_unix(path, workers),
    };
    bound.map_err(|source| BindError { address: address.clone(), source })
}

/// The same listening socket once per worker, where the address cannot be bound twice (unix sockets).
///
/// # Errors
/// Out of file descriptors.
pub fn share(sockets: Vec<Bound>, workers: usize) -> io::Result<Vec<Bound>> {
    let mut shared = Vec::with_capacity(workers);
    for socket in sockets {
        while shared.len() + 1 < workers {
            shared.push(match &socket {
                Bound::Tcp(listener) => Bound::Tcp(listener.try_clone()?),
                Bound::Unix(listener) => Bound::Unix(listener.try_clone()?),
            });
        }
        shared.push(socket);
    }
    Ok(shared)
}

/// `SO_REUSEPORT` would also let a second proxy share the port unnoticed, so the first bind of an address checks
/// that nobody listens there: see [`is_free`].
fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Nobody listens on this address yet.
///
/// # Errors
/// It is taken, or may not be used.
pub fn is_free(address: &Address) -> Result<(), BindError> {
    let Address::Tcp(tcp) = address else { return Ok(()) };
    let probe = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(*tcp), Type::STREAM, Some(Protocol::TCP))?;
        if tcp.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&(*tcp).into())
    };
    probe().map_err(|source| BindError { address: address.clone(), source })
}

/// A socket file nobody listens on is left over from a crash and replaced; anything else is left alone.
fn bind_unix(path: &Path, workers: usize) -> io::Result<Vec<Bound>> {
    remove_stale(path)?;
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    (0..workers).map(|_| listener.try_clone().map(Bound::Unix)).collect()
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket is in the way",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(_) => std::fs::remove_file(path),
    }
}

// === impl Address ===

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

// === impl Bound ===

impl Bound {
    /// Hands the socket to the current thread's runtime.
    ///
    /// # Errors
    /// The runtime cannot register it.
    pub fn into_acceptor(self) -> io::Result<Acceptor> {
        match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(Acceptor::Tcp),
            Self::Unix(listener) => UnixListener::from_std(listener).map(Acceptor::Unix),
        }
    }
}

// === impl Acceptor ===

impl Acceptor {
    /// The next connection and its peer; a unix socket has none.
    ///
    /// # Errors
    /// Out of file descriptors, or the connection was gone already.
    pub async fn accept(&self) -> io::Result<(ClientStream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((ClientStream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| (ClientStream::Unix(stream), None))
            }
        }
    }
}

// === impl ClientStream ===

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_gets_a_socket_on_the_same_port() {
        let first = bind(&Address::Tcp("127.0.0.1:0".parse().unwrap()), 1).unwrap();
        let Bound::Tcp(listener) = &first[0] else { panic!("tcp") };
        let address = Address::Tcp(listener.local_addr().unwrap());
        assert!(is_free(&address).is_err());
        assert_eq!(bind(&address, 2).unwrap().len(), 2);
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let live = bind(&Address::Unix(path.clone()), 2).unwrap();
        assert_eq!(live.len(), 2);
        assert!(bind(&Address::Unix(path), 1).is_err(), "somebody listens");
        let file = dir.path().join("notes");
        std::fs::write(&file, "x").unwrap();
        assert!(bind(&Address::Unix(file.clone()), 1).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
    }
}
