//! The durable log: `raft-log` behind the traits of the consensus library, with group commit.
//!
//! At most one flush is under way. What is appended meanwhile waits in the log's buffer and goes with the next one, so
//! many writers share an `fsync`; the thread that finished a flush starts the next before it tells anybody.
//!
//! ```text
//!   append ──> buffer ──> flush (1 write, 1 fdatasync) ──> next flush started ──> those who waited are told
//! ```
//!
//! Disks: what is acknowledged is synced. A record that was never finished is cut off when the log is opened; anything
//! else that does not match its checksum is damage, and the log is not opened.

mod codec;

use std::fmt;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::{LogIdOptionExt, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::{Config, RaftLog};
use tokio::sync::Notify;

use self::codec::{Payload, Position, StoredVote};
use super::types::{Entry, LogId, Types, Vote};

/// A file of the log is full at this many bytes or records; files are removed whole.
const FILE_BYTES: usize = 16 * 1024 * 1024;
const FILE_RECORDS: usize = 64 * 1024;
/// Full files kept when the log is shortened, for nodes that were away: at most 64 MiB or 262,144 records.
pub(super) const FILES_KEPT: usize = 4;
/// Bytes of entries held in memory beside the file that is open.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Entries read at once to be applied.
const READ_AHEAD: u64 = 512;

/// The types `raft-log` is parametrised with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Records;

impl raft_log::Types for Records {
    type LogId = Position;
    type LogPayload = Payload;
    type Vote = StoredVote;
    type Callback = Flushed;
    type UserData = ();

    fn log_index(position: &Position) -> u64 {
        position.index
    }

    fn payload_size(payload: &Payload) -> u64 {
        payload.len() as u64
    }
}

type Waiter = IOFlushed<Types>;

/// See the module. Clones share one log.
#[derive(Clone)]
pub(super) struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    log: Mutex<Grouped>,
    /// Told each time about a file's worth was appended.
    grown: Arc<Notify>,
}

struct Grouped {
    log: RaftLog<Records>,
    /// Invariant: empty unless `flushing`.
    waiting: Vec<Waiter>,
    flushing: bool,
    /// Records and bytes appended since `grown` was told.
    records: usize,
    bytes: usize,
}

/// Those whose records are in one flush.
struct Flushed {
    told: Vec<Waiter>,
    shared: Weak<Shared>,
}

/// Numbers of the log since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogFigures {
    pub syncs: u64,
    pub written_bytes: u64,
    pub disk_bytes: u64,
}

// === impl LogStore ===

impl LogStore {
    /// Opens or creates the log in `directory`, which exists. `grown` is told each time a file's worth was
    /// appended.
    ///
    /// # Errors
    /// It is damaged, in use (`WouldBlock`) or cannot be read.
    pub(super) fn open(directory: &Path, grown: Arc<Notify>) -> io::Result<Self> {
        let mut config = Config::new(directory.display());
        config.log_cache_capacity = Some(CACHE_BYTES);
        config.wal.chunk_max_size = Some(FILE_BYTES);
        config.wal.chunk_max_records = Some(FILE_RECORDS);
        config.wal.read_buffer_size = Some(FILE_BYTES);
        // Flushes are grouped here, and never wait for company.
        config.wal.flush_batch_wait = Some(Duration::ZERO);
        // What is on its way is bounded where commands are proposed; waiting here would hold the lock.
        config.wal.flush_queue_max_bytes = Some(usize::MAX);
        let log = RaftLog::open(Arc::new(config))?;
        let log = Grouped { log, waiting: Vec::new(), flushing: false, records: 0, bytes: 0 };
        Ok(Self { shared: Arc::new(Shared { log: Mutex::new(log), grown }) })
    }

    /// Up to which entry the log may be shortened so that [`FILES_KEPT`] full files stay.
    pub(super) fn surplus(&self) -> Option<u64> {
        let stat = self.shared.log.lock().log.stat();
        let surplus = stat.closed_chunks.len().checked_sub(FILES_KEPT + 1)?;
        stat.closed_chunks.get(surplus)?.log_state.last().map(|position| position.index)
    }

    pub(super) fn figures(&self) -> LogFigures {
        let log = self.shared.log.lock();
        let flushes = log.log.stat().flush_metrics;
        LogFigures {
            syncs: flushes.sync_batch_count,
            written_bytes: flushes.write_bytes,
            disk_bytes: log.log.on_disk_size(),
        }
    }

    /// The last entry, whether or not it is on the disk yet.
    pub(super) fn last(&self) -> Option<LogId> {
        self.shared.log.lock().log.log_state().last().map(|position| (*position).into())
    }

    pub(super) fn has_voted(&self) -> bool {
        self.shared.log.lock().log.log_state().vote().is_some()
    }

    /// Makes everything durable and closes the log. Nothing may be under way any more.
    ///
    /// # Errors
    /// The last records may not be on the disk.
    pub(super) async fn close(self) -> io::Result<()> {
        self.sync(|_| Ok(())).await
    }

    /// Changes the log and waits until the change is durable.
    async fn sync<T>(&self, change: impl FnOnce(&mut RaftLog<Records>) -> io::Result<T>) -> io::Result<()> {
        let (told, done) = Types::oneshot();
        {
            let mut log = self.shared.log.lock();
            change(&mut log.log)?;
            self.shared.submit(&mut log, Waiter::signal(told));
        }
        done.await.map_err(|_| io::Error::other("the log has stopped"))?
    }

    fn read(&self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        let log = self.shared.log.lock();
        let read = log.log.read(from, to);
        read.map(|record| record.and_then(|(position, payload)| payload.into_entry(position))).collect()
    }
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogStore(last {:?})", self.last())
    }
}

impl Shared {
    fn submit(self: &Arc<Self>, log: &mut Grouped, waiter: Waiter) {
        log.waiting.push(waiter);
        if !log.flushing {
            self.flush(log);
        }
    }

    fn flush(self: &Arc<Self>, log: &mut Grouped) {
        let told = std::mem::take(&mut log.waiting);
        log.flushing = true;
        let flushed = Flushed { told, shared: Arc::downgrade(self) };
        if let Err(error) = log.log.flush(true, Some(flushed)) {
            // Those who waited went with the request and were told as it was dropped.
            tracing::error!(%error, "the raft log cannot be written any more");
        }
    }

    /// A flush has ended.
    fn next(self: &Arc<Self>) {
        let mut log = self.log.lock();
        match log.waiting.is_empty() {
            true => log.flushing = false,
            false => self.flush(&mut log),
        }
    }
}

/// Called from the log's own thread.
impl raft_log::Callback for Flushed {
    fn send(mut self, result: io::Result<()>) {
        // The handle is gone again before anybody is told, so the last one is never dropped by this thread.
        if let Some(shared) = self.shared.upgrade() {
            shared.next();
        }
        for waiter in self.told.drain(..) {
            waiter.io_completed(copy(&result));
        }
    }
}

/// The log's thread has ended before it came to this flush.
impl Drop for Flushed {
    fn drop(&mut self) {
        for waiter in self.told.drain(..) {
            waiter.io_completed(Err(io::Error::other("the log has stopped")));
        }
    }
}

fn copy(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + fmt::Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (from, to) = bounds(&range);
        self.read(from, to)
    }

    /// A few at a time: what is to be applied after a start may be more than memory should hold.
    async fn entries_stream<RB: RangeBounds<u64> + Clone + fmt::Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend {
        let (from, to) = bounds(&range);
        let log = self.clone();
        let mut parts = (from..to).step_by(READ_AHEAD as usize);
        let mut part = Vec::new().into_iter();
        futures_util::stream::iter(std::iter::from_fn(move || {
            loop {
                if let Some(entry) = part.next() {
                    return Some(Ok(entry));
                }
                let start = parts.next()?;
                match log.read(start, to.min(start.saturating_add(READ_AHEAD))) {
                    Ok(read) => part = read.into_iter(),
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.log.lock().log.log_state().vote().map(|vote| vote.0.clone()))
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let log = self.shared.log.lock();
        let state = log.log.log_state();
        Ok(LogState {
            last_purged_log_id: state.purged().map(|position| (*position).into()),
            last_log_id: state.last().map(|position| (*position).into()),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.sync(|log| log.save_vote(StoredVote(vote.clone()))).await
    }

    /// Not waited for: after a restart the log itself says what was acknowledged (see `start`), this only shortens it.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed.map(Position::from) else { return Ok(()) };
        let mut log = self.shared.log.lock();
        let state = log.log.log_state();
        // A snapshot is installed before the log says so.
        if state.last() >= Some(&committed) && state.committed() < Some(&committed) {
            log.log.commit(committed)?;
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.log.lock().log.log_state().committed().map(|position| (*position).into()))
    }

    async fn append<I>(&mut self, entries: I, callback: Waiter) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut log = self.shared.log.lock();
        for entry in entries {
            let (position, payload) = (Position::from(entry.log_id), Payload::of(entry));
            log.records += 1;
            log.bytes += payload.len();
            log.log.append([(position, payload)])?;
        }
        self.shared.submit(&mut log, callback);
        if log.records >= FILE_RECORDS || log.bytes >= FILE_BYTES {
            (log.records, log.bytes) = (0, 0);
            self.shared.grown.notify_one();
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let keep = last.map(Position::from);
        let nothing_behind = self.shared.log.lock().log.log_state().last() <= keep.as_ref();
        match nothing_behind {
            true => Ok(()),
            false => self.sync(|log| log.truncate(last.next_index())).await,
        }
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        // Files are removed behind a sync.
        self.sync(|log| log.purge(upto.into())).await
    }
}
