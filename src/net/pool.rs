//! Connections of one worker to one server: idle ones kept last-in-first-out, all of them counted and bounded.
//! One worker owns it, so nothing here is locked. What is sent over a connection is `upstream`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Semaphore;

use super::client::{self, ConnectError, Stream, Target};

/// A write is not put on a connection that lay idle longer than this: the server may be closing it (proxies.md §6.2).
const FRESH_FOR_WRITES: Duration = Duration::from_secs(5);

/// Bounds of one worker's connections to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    pub max_open: usize,
    pub max_pending: usize,
    pub max_idle: usize,
    pub idle_timeout: Duration,
    /// 0: no limit.
    pub max_requests: u64,
}

/// The connections of one worker to one server.
#[derive(Debug)]
pub struct Pool {
    /// `None`: the server asks for TLS and there is no way to speak it. Nothing is ever sent in the clear instead.
    target: Option<Target>,
    limits: PoolLimits,
    #[expect(clippy::vec_box, reason = "a connection stays in its place while its lease moves about")]
    idle: RefCell<Vec<Box<Connection>>>,
    permits: Semaphore,
    open: Cell<usize>,
    pending: Cell<usize>,
}

/// One connection, its read buffer and its age.
pub struct Connection {
    pub(super) stream: Stream,
    pub(super) buffer: BytesMut,
    /// Room for the next request's head, kept so that it is not allocated for each.
    pub(super) out: BytesMut,
    requests: u64,
    last_used: Instant,
}

/// A connection in use. Dropped without [`Lease::give_back`], it is closed.
#[derive(Debug)]
pub struct Lease {
    connection: Option<Box<Connection>>,
    pool: Rc<Pool>,
    /// It carried requests before: a failure may be the server closing it.
    pub reused: bool,
}

/// What the request about to be sent tolerates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    Any,
    /// Only a connection used a moment ago, else a new one.
    FreshOnly,
}

/// Why there is no connection; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("too many requests wait for a connection to this server")]
    Overflow,
}

// === impl Pool ===

impl Pool {
    #[must_use]
    pub fn new(target: Option<Target>, limits: PoolLimits) -> Self {
        let permits = Semaphore::new(limits.max_open.clamp(1, Semaphore::MAX_PERMITS));
        Self { target, limits, idle: RefCell::default(), permits, open: Cell::new(0), pending: Cell::new(0) }
    }

    /// A connection to send one request on: the most recently used idle one, else a new one, else a turn in
    /// the bounded queue.
    ///
    /// # Errors
    /// The server cannot be reached or too many wait already.
    pub async fn acquire(self: &Rc<Self>, reuse: Reuse, now: Instant) -> Result<Lease, PoolError> {
        self.take_permit().await?;
        let mut lease = Lease { connection: None, pool: Rc::clone(self), reused: false };
        if let Some(connection) = self.pop_idle(reuse, now) {
            lease.connection = Some(connection);
            lease.reused = true;
            return Ok(lease);
        }
        let target = self.target.as_ref().ok_or_else(no_tls)?;
        // Boxed: rare, and five times the size of everything else a request keeps here.
        let stream = Box::pin(client::connect(target)).await?;
        self.open.set(self.open.get() + 1);
        lease.connection = Some(Box::new(Connection::new(stream, now)));
        Ok(lease)
    }

    /// Connections open now, in use or idle.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.get()
    }

    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Requests waiting for a connection.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.get()
    }

    /// Closes what lay idle too long or was closed by the server. Called once a second or so.
    pub fn sweep(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain_mut(|connection| connection.is_usable(now, self.limits.idle_timeout));
        self.open.set(self.open.get() - (before - idle.len()));
    }

    /// Closes every idle connection: the server changed its role or left.
    pub fn clear_idle(&self) {
        let closed = self.idle.borrow_mut().drain(..).count();
        self.open.set(self.open.get() - closed);
    }

    async fn take_permit(&self) -> Result<(), PoolError> {
        if let Ok(permit) = self.permits.try_acquire() {
            permit.forget();
            return Ok(());
        }
        if self.pending.get() >= self.limits.max_pending {
            return Err(PoolError::Overflow);
        }
        let _waiting = Waiting::new(&self.pending);
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        permit.forget();
        Ok(())
    }

    fn pop_idle(&self, reuse: Reuse, now: Instant) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(connection) = idle.last_mut() {
            if reuse == Reuse::FreshOnly && connection.idle_for(now) > FRESH_FOR_WRITES {
                return None;
            }
            let usable = connection.is_usable(now, self.limits.idle_timeout);
            let connection = idle.pop()?;
            if usable {
                return Some(connection);
            }
            self.open.set(self.open.get() - 1);
        }
        None
    }

    fn keep(&self, mut connection: Box<Connection>, now: Instant) {
        connection.requests += 1;
        connection.last_used = now;
        let worn = self.limits.max_requests > 0 && connection.requests >= self.limits.max_requests;
        let mut idle = self.idle.borrow_mut();
        if worn || idle.len() >= self.limits.max_idle {
            self.open.set(self.open.get() - 1);
            return;
        }
        idle.push(connection);
    }
}

fn no_tls() -> ConnectError {
    ConnectError::Tls(std::io::Error::other("the settings of `cluster.tls` cannot be used for this server"))
}

/// Counts one waiter for as long as it waits, also when its request is given up.
struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl std::fmt::Debug for Connection {
    /// Not what was read: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("requests", &self.requests).finish_non_exhaustive()
    }
}

// === impl Connection ===

impl Connection {
    fn new(stream: Stream, now: Instant) -> Self {
        Self { stream, buffer: BytesMut::new(), out: BytesMut::new(), requests: 0, last_used: now }
    }

    fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_used)
    }

    /// Young enough, and the server neither closed it nor said anything unasked. The read costs no system call
    /// unless the runtime already knows that something arrived.
    fn is_usable(&mut self, now: Instant, idle_timeout: Duration) -> bool {
        let mut byte = [0_u8; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        let quiet = std::pin::Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer);
        matches!(quiet, Poll::Pending) && self.idle_for(now) <= idle_timeout
    }
}

// === impl Lease ===

impl Lease {
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("taken only by give_back, which consumes the lease")
    }

    /// The answer was read to its end and nothing is left over: the connection may carry another request.
    pub fn give_back(mut self, now: Instant) {
        if let Some(connection) = self.connection.take() {
            self.pool.keep(connection, now);
        }
    }

    /// Takes the connection out of the pool for good (a tunnel); the permit is held until the lease drops.
    pub(super) fn into_parts(mut self) -> (Option<Box<Connection>>, Self) {
        let connection = self.connection.take();
        if connection.is_some() {
            self.pool.open.set(self.pool.open.get() - 1);
        }
        (connection, self)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.connection.take().is_some() {
            self.pool.open.set(self.pool.open.get() - 1);
        }
        self.pool.permits.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use tokio::net::TcpListener;

    const LIMITS: PoolLimits = PoolLimits {
        max_open: 2,
        max_pending: 1,
        max_idle: 2,
        idle_timeout: Duration::from_secs(60),
        max_requests: 0,
    };

    /// The kernel accepts for the listener, which says nothing.
    async fn pool(limits: PoolLimits) -> (Rc<Pool>, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target =
            Target { host: "127.0.0.1".into(), port, tls: None, connect_timeout: Duration::from_secs(10) };
        (Rc::new(Pool::new(Some(target), limits)), listener)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test]
    async fn a_write_avoids_a_connection_that_lay_idle() {
        let (pool, _listener) = pool(LIMITS).await;
        let start = Instant::now();
        pool.acquire(Reuse::FreshOnly, start).await.unwrap().give_back(start);
        let fresh = pool.acquire(Reuse::FreshOnly, start + seconds(4)).await.unwrap();
        assert!(fresh.reused);
        fresh.give_back(start + seconds(4));
        let (late, held) = (start + seconds(10), pool.acquire(Reuse::FreshOnly, start + seconds(10)).await);
        assert!(!held.unwrap().reused);
        assert!(pool.acquire(Reuse::Any, late).await.unwrap().reused, "a read may be sent again");
    }

    #[tokio::test]
    async fn an_old_or_worn_connection_is_not_used_again() {
        let start = Instant::now();
        let (old, _listener) = pool(LIMITS).await;
        old.acquire(Reuse::Any, start).await.unwrap().give_back(start);
        assert!(!old.acquire(Reuse::Any, start + seconds(61)).await.unwrap().reused);
        let (worn, _listener) = pool(PoolLimits { max_requests: 1, ..LIMITS }).await;
        worn.acquire(Reuse::Any, start).await.unwrap().give_back(start);
        assert_eq!((worn.open(), worn.idle()), (0, 0));
    }

    #[tokio::test]
    async fn what_a_server_says_unasked_ends_the_connection() {
        let (pool, listener) = pool(LIMITS).await;
        let start = Instant::now();
        let mut lease = pool.acquire(Reuse::Any, start).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut server, b"HTTP/1.1 408\r\n\r\n").await.unwrap();
        let Stream::Plain(stream) = &lease.connection().stream else { panic!("plain") };
        stream.readable().await.unwrap();
        lease.give_back(start);
        assert!(!pool.acquire(Reuse::Any, start).await.unwrap().reused);
        assert_eq!(pool.idle(), 0);
    }

    #[tokio::test]
    async fn waiters_are_bounded_and_whoever_gives_up_leaves_nothing_behind() {
        let (pool, _listener) = pool(LIMITS).await;
        let now = Instant::now();
        let first = pool.acquire(Reuse::Any, now).await.unwrap();
        let second = pool.acquire(Reuse::Any, now).await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut third = pin!(pool.acquire(Reuse::Any, now));
            assert!(third.as_mut().poll(&mut context).is_pending());
            let fourth = pool.acquire(Reuse::Any, now).await;
            assert!(matches!(fourth, Err(PoolError::Overflow)));
        }
        drop(first);
        second.give_back(now);
        assert_eq!((pool.open(), pool.idle(), pool.pending.get()), (1, 1, 0));
        let (third, fourth) =
            (pool.acquire(Reuse::Any, now).await.unwrap(), pool.acquire(Reuse::Any, now).await.unwrap());
        assert_eq!((third.reused, fourth.reused, pool.open()), (true, false, 2));
        drop((third, fourth));
        assert_eq!((pool.open(), pool.permits.available_permits()), (0, 2));
    }
}
