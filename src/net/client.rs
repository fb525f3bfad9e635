//! Connect to a server: resolve, TCP, TLS, one deadline for all three. What is said over the connection is `upstream`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A peer that stops acknowledging for this long is gone: it bounds streams that no request timeout covers.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Keep-alive probes on idle upstream connections, well below the 60 s they are kept.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where to connect, parsed once.
#[derive(Clone)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsTarget>,
    /// Resolve, TCP and TLS together.
    pub connect_timeout: Duration,
}

/// How to speak TLS to a server.
#[derive(Clone)]
pub struct TlsTarget {
    pub config: Arc<rustls::ClientConfig>,
    pub name: ServerName<'static>,
}

/// A connection to a server, plain or TLS.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is no connection. Nothing was sent, so any request may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the name does not resolve: {0}")]
    Resolve(#[source] io::Error),
    #[error("the connection was refused or failed: {0}")]
    Tcp(#[source] io::Error),
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    #[error("no connection within the connect timeout")]
    Timeout,
}

/// Opens a connection.
///
/// # Errors
/// One of [`ConnectError`]; nothing was sent in any of them.
pub async fn connect(target: &Target) -> Result<Stream, ConnectError> {
    match tokio::time::timeout(target.connect_timeout, open(target)).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError::Timeout),
    }
}

async fn open(target: &Target) -> Result<Stream, ConnectError> {
    let tcp = open_tcp(target).await?;
    tune(&tcp).map_err(ConnectError::Tcp)?;
    let Some(tls) = &target.tls else { return Ok(Stream::Plain(tcp)) };
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
    let stream = connector.connect(tls.name.clone(), tcp).await.map_err(ConnectError::Tls)?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Tries every address the name has, in the resolver's order.
async fn open_tcp(target: &Target) -> Result<TcpStream, ConnectError> {
    let addresses =
        tokio::net::lookup_host((target.host.as_str(), target.port)).await.map_err(ConnectError::Resolve)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Tcp(last))
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3))?;
    socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))
}

// === impl Target ===

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} (tls: {})", self.host, self.port, self.tls.is_some())
    }
}

impl std::fmt::Debug for TlsTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsTarget").field("name", &self.name).finish_non_exhaustive()
    }
}

// === impl Stream ===

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
