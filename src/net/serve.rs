//! One client connection: its phase, its deadlines and its end. HTTP itself is hyper's.
//!
//! Deadlines are not timers: every connection notes what it waits for and since when, and the worker's sweeper
//! looks at all of them a few times a second. So a request costs no timer, and ten thousand idle connections none.
//!
//! ```text
//!   accepted ──> Head ──request──> Busy ──answered──> Idle ──first byte──> Head
//!                  │ too slow        │ stalled           │ too long
//!                  └──────> cut      └──────> cut        └──────> closed
//! ```

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// A head is coming in (or the TLS handshake).
    Head = 0,
    /// At least one request is being answered.
    Busy = 1,
    Idle = 2,
}

/// What the sweeper or the drain asks of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Command {
    None = 0,
    /// Finish what runs, take nothing new.
    Finish = 1,
    /// Cut it now.
    Cut = 2,
}

/// How long each wait may take, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    pub head_ms: u64,
    pub idle_ms: u64,
    /// A body or an answer that does not move.
    pub stall_ms: u64,
}

/// Why the sweeper closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    Head,
    Body,
    Write,
    Idle,
}

/// Shared by a connection's task, its requests and the sweeper of the same worker. The atomics are never
/// contended; they are atomics because hyper wants upgradable connections to be `Send`.
#[derive(Debug, Default)]
pub struct ConnectionState {
    /// Milliseconds of the worker's coarse clock.
    clock: Arc<AtomicU64>,
    phase: AtomicU8,
    since_ms: AtomicU64,
    requests: AtomicU32,
    /// Requests whose body is still coming in.
    bodies: AtomicU32,
    /// HTTP/2: bytes between requests are housekeeping (PING, WINDOW_UPDATE), not the beginning of a head.
    multiplexed: AtomicBool,
    read_blocked_ms: AtomicU64,
    write_blocked_ms: AtomicU64,
    command: AtomicU8,
    overdue_head: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

// === impl ConnectionState ===

impl ConnectionState {
    #[must_use]
    pub fn new(clock: Arc<AtomicU64>) -> Arc<Self> {
        let state = Self { clock, ..Self::default() };
        state.enter(Phase::Head);
        Arc::new(state)
    }

    /// A request's head was read.
    pub fn request_started(&self) {
        self.requests.store(self.requests.load(Relaxed) + 1, Relaxed);
        self.enter(Phase::Busy);
    }

    /// Its answer is on its way out, as far as this proxy is concerned.
    pub fn request_ended(&self) {
        let left = self.requests.load(Relaxed).saturating_sub(1);
        self.requests.store(left, Relaxed);
        if left == 0 {
            self.enter(Phase::Idle);
        }
    }

    /// The connection speaks HTTP/2.
    pub fn multiplexes(&self) {
        self.multiplexed.store(true, Relaxed);
    }

    #[must_use]
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase() == Phase::Idle
    }

    /// The connection was told to finish: answers say `Connection: close`.
    #[must_use]
    pub fn is_finishing(&self) -> bool {
        self.command() != Command::None
    }

    /// Asks the connection's task to finish or to cut; a stronger command stays.
    pub fn order(&self, command: Command) {
        if command as u8 > self.command.load(Relaxed) {
            self.command.store(command as u8, Relaxed);
        }
        if let Some(waker) = self.waker.lock().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Marks that the next answers should close the connection, without waking anybody.
    pub fn finish_after_next(&self) {
        self.overdue_head.store(1, Relaxed);
    }

    #[must_use]
    pub fn closes_after_next(&self) -> bool {
        self.overdue_head.load(Relaxed) == 1 || self.is_finishing()
    }

    /// What this connection has waited for too long, if anything.
    #[must_use]
    pub fn overdue(&self, deadlines: Deadlines) -> Option<Overdue> {
        let now = self.clock.load(Relaxed);
        let over = |since: u64, limit: u64| limit > 0 && since > 0 && now.saturating_sub(since) > limit;
        if over(self.write_blocked_ms.load(Relaxed), deadlines.stall_ms) {
            return Some(Overdue::Write);
        }
        let since = self.since_ms.load(Relaxed);
        match self.phase() {
            Phase::Head if over(since, deadlines.head_ms) => Some(Overdue::Head),
            Phase::Idle if over(since, deadlines.idle_ms) => Some(Overdue::Idle),
            Phase::Busy
                if self.bodies.load(Relaxed) > 0
                    && over(self.read_blocked_ms.load(Relaxed), deadlines.stall_ms) =>
            {
                Some(Overdue::Body)
            }
            Phase::Head | Phase::Idle | Phase::Busy => None,
        }
    }

    /// Milliseconds since the connection entered its phase.
    #[must_use]
    pub fn in_phase_ms(&self) -> u64 {
        self.clock.load(Relaxed).saturating_sub(self.since_ms.load(Relaxed))
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Head,
            1 => Phase::Busy,
            _ => Phase::Idle,
        }
    }

    fn command(&self) -> Command {
        match self.command.load(Relaxed) {
            0 => Command::None,
            1 => Command::Finish,
            _ => Command::Cut,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since_ms.store(self.clock.load(Relaxed).max(1), Relaxed);
    }

    /// `known`: whom the last call of this loop made the sweeper wake. It is nearly always the same task, and then
    /// nothing is locked.
    fn listen(&self, known: &mut Option<Waker>, cx: &Context<'_>) {
        if known.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            return;
        }
        *self.waker.lock() = Some(cx.waker().clone());
        *known = Some(cx.waker().clone());
    }

    fn bytes_read(&self) {
        self.read_blocked_ms.store(0, Relaxed);
        if self.phase() == Phase::Idle && !self.is_multiplexed() {
            self.enter(Phase::Head);
        }
    }

    fn blocked(&self, cell: &AtomicU64) {
        if cell.load(Relaxed) == 0 {
            cell.store(self.clock.load(Relaxed).max(1), Relaxed);
        }
    }
}

/// A request waits for its client's body for as long as this lives: until the body was read or given up.
#[derive(Debug)]
pub struct BodyWatch(Arc<ConnectionState>);

// === impl BodyWatch ===

impl BodyWatch {
    #[must_use]
    pub fn new(state: &Arc<ConnectionState>) -> Self {
        state.bodies.store(state.bodies.load(Relaxed) + 1, Relaxed);
        state.read_blocked_ms.store(0, Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for BodyWatch {
    fn drop(&mut self) {
        self.0.bodies.store(self.0.bodies.load(Relaxed).saturating_sub(1), Relaxed);
    }
}

/// A stream that keeps its connection's state true.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    state: Arc<ConnectionState>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, state: Arc<ConnectionState>) -> Self {
        Self { stream, state }
    }

    /// The stream alone again.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) if buf.filled().len() > before => this.state.bytes_read(),
            Poll::Pending => this.state.blocked(&this.state.read_blocked_ms),
            Poll::Ready(_) => {}
        }
        read
    }
}

impl<S> Watched<S> {
    fn note_write<T>(&self, written: &Poll<T>) {
        match written {
            Poll::Pending => self.state.blocked(&self.state.write_blocked_ms),
            Poll::Ready(_) => self.state.write_blocked_ms.store(0, Relaxed),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.note_write(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut small = [0; SMALL_WRITE];
        let written = match gather(bufs, &mut small) {
            Some(all) => Pin::new(&mut this.stream).poll_write(cx, all),
            None => Pin::new(&mut this.stream).poll_write_vectored(cx, bufs),
        };
        this.note_write(&written);
        written
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

/// Answers up to this many bytes leave by a plain `send`: copying them costs less than `writev` over head and body
/// does, and with TLS they share a record.
const SMALL_WRITE: usize = 2048;

/// The slices one behind the other, when they are several and fit.
fn gather<'a>(bufs: &[io::IoSlice<'_>], small: &'a mut [u8; SMALL_WRITE]) -> Option<&'a [u8]> {
    let length = bufs.iter().map(|buf| buf.len()).sum();
    if bufs.len() < 2 || length > SMALL_WRITE {
        return None;
    }
    let mut rest = &mut small[..];
    for buf in bufs {
        let (here, after) = rest.split_at_mut(buf.len());
        here.copy_from_slice(buf);
        rest = after;
    }
    Some(&small[..length])
}

/// How a driven connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Closed,
    /// The client broke the protocol; hyper has said so where an answer was still possible.
    Misread(Misread),
    /// The sweeper or the end of the drain cut it.
    Cut,
}

/// How a client broke HTTP/1.1 or HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misread {
    Malformed,
    /// More header lines or bytes than the limits given to hyper.
    TooLarge,
}

/// Drives a connection until it ends or is cut; `finish` is called once when it is told to finish.
pub async fn drive<C: Future<Output = Result<(), hyper::Error>> + Unpin>(
    connection: &mut C,
    state: &ConnectionState,
    finish: impl Fn(Pin<&mut C>),
) -> Ended {
    let (mut finishing, mut known) = (false, None);
    std::future::poll_fn(|cx| {
        match state.command() {
            Command::Cut => return Poll::Ready(Ended::Cut),
            Command::Finish if !finishing => {
                finishing = true;
                finish(Pin::new(&mut *connection));
            }
            Command::Finish | Command::None => {}
        }
        state.listen(&mut known, cx);
        Pin::new(&mut *connection).poll(cx).map(Ended::of)
    })
    .await
}

impl Ended {
    /// A client that goes away, in the middle of whatever, has not broken anything.
    fn of(result: Result<(), hyper::Error>) -> Self {
        let Err(error) = result else { return Self::Closed };
        if error.is_parse_too_large() {
            return Self::Misread(Misread::TooLarge);
        }
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<h2::Error>());
        let broke_h2 = cause.is_some_and(|cause| !cause.is_io() && !cause.is_remote());
        if error.is_parse() || broke_h2 { Self::Misread(Misread::Malformed) } else { Self::Closed }
    }
}

/// Runs `work` unless the connection is cut first; then `None`.
pub async fn until_cut<F: Future>(state: &ConnectionState, work: F) -> Option<F::Output> {
    let (mut work, mut known) = (std::pin::pin!(work), None);
    std::future::poll_fn(|cx| {
        if state.command() == Command::Cut {
            return Poll::Ready(None);
        }
        state.listen(&mut known, cx);
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines { head_ms: 10, idle_ms: 300, stall_ms: 60 };

    fn state() -> (Arc<AtomicU64>, Arc<ConnectionState>) {
        let clock = Arc::new(AtomicU64::new(1));
        (Arc::clone(&clock), ConnectionState::new(clock))
    }

    #[test]
    fn small_slices_are_gathered() {
        let (head, body, large) = ([b'h'; 700], [b'b'; 300], [b'l'; SMALL_WRITE]);
        let slice = io::IoSlice::new;
        let mut small = [0; SMALL_WRITE];
        let all = gather(&[slice(&head), slice(&body)], &mut small).unwrap();
        assert_eq!(all, [&head[..], &body[..]].concat());
        assert_eq!(gather(&[slice(&head), slice(&large)], &mut small), None, "too long");
        assert_eq!(gather(&[slice(&head)], &mut small), None, "one slice is no vector");
    }

    #[test]
    fn a_slow_head_is_overdue_and_a_request_ends_that() {
        let (clock, state) = state();
        clock.store(11, Relaxed);
        assert_eq!(state.overdue(DEADLINES), None);
        clock.store(12, Relaxed);
        assert_eq!(state.overdue(DEADLINES), Some(Overdue::Head));
        state.request_started();
        clock.store(5000, Relaxed);
        assert_eq!(state.overdue(DEADLINES), None, "the upstream has its own deadlines");
    }

    #[test]
    fn idle_then_a_first_byte_then_slow() {
        let (clock, state) = state();
        state.request_started();
        state.request_ended();
        assert!(state.is_idle());
        clock.store(302, Relaxed);
        assert_eq!(state.overdue(DEADLINES), Some(Overdue::Idle));
        state.bytes_read();
        assert_eq!(state.overdue(DEADLINES), None);
        clock.store(313, Relaxed);
        assert_eq!(state.overdue(DEADLINES), Some(Overdue::Head));
    }

    #[test]
    fn only_a_client_that_owes_a_body_stalls() {
        let (clock, state) = state();
        state.request_started();
        state.blocked(&state.read_blocked_ms);
        clock.store(100, Relaxed);
        assert_eq!(state.overdue(DEADLINES), None);
        let body = BodyWatch::new(&state);
        state.blocked(&state.read_blocked_ms);
        clock.store(161, Relaxed);
        assert_eq!(state.overdue(DEADLINES), Some(Overdue::Body));
        state.bytes_read();
        assert_eq!(state.overdue(DEADLINES), None);
        state.blocked(&state.read_blocked_ms);
        drop(body);
        clock.store(1000, Relaxed);
        assert_eq!(state.overdue(DEADLINES), None, "the body is here; now the server takes its time");
    }

    #[test]
    fn bytes_on_an_idle_http2_connection_are_no_head() {
        let (clock, state) = state();
        state.multiplexes();
        assert_eq!(state.phase(), Phase::Head, "its first request has the head's time");
        state.request_started();
        state.request_ended();
        state.bytes_read();
        clock.store(200, Relaxed);
        assert_eq!((state.phase(), state.overdue(DEADLINES)), (Phase::Idle, None));
        clock.store(302, Relaxed);
        assert_eq!(state.overdue(DEADLINES), Some(Overdue::Idle));
    }

    #[test]
    fn a_client_that_does_not_read_stalls() {
        let (clock, state) = state();
        state.request_started();
        state.blocked(&state.write_blocked_ms);
        clock.store(62, Relaxed);
        assert_eq!(state.overdue(DEADLINES), Some(Overdue::Write));
    }

    #[test]
    fn pipelined_requests_are_counted() {
        let (_clock, state) = state();
        state.request_started();
        state.request_started();
        state.request_ended();
        assert_eq!(state.phase(), Phase::Busy);
        state.request_ended();
        assert_eq!(state.phase(), Phase::Idle);
    }

    #[test]
    fn a_stronger_command_stays() {
        let (_clock, state) = state();
        state.order(Command::Cut);
        state.order(Command::Finish);
        assert_eq!(state.command(), Command::Cut);
    }
}
