//! A client connection from accept to close: admission, PROXY protocol, TLS, then hyper. Requests are `service`'s.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::config::proxy::{self as config, Access};
use crate::net::boxes::Boxes;
use crate::net::listener::{Acceptor, ClientStream};
use crate::net::proxy_protocol;
use crate::net::serve::{ConnectionState, Deadlines, Ended, Misread, Phase, Watched, drive, until_cut};
use crate::net::tls::{self, ReloadableServerTls};

use super::guard::PeerInfo;
use super::metrics::ListenerSlot;
use super::metrics::label::{ClientProto, Rejected, TlsLabel};
use super::rate::{ConnectionCounter, RateLimiter};
use super::rules::Glob;
use super::service;
use super::worker::Worker;

/// How long to wait before accepting again when the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// hyper's read buffer bound; heads are bounded below it by `limits.max_header_bytes`.
const MIN_READ_BUFFER: usize = 8 * 1024;

/// A listener with its settings, certificates and counts: one value for all workers, replaced by a reload.
#[derive(Debug, Clone)]
pub struct Listener {
    pub config: Arc<config::Listener>,
    pub tls: Option<Arc<ReloadableServerTls>>,
    pub slot: ListenerSlot,
    pub upgrades: Arc<Vec<Glob>>,
    /// `None`: no limit is set, so nothing is locked or counted.
    pub rates: Option<Arc<Mutex<RateLimiter>>>,
    pub per_client: Option<Arc<Mutex<ConnectionCounter>>>,
    /// Connections of this listener, all workers together.
    pub connections: Arc<AtomicUsize>,
    /// `runtime.max_connections`.
    pub process_limit: usize,
}

/// What requests of one connection share.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) listener: Rc<RefCell<Rc<Listener>>>,
    pub(super) peer: PeerInfo,
    pub(super) address: Option<SocketAddr>,
    pub(super) state: Arc<ConnectionState>,
    pub(super) tls: Option<&'static str>,
    pub(super) is_h2: bool,
}

/// One connection counted against every limit for as long as it lives.
struct Admission {
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    address: Option<IpAddr>,
}

// === impl Listener ===

impl Listener {
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let timeouts = &self.config.timeouts;
        Deadlines {
            head_ms: ms(timeouts.request_header),
            idle_ms: ms(timeouts.idle),
            stall_ms: ms(timeouts.request_body),
        }
    }
}

/// Accepts until it is aborted.
///
/// A drain ends it too, after the connections the kernel has already completed: closing the socket on them would
/// reset clients that were promised an answer.
pub(super) async fn accept_loop(worker: Rc<Worker>, acceptor: Acceptor, settings: Rc<RefCell<Rc<Listener>>>) {
    let mut draining = worker.draining();
    loop {
        let accepted = if *draining.borrow() {
            let Some(accepted) = acceptor.accept().now_or_never() else { return };
            accepted
        } else {
            tokio::select! {
                accepted = acceptor.accept() => accepted,
                _ = draining.changed() => continue,
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                let (worker, settings) = (Rc::clone(&worker), Rc::clone(&settings));
                tokio::task::spawn_local(connection(worker, settings, stream, peer));
            }
            Err(error) if is_of_connection(&error) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept now; trying again shortly");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The one connection failed. Everything else (no file descriptor, no memory) would fail again at once.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, InvalidInput, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | InvalidInput | NotConnected)
}

async fn connection(
    worker: Rc<Worker>,
    settings: Rc<RefCell<Rc<Listener>>>,
    mut stream: ClientStream,
    socket_peer: Option<SocketAddr>,
) {
    let listener = Rc::clone(&settings.borrow());
    let state = ConnectionState::new(Arc::clone(&worker.clock));
    let key = worker.watch(&state, &listener);
    let watched = Unwatch { worker: Rc::clone(&worker), key };
    let address = match read_proxy_header(&mut stream, socket_peer, &listener, &state).await {
        Ok((address, first)) => (address, first),
        Err(reason) => return worker.metrics.rejected(listener.slot, reason),
    };
    let (address, first) = address;
    let admission = match Admission::new(&worker, &listener, address) {
        Ok(admission) => admission,
        Err(reason) => return refuse(&worker, &listener, stream, reason).await,
    };
    let stream = Prefixed { first, stream };
    let Some(tls) = listener.tls.clone() else {
        let client = Rc::new(client(settings, address, None, None, &state));
        return serve(worker, listener, client, stream, None, (admission, watched)).await;
    };
    let acceptor = tokio_rustls::TlsAcceptor::from(tls.current());
    let handshake = until_cut(&state, acceptor.accept(stream)).await;
    let Some(Ok(stream)) = handshake else {
        return worker.metrics.rejected(listener.slot, Rejected::Tls);
    };
    let session = stream.get_ref().1;
    let is_h2 = session.alpn_protocol() == Some(b"h2");
    let certificate = tls::client_certificate(session);
    let client = Rc::new(client(settings, address, certificate, Some(tls_version(session)), &state));
    serve(worker, listener, client, stream, Some(is_h2), (admission, watched)).await;
}

fn client(
    listener: Rc<RefCell<Rc<Listener>>>,
    address: Option<SocketAddr>,
    certificate: Option<&[u8]>,
    tls: Option<&'static str>,
    state: &Arc<ConnectionState>,
) -> Client {
    let ip = address.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
    Client {
        listener,
        peer: PeerInfo::new(ip, certificate),
        address,
        state: Arc::clone(state),
        tls,
        is_h2: false,
    }
}

fn tls_version(session: &rustls::ServerConnection) -> &'static str {
    match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    }
}

/// Takes the connection off the sweeper's list when it ends.
struct Unwatch {
    worker: Rc<Worker>,
    key: usize,
}

impl Drop for Unwatch {
    fn drop(&mut self) {
        self.worker.unwatch(self.key);
    }
}

/// Speaks HTTP until the connection ends. `is_h2`: what ALPN said, `None` on plain text.
async fn serve<S>(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    mut client: Rc<Client>,
    mut stream: S,
    is_h2: Option<bool>,
    held: (Admission, Unwatch),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static + ReadFirst,
{
    let state = Arc::clone(&client.state);
    let is_h2 = match is_h2 {
        Some(known) => known,
        None if listener.config.h2c => until_cut(&state, has_h2_preface(&mut stream)).await.unwrap_or(false),
        None => false,
    };
    Rc::get_mut(&mut client).expect("no request has it yet").is_h2 = is_h2;
    if is_h2 {
        state.multiplexes();
    }
    let counted = Counted::new(&worker, &listener, &client);
    if is_h2 {
        serve_h2(worker, listener, client, stream, (held, counted));
    } else {
        serve_h1(worker, listener, client, stream, (held, counted));
    }
}

/// Counts a connection as open for as long as it is.
struct Counted {
    worker: Rc<Worker>,
    listener: ListenerSlot,
    proto: ClientProto,
    tls: TlsLabel,
}

impl Counted {
    fn new(worker: &Rc<Worker>, listener: &Listener, client: &Client) -> Self {
        let proto = if client.is_h2 { ClientProto::H2 } else { ClientProto::H1 };
        let tls = if client.tls.is_some() { TlsLabel::Yes } else { TlsLabel::No };
        worker.metrics.connection_opened(listener.slot, proto, tls);
        Self { worker: Rc::clone(worker), listener: listener.slot, proto, tls }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.worker.metrics.connection_closed(self.listener, self.proto, self.tls);
    }
}

/// What a connection gives back when it ends.
type Held = ((Admission, Unwatch), Counted);

/// Serves in a task of its own, which is all that stays of a connection while it lies idle: no room for its PROXY
/// header and handshake, and what it captures is there once.
fn serve_h1<S>(worker: Rc<Worker>, listener: Rc<Listener>, client: Rc<Client>, stream: S, held: Held)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &listener.config.limits;
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .half_close(true)
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_headers(limits.max_headers.max(1))
        .max_buf_size(limits.max_header_bytes.max(MIN_READ_BUFFER));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&client.state)));
    let (for_requests, of_connection) = (Rc::clone(&worker), Rc::clone(&client));
    // hyper keeps room for the service's future as long as the connection lives: a pointer, not 4 KB while idle.
    let boxes = request_boxes(&worker, service::handle);
    let service = service_fn(move |request| {
        boxes.put(service::handle(Rc::clone(&for_requests), Rc::clone(&of_connection), request))
    });
    let mut connection = builder.serve_connection(io, service);
    if !listener.upgrades.is_empty() {
        let mut connection = connection.with_upgrades();
        tokio::task::spawn_local(async move {
            let ended = drive(&mut connection, &client.state, |connection| connection.graceful_shutdown());
            count_misread(&worker, &listener, ended.await);
            drop(held);
        });
        return;
    }
    tokio::task::spawn_local(async move {
        let ended = drive(&mut connection, &client.state, |connection| connection.graceful_shutdown()).await;
        count_misread(&worker, &listener, ended);
        if ended == Ended::Cut && client.state.phase() == Phase::Head {
            Box::pin(say_timeout(connection.into_parts().io.into_inner().into_inner())).await;
        }
        drop(held);
    });
}

/// The worker's boxes for the futures of `_handle`.
fn request_boxes<F, H>(worker: &Worker, _handle: H) -> Rc<Boxes<F>>
where
    H: Fn(Rc<Worker>, Rc<Client>, Request<Incoming>) -> F,
    F: Future + 'static,
{
    let boxes = worker.request_boxes.get_or_init(|| Rc::new(Boxes::<F>::default()));
    Rc::clone(boxes).downcast().expect("a worker serves requests with one function")
}

/// What hyper refused before there was a request to count.
fn count_misread(worker: &Worker, listener: &Listener, ended: Ended) {
    let reason = match ended {
        Ended::Misread(Misread::Malformed) => Rejected::BadRequest,
        Ended::Misread(Misread::TooLarge) => Rejected::TooLarge,
        Ended::Closed | Ended::Cut => return,
    };
    worker.metrics.rejected(listener.slot, reason);
}

/// RFC 9110 §15.5.9: the client was too slow to say what it wants.
async fn say_timeout<S: AsyncWrite + Unpin>(mut stream: S) {
    let answer = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let said = tokio::time::timeout(Duration::from_secs(1), async {
        stream.write_all(answer).await?;
        stream.shutdown().await
    });
    if let Ok(Err(error)) = said.await {
        tracing::debug!(%error, "a slow client was gone before it was told");
    }
}

fn serve_h2<S>(worker: Rc<Worker>, listener: Rc<Listener>, client: Rc<Client>, stream: S, held: Held)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &listener.config.limits;
    let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(Some(20))
        .max_local_error_reset_streams(Some(256))
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .auto_date_header(false);
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&client.state)));
    let (for_requests, of_connection) = (Rc::clone(&worker), Rc::clone(&client));
    let service = service_fn(move |request| {
        service::handle(Rc::clone(&for_requests), Rc::clone(&of_connection), request)
    });
    let mut connection = builder.serve_connection(io, service);
    tokio::task::spawn_local(async move {
        let ended = drive(&mut connection, &client.state, |connection| connection.graceful_shutdown());
        count_misread(&worker, &listener, ended.await);
        drop(held);
    });
}

// --- admission ---

/// The client's address: the peer's, or what a trusted peer's PROXY header says, and the bytes read behind it.
async fn read_proxy_header(
    stream: &mut ClientStream,
    peer: Option<SocketAddr>,
    listener: &Listener,
    state: &ConnectionState,
) -> Result<(Option<SocketAddr>, Vec<u8>), Rejected> {
    let settings = &listener.config.proxy_protocol;
    let trusted = peer.is_none_or(|peer| settings.trusted.iter().any(|net| net.contains(&peer.ip())));
    if !settings.accept || !trusted {
        return Ok((peer, Vec::new()));
    }
    let mut buffer = Vec::with_capacity(256);
    let read = until_cut(state, async {
        loop {
            match proxy_protocol::parse(&buffer) {
                proxy_protocol::Parse::Complete(header, consumed) => {
                    let rest = buffer.split_off(consumed);
                    let source = match header {
                        proxy_protocol::Header::Proxied { source, .. } => Some(source),
                        proxy_protocol::Header::Local => peer,
                    };
                    return Ok((source, rest));
                }
                proxy_protocol::Parse::Partial => {}
                proxy_protocol::Parse::Invalid(_) => return Err(Rejected::BadRequest),
            }
            let read = stream.read_buf(&mut buffer).await;
            if !matches!(read, Ok(read) if read > 0) {
                return Err(Rejected::BadRequest);
            }
        }
    });
    read.await.unwrap_or(Err(Rejected::HeaderTimeout))
}

impl Admission {
    fn new(
        worker: &Rc<Worker>,
        listener: &Rc<Listener>,
        address: Option<SocketAddr>,
    ) -> Result<Self, Rejected> {
        let ip = address.map(|address| address.ip().to_canonical());
        if ip.is_some_and(|ip| !is_admitted(&listener.config.access, ip)) {
            return Err(Rejected::Acl);
        }
        let limits = &listener.config.limits;
        let counter = listener.per_client.as_ref().zip(ip);
        if counter.is_some_and(|(counter, ip)| !counter.lock().open(ip)) {
            return Err(Rejected::Limit);
        }
        let admission = Self { worker: Rc::clone(worker), listener: Rc::clone(listener), address: ip };
        let process = worker.shared.connections.fetch_add(1, Ordering::Relaxed);
        let mine = listener.connections.fetch_add(1, Ordering::Relaxed);
        if process >= listener.process_limit || mine >= limits.max_connections {
            return Err(Rejected::Limit);
        }
        Ok(admission)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.worker.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.listener.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some((counter, ip)) = self.listener.per_client.as_ref().zip(self.address) {
            counter.lock().close(ip);
        }
    }
}

/// `deny` wins; an empty `allow` admits everybody.
fn is_admitted(access: &Access, ip: IpAddr) -> bool {
    let within = |nets: &[ipnet::IpNet]| nets.iter().any(|net| net.contains(&ip));
    !within(&access.deny) && (access.allow.is_empty() || within(&access.allow))
}

/// Says why, in plain HTTP where no TLS was promised, and closes.
async fn refuse(worker: &Worker, listener: &Listener, mut stream: ClientStream, reason: Rejected) {
    worker.metrics.rejected(listener.slot, reason);
    if listener.tls.is_some() {
        return;
    }
    let answer: &[u8] = if reason == Rejected::Acl {
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    } else {
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    };
    let said = tokio::time::timeout(Duration::from_secs(1), async {
        stream.write_all(answer).await?;
        stream.shutdown().await
    });
    if let Ok(Err(error)) = said.await {
        tracing::debug!(%error, "a refused client was gone before it was told");
    }
}

// --- the stream below HTTP ---

/// A stream with bytes that were read from it before.
pub struct Prefixed<S> {
    first: Vec<u8>,
    stream: S,
}

impl<S> std::fmt::Debug for Prefixed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefixed").finish_non_exhaustive()
    }
}

/// Streams that can give back what was read ahead.
trait ReadFirst {
    fn put_back(&mut self, bytes: &[u8]);
}

impl<S> ReadFirst for Prefixed<S> {
    fn put_back(&mut self, bytes: &[u8]) {
        self.first.splice(..0, bytes.iter().copied());
    }
}

/// TLS clients say by ALPN what they speak: nothing is read ahead.
impl<S> ReadFirst for tokio_rustls::server::TlsStream<S> {
    fn put_back(&mut self, _bytes: &[u8]) {}
}

/// HTTP/2 with prior knowledge begins with these bytes (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn has_h2_preface<S: AsyncRead + Unpin + ReadFirst>(stream: &mut S) -> bool {
    let mut seen = Vec::with_capacity(PREFACE.len());
    let mut byte = [0_u8; 1];
    while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
        match stream.read(&mut byte).await {
            Ok(1) => seen.push(byte[0]),
            Ok(_) | Err(_) => break,
        }
    }
    let is_h2 = seen == PREFACE;
    stream.put_back(&seen);
    is_h2
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let length = this.first.len().min(buf.remaining());
        let now: Vec<u8> = this.first.drain(..length).collect();
        buf.put_slice(&now);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

// --- hyper ---

/// hyper's HTTP/2 spawns a task per stream; they stay on this worker.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}
