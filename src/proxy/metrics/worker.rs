//! One worker's counters: the API of the hot path.
//!
//! Every call is a few plain loads and stores into memory only this worker writes. Nothing here allocates, locks or
//! formats. What the numbers are called in the exposition is `export`'s business.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::api::classify::{Class, Source};
use crate::config::proxy::ConsistencyMode;
use crate::proxy::snapshot::ServerId;

use super::cell::{BoundsUs, Grid, Histograms};
use super::label::{
    ClientProto, CodeClass, ConnectResult, ConnectionState, ConsistencyOutcome, Dropped, Label, MethodLabel,
    OverflowKind, PredictionOutcome, Rejected, RetryOutcome, RetryReason, RoleLabel, StatusLabel, TlsLabel,
};
use super::slot::{ListenerSlot, ROWS, ServerSlot, Slots};

/// 0.5 ms to 90 s: below 1 ms because a healthy read takes less; 90 s is Vault's own request limit.
const REQUEST_BOUNDS: BoundsUs = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 90_000_000,
];
/// 25 us to 10 ms: our own time.
const OVERHEAD_BOUNDS: BoundsUs = &[25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
/// Fewer than for requests: this one has a row a server.
const UPSTREAM_BOUNDS: BoundsUs =
    &[500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000, 90_000_000];
/// 0.5 ms to 1 s: a wait longer than `max_wait` goes to the active.
const CONSISTENCY_BOUNDS: BoundsUs =
    &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];
/// An election takes seconds.
const HELD_BOUNDS: BoundsUs =
    &[10_000, 100_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000];

/// The handle a worker writes through.
///
/// Invariant: only the worker's thread calls it. The type is neither `Sync` nor `Clone`; share it inside the worker in
/// an `Rc`.
#[derive(Debug)]
pub struct WorkerMetrics {
    cells: Arc<Cells>,
    /// A `Cell` may not be shared between threads, so neither may this.
    one_thread: PhantomData<Cell<()>>,
}

/// One finished client request.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    pub listener: ListenerSlot,
    pub class: Class,
    /// Where it was finally answered; `None` when no server was.
    pub role: RoleLabel,
    /// As sent to the client.
    pub status: u16,
    pub method: MethodLabel,
    /// First byte in to last byte out.
    pub total: Duration,
    /// The part of `total` spent waiting for servers.
    pub upstream: Duration,
}

#[derive(Debug)]
pub(super) struct Cells {
    pub(super) servers: Arc<Slots>,
    pub(super) requests: Grid<4>,
    pub(super) statuses: Grid<1>,
    pub(super) methods: Grid<2>,
    pub(super) request_duration: Histograms<2>,
    pub(super) overhead: Histograms<1>,
    pub(super) upstream_duration: Histograms<2>,
    pub(super) prediction: Grid<2>,
    pub(super) classification: Grid<2>,
    pub(super) consistency: Grid<2>,
    pub(super) consistency_wait: Histograms<1>,
    pub(super) in_flight: Grid<1>,
    pub(super) pending: Grid<1>,
    /// Millionths, set to the worker's own view; the exposition shows the mean of the workers that have one.
    pub(super) load: Grid<1>,
    pub(super) connections: Grid<2>,
    pub(super) connects: Grid<2>,
    pub(super) reused: Grid<1>,
    pub(super) retries: Grid<3>,
    pub(super) budget_exhausted: Grid<0>,
    pub(super) overflow: Grid<2>,
    pub(super) writes_held: Grid<0>,
    pub(super) writes_held_seconds: Histograms<0>,
    pub(super) in_doubt: Grid<1>,
    pub(super) downstream: Grid<3>,
    pub(super) rejected: Grid<2>,
    pub(super) dropped: Grid<1>,
    /// The worker's thread id, 0 until it runs: its CPU time is read at scrape.
    pub(super) thread: AtomicU32,
}

const fn words<L: Label>() -> usize {
    L::WORDS.len()
}

impl Cells {
    pub(super) fn new(servers: Arc<Slots>) -> Self {
        let classes = words::<Class>();
        let roles = words::<RoleLabel>();
        let modes = words::<ConsistencyMode>();
        Self {
            servers,
            requests: Grid::new([ROWS, classes, roles, words::<CodeClass>()]),
            statuses: Grid::new([words::<StatusLabel>()]),
            methods: Grid::new([words::<MethodLabel>(), classes]),
            request_duration: Histograms::new(REQUEST_BOUNDS, [classes, roles]),
            overhead: Histograms::new(OVERHEAD_BOUNDS, [classes]),
            upstream_duration: Histograms::new(UPSTREAM_BOUNDS, [ROWS, classes]),
            prediction: Grid::new([classes, words::<PredictionOutcome>()]),
            classification: Grid::new([words::<Source>(), classes]),
            consistency: Grid::new([modes, words::<ConsistencyOutcome>()]),
            consistency_wait: Histograms::new(CONSISTENCY_BOUNDS, [modes]),
            in_flight: Grid::new([ROWS]),
            pending: Grid::new([ROWS]),
            load: Grid::new([ROWS]),
            connections: Grid::new([ROWS, words::<ConnectionState>()]),
            connects: Grid::new([ROWS, words::<ConnectResult>()]),
            reused: Grid::new([ROWS]),
            retries: Grid::new([words::<RetryReason>(), classes, words::<RetryOutcome>()]),
            budget_exhausted: Grid::new([]),
            overflow: Grid::new([ROWS, words::<OverflowKind>()]),
            writes_held: Grid::new([]),
            writes_held_seconds: Histograms::new(HELD_BOUNDS, []),
            in_doubt: Grid::new([ROWS]),
            downstream: Grid::new([ROWS, words::<ClientProto>(), words::<TlsLabel>()]),
            rejected: Grid::new([ROWS, words::<Rejected>()]),
            dropped: Grid::new([words::<Dropped>()]),
            thread: AtomicU32::new(0),
        }
    }
}

fn server_row(slot: ServerSlot) -> usize {
    usize::from(slot.0)
}

fn listener_row(slot: ListenerSlot) -> usize {
    usize::from(slot.0)
}

impl WorkerMetrics {
    pub(super) fn new(cells: Arc<Cells>) -> Self {
        Self { cells, one_thread: PhantomData }
    }

    /// The worker runs on the calling thread from now on: its busy share is read from this thread's CPU time.
    pub fn runs_here(&self) {
        let id = rustix::thread::gettid().as_raw_nonzero().get();
        self.cells.thread.store(id.unsigned_abs(), Ordering::Relaxed);
    }

    /// The row of a server of the current snapshot. Keep it for the length of an attempt, so that what was counted up
    /// is counted down in the same row even when a reload comes between.
    #[must_use]
    pub fn server(&self, id: ServerId) -> ServerSlot {
        ServerSlot(self.cells.servers.at(id.index()))
    }

    /// A client request was answered, or given up by its client.
    pub fn finished(&self, done: &Finished) {
        let (class, role) = (done.class.index(), done.role.index());
        let code = CodeClass::of(done.status).index();
        let cells = &self.cells;
        cells.requests.add([listener_row(done.listener), class, role, code]);
        cells.statuses.add([StatusLabel::of(done.status).index()]);
        cells.methods.add([done.method.index(), class]);
        cells.request_duration.record([class, role], done.total);
        cells.overhead.record([class], done.total.saturating_sub(done.upstream));
    }

    /// One attempt: request sent to answer head.
    pub fn upstream_answered(&self, server: ServerSlot, class: Class, took: Duration) {
        self.cells.upstream_duration.record([server_row(server), class.index()], took);
    }

    pub fn prediction(&self, class: Class, outcome: PredictionOutcome) {
        self.cells.prediction.add([class.index(), outcome.index()]);
    }

    pub fn classification(&self, source: Source, class: Class) {
        self.cells.classification.add([source.index(), class.index()]);
    }

    pub fn consistency(&self, mode: ConsistencyMode, outcome: ConsistencyOutcome) {
        self.cells.consistency.add([mode.index(), outcome.index()]);
    }

    /// A read waited for its floor, with success or not.
    pub fn consistency_waited(&self, mode: ConsistencyMode, took: Duration) {
        self.cells.consistency_wait.record([mode.index()], took);
    }

    pub fn retry(&self, reason: RetryReason, class: Class, outcome: RetryOutcome) {
        self.cells.retries.add([reason.index(), class.index(), outcome.index()]);
    }

    /// A retry was due and the budget had none left.
    pub fn retry_budget_exhausted(&self) {
        self.cells.budget_exhausted.add([]);
    }

    pub fn rejected(&self, listener: ListenerSlot, reason: Rejected) {
        self.cells.rejected.add([listener_row(listener), reason.index()]);
    }

    pub fn connection_opened(&self, listener: ListenerSlot, proto: ClientProto, tls: TlsLabel) {
        self.cells.downstream.add([listener_row(listener), proto.index(), tls.index()]);
    }

    pub fn connection_closed(&self, listener: ListenerSlot, proto: ClientProto, tls: TlsLabel) {
        self.cells.downstream.sub([listener_row(listener), proto.index(), tls.index()]);
    }

    /// A write was sent and its outcome will never be known.
    pub fn in_doubt(&self, server: ServerSlot) {
        self.cells.in_doubt.add([server_row(server)]);
    }

    pub fn write_held(&self) {
        self.cells.writes_held.add([]);
    }

    pub fn write_released(&self, held: Duration) {
        self.cells.writes_held.sub([]);
        self.cells.writes_held_seconds.record([], held);
    }

    pub fn dropped(&self, what: Dropped) {
        self.cells.dropped.add([what.index()]);
    }
}

// === the worker's connections to servers ===
impl WorkerMetrics {
    pub fn in_flight_started(&self, server: ServerSlot) {
        self.cells.in_flight.add([server_row(server)]);
    }

    pub fn in_flight_ended(&self, server: ServerSlot) {
        self.cells.in_flight.sub([server_row(server)]);
    }

    /// Requests of this worker that wait for a connection to this server now: counted by its sweeper.
    pub fn set_pending(&self, server: ServerSlot, now: u64) {
        self.cells.pending.set([server_row(server)], now);
    }

    /// The balancer's score of this server, in millionths of its unit.
    pub fn server_load(&self, server: ServerSlot, millionths: u64) {
        self.cells.load.set([server_row(server)], millionths);
    }

    pub fn upstream_connect(&self, server: ServerSlot, result: ConnectResult) {
        self.cells.connects.add([server_row(server), result.index()]);
    }

    /// A pooled connection took another request.
    pub fn upstream_reused(&self, server: ServerSlot) {
        self.cells.reused.add([server_row(server)]);
    }

    /// Connections of this worker in this state now: counted by its sweeper, not per request.
    pub fn set_upstream_connections(&self, server: ServerSlot, state: ConnectionState, now: u64) {
        self.cells.connections.set([server_row(server), state.index()], now);
    }

    /// A bound of this server turned a request away.
    pub fn overflow(&self, server: ServerSlot, kind: OverflowKind) {
        self.cells.overflow.add([server_row(server), kind.index()]);
    }
}
