//! The threads that serve HTTP: one runtime each, every listener bound in each of them (`SO_REUSEPORT`), connections
//! swept for deadlines. What a request means is the [`Front`]'s business.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming as HttpBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use slab::Slab;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::body::AnswerBody;
use crate::net::listener::{Acceptor, Bound, ClientStream};
use crate::net::serve::{Command, ConnectionState, Deadlines, Phase, Watched, drive, until_cut};
use crate::net::tls::ReloadableServerTls;

/// How often deadlines are looked at: a timeout is late by at most this.
const SWEEP: Duration = Duration::from_millis(250);
/// Most client connections of the process.
const MAX_CONNECTIONS: usize = 20_000;
/// Most bytes of a request's head, as Go's default.
const MAX_HEAD_BYTES: usize = 1024 * 1024;
/// Most header lines.
const MAX_HEADERS: usize = 1000;
/// Pause after a failed accept (out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A future on one worker's thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Answers requests.
pub trait Front: Send + Sync + fmt::Debug {
    fn answer(
        self: Arc<Self>,
        request: Request<HttpBody>,
        peer: Option<SocketAddr>,
    ) -> LocalFuture<Response<AnswerBody>>;
}

/// One listener, as every worker serves it.
#[derive(Debug, Clone)]
pub struct Listener {
    pub front: Arc<dyn Front>,
    pub tls: Option<Arc<ReloadableServerTls>>,
    pub deadlines: Deadlines,
}

/// The running workers; dropping it leaves them running.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

/// One thread's share.
struct Worker {
    clock: Arc<AtomicU64>,
    started: Instant,
    connections: RefCell<Slab<(Arc<ConnectionState>, Deadlines)>>,
    open: Arc<AtomicUsize>,
}

// === impl Workers ===

impl Workers {
    /// Starts a thread for each row of `sockets`: the sockets that thread accepts on.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(sockets: Vec<Vec<(Listener, Bound)>>) -> std::io::Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let open = Arc::new(AtomicUsize::new(0));
        let start = |(number, sockets): (usize, Vec<(Listener, Bound)>)| {
            let (open, stopping) = (Arc::clone(&open), stopping.clone());
            std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
                if let Err(error) = run(open, sockets, stopping) {
                    tracing::error!(%error, "an HTTP worker could not start");
                }
            })
        };
        let threads = sockets.into_iter().enumerate().map(start).collect::<Result<_, _>>()?;
        Ok(Self { threads, stop })
    }

    /// Stops accepting and lets requests finish for at most `grace`.
    pub fn stop(self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.stop.send_replace(true);
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn run(
    open: Arc<AtomicUsize>,
    sockets: Vec<(Listener, Bound)>,
    mut stopping: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        let worker = Rc::new(Worker {
            clock: Arc::new(AtomicU64::new(1)),
            started: Instant::now(),
            connections: RefCell::default(),
            open,
        });
        let mut accepting = Vec::new();
        for (listener, bound) in sockets {
            let acceptor = bound.into_acceptor()?;
            accepting.push(tokio::task::spawn_local(Rc::clone(&worker).accept_loop(acceptor, listener)));
        }
        let mut tick = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                _ = tick.tick() => worker.sweep(),
                _ = stopping.wait_for(|stop| *stop) => break,
            }
        }
        accepting.iter().for_each(tokio::task::JoinHandle::abort);
        worker.finish(&mut tick).await;
        Ok(())
    })
}

// === impl Worker ===

impl Worker {
    async fn accept_loop(self: Rc<Self>, acceptor: Acceptor, listener: Listener) {
        loop {
            match acceptor.accept().await {
                Ok((stream, peer)) if self.open.load(Relaxed) < MAX_CONNECTIONS => {
                    let worker = Rc::clone(&self);
                    tokio::task::spawn_local(worker.connection(stream, peer, listener.clone()));
                }
                // Over the bound: the client sees a closed connection, as from a full backlog.
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Rc<Self>, stream: ClientStream, peer: Option<SocketAddr>, listener: Listener) {
        let state = ConnectionState::new(Arc::clone(&self.clock));
        let key = self.connections.borrow_mut().insert((Arc::clone(&state), listener.deadlines));
        self.open.fetch_add(1, Relaxed);
        self.serve(stream, peer, &listener, &state).await;
        self.open.fetch_sub(1, Relaxed);
        self.connections.borrow_mut().remove(key);
    }

    async fn serve(
        self: &Rc<Self>,
        stream: ClientStream,
        peer: Option<SocketAddr>,
        listener: &Listener,
        state: &Arc<ConnectionState>,
    ) {
        let Some(tls) = &listener.tls else { return self.http1(stream, peer, listener, state).await };
        let handshake = TlsAcceptor::from(tls.current()).accept(stream);
        match until_cut(state, handshake).await {
            Some(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.http2(stream, peer, listener, state).await;
            }
            Some(Ok(stream)) => self.http1(stream, peer, listener, state).await,
            Some(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            None => {}
        }
    }

    async fn http1<S>(
        self: &Rc<Self>,
        stream: S,
        peer: Option<SocketAddr>,
        listener: &Listener,
        state: &Arc<ConnectionState>,
    ) where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    {
        let io = TokioIo::new(Watched::new(stream, Arc::clone(state)));
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .half_close(true)
            .header_read_timeout(None)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES);
        let mut connection =
            builder.serve_connection(io, service(Arc::clone(&listener.front), peer, Arc::clone(state)));
        drive(&mut connection, state, |connection| connection.graceful_shutdown()).await;
    }

    async fn http2<S>(
        self: &Rc<Self>,
        stream: S,
        peer: Option<SocketAddr>,
        listener: &Listener,
        state: &Arc<ConnectionState>,
    ) where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    {
        state.multiplexes();
        let io = TokioIo::new(Watched::new(stream, Arc::clone(state)));
        let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(250)
            .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(Some(20));
        let mut connection =
            builder.serve_connection(io, service(Arc::clone(&listener.front), peer, Arc::clone(state)));
        drive(&mut connection, state, |connection| connection.graceful_shutdown()).await;
    }

    fn sweep(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.clock.store(now.max(1), Relaxed);
        for (_, (state, deadlines)) in self.connections.borrow().iter() {
            if state.overdue(*deadlines).is_some() {
                state.order(Command::Cut);
            }
        }
    }

    /// Until every connection has given its last answer; the process does not wait longer than its grace.
    async fn finish(&self, tick: &mut tokio::time::Interval) {
        while !self.connections.borrow().is_empty() {
            for (_, (state, _)) in self.connections.borrow().iter() {
                let idle = state.phase() == Phase::Idle;
                state.order(if idle { Command::Cut } else { Command::Finish });
            }
            tick.tick().await;
        }
    }
}

/// A request from its head to the last piece of its answer, for the sweeper: in between, its connection is not idle.
#[derive(Debug)]
struct Underway(Arc<ConnectionState>);

impl Underway {
    fn new(state: &Arc<ConnectionState>) -> Self {
        state.request_started();
        Self(Arc::clone(state))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// An answer's body, and the request it ends.
#[derive(Debug)]
struct Answering {
    body: AnswerBody,
    _underway: Underway,
}

impl Body for Answering {
    type Data = <AnswerBody as Body>::Data;
    type Error = <AnswerBody as Body>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// One connection's requests: each notes its beginning and end for the sweeper.
fn service(
    front: Arc<dyn Front>,
    peer: Option<SocketAddr>,
    state: Arc<ConnectionState>,
) -> impl hyper::service::Service<
    Request<HttpBody>,
    Response = Response<Answering>,
    Error = Infallible,
    Future = LocalFuture<Result<Response<Answering>, Infallible>>,
> {
    service_fn(move |request| {
        let (front, underway) = (Arc::clone(&front), Underway::new(&state));
        Box::pin(async move {
            let answer = front.answer(request, peer).await;
            Ok(answer.map(|body| Answering { body, _underway: underway }))
        }) as LocalFuture<_>
    })
}

/// Runs h2's tasks on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn a_streamed_answer_is_not_idle_until_its_last_piece() {
        let state = ConnectionState::new(Arc::new(AtomicU64::new(1)));
        let (pieces, stream) = mpsc::channel(1);
        let answering = Answering { body: AnswerBody::Stream(stream), _underway: Underway::new(&state) };
        assert_eq!(state.phase(), Phase::Busy);
        drop(pieces);
        assert_eq!(state.phase(), Phase::Busy, "hyper has not taken the end yet");
        drop(answering);
        assert_eq!(state.phase(), Phase::Idle);
    }
}
