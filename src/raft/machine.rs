//! What agreed commands are applied to, and the one thread that does it.
//!
//! The consensus library hands over committed entries; the thread applies them in steps, answers whoever proposed them,
//! and makes the machine durable every [`CHECKPOINT_BYTES`]: between checkpoints the log is what survives a crash.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::oneshot;

use super::record::{Mark, Origin};
use super::types::{LogId, Membership, SnapshotMeta, StoredMembership, Types, Verdict, Verdicts};

/// Commands after which a step takes no further entry.
const STEP: usize = 512;
/// Bytes of commands after which a step takes no more.
const STEP_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of commands between two checkpoints: a checkpoint of this much takes a few hundredths of a second.
const CHECKPOINT_BYTES: usize = 16 * 1024 * 1024;

/// A state that is changed by commands, the same way on every node. Called from one thread.
pub trait Machine: Send + fmt::Debug + 'static {
    /// The mark given with the last step that survived; `None`: there was none.
    ///
    /// # Errors
    /// The state cannot be read or is damaged.
    fn mark(&self) -> io::Result<Option<Bytes>>;

    /// Applies a step as a whole, visible when this returns.
    ///
    /// # Errors
    /// Nothing of the step happened. The node stops: its log holds the step for the next start.
    fn apply(&mut self, step: &Step<'_>) -> io::Result<Vec<Verdict>>;

    /// Makes every step so far durable.
    ///
    /// # Errors
    /// It may not be.
    fn checkpoint(&mut self) -> io::Result<()>;

    /// A consistent copy to be read while steps go on.
    ///
    /// # Errors
    /// The state cannot be read.
    fn image(&self) -> io::Result<Box<dyn Image>>;

    /// Replaces everything by what an [`Image`] gave, durably and as a whole.
    ///
    /// # Errors
    /// Nothing was changed.
    fn install(&mut self, image: &mut dyn Read, index: u64, mark: &[u8]) -> io::Result<()>;
}

/// Some commands in the order of the log.
#[derive(Debug)]
pub struct Step<'a> {
    /// Each with its index: those that were agreed on at once have the same.
    pub commands: &'a [(u64, Bytes)],
    /// The index after this step: at least that of the last command.
    pub index: u64,
    /// To be kept with the state.
    pub mark: &'a [u8],
    /// Whether the step must survive a crash, and with it all before.
    pub durable: bool,
}

/// The state at one index.
pub trait Image: Send + fmt::Debug {
    /// Bytes that [`Image::read`] gives.
    ///
    /// # Errors
    /// The state cannot be read.
    fn size(&self) -> io::Result<u64>;

    /// The state as a stream. It is never in memory as a whole.
    ///
    /// # Errors
    /// The state cannot be read.
    fn read(&self) -> io::Result<Box<dyn Read + Send>>;
}

/// A snapshot on its way: an image of this node, or one received whole by it.
pub(super) type Snapshot = Box<dyn Image>;

type Done<T> = oneshot::Sender<io::Result<T>>;

enum Work {
    Apply(Batch, Done<()>),
    Image(Done<(Mark, Snapshot)>),
    Install(Snapshot, Mark, Done<()>),
}

/// Committed entries that become one step.
struct Batch {
    commands: Vec<(u64, Bytes)>,
    bytes: usize,
    /// Whoever waits for the commands at these places.
    waiters: Vec<(Range<usize>, ApplyResponder<Types>)>,
    mark: Mark,
}

/// The thread.
struct Worker {
    machine: Box<dyn Machine>,
    mark: Mark,
    /// Bytes of commands since the last checkpoint.
    volatile: usize,
}

/// The end of the thread that the consensus library holds.
#[derive(Debug)]
pub(super) struct Applier {
    work: mpsc::Sender<Work>,
    mark: Mark,
}

/// Starts the thread. It ends when the applier and everything it handed out are gone.
///
/// # Errors
/// The machine's mark cannot be read, or there is no thread to be had.
pub(super) fn start(machine: Box<dyn Machine>) -> io::Result<(Applier, JoinHandle<()>)> {
    let mark = machine.mark()?.map(Mark::decode).transpose()?.unwrap_or_default();
    let (work, queue) = mpsc::channel();
    let mut worker = Worker { machine, mark: mark.clone(), volatile: 0 };
    let thread =
        std::thread::Builder::new().name("raft-apply".to_owned()).spawn(move || worker.run(&queue))?;
    Ok((Applier { work, mark }, thread))
}

// === impl Worker ===

impl Worker {
    fn run(&mut self, queue: &mpsc::Receiver<Work>) {
        while let Ok(work) = queue.recv() {
            match work {
                Work::Apply(batch, done) => tell(done, self.apply(batch)),
                Work::Image(done) => tell(done, self.image()),
                Work::Install(image, mark, done) => tell(done, self.install(&*image, mark)),
            }
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the store was closed without a checkpoint: the next start takes longer");
        }
    }

    fn apply(&mut self, batch: Batch) -> io::Result<()> {
        let index = batch.mark.last.map_or(0, |last| last.index);
        let durable = self.volatile + batch.bytes >= CHECKPOINT_BYTES;
        let mark = batch.mark.encode();
        let step = Step { commands: &batch.commands, index, mark: &mark, durable };
        let verdicts = self.machine.apply(&step)?;
        self.volatile = if durable { 0 } else { self.volatile + batch.bytes };
        self.mark = batch.mark;
        for (places, waiter) in batch.waiters {
            waiter.send(Verdicts(verdicts.get(places).unwrap_or_default().to_vec()));
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        self.machine.checkpoint()?;
        self.volatile = 0;
        Ok(())
    }

    /// Durable first: the log may be shortened up to it.
    fn image(&mut self) -> io::Result<(Mark, Snapshot)> {
        self.checkpoint()?;
        Ok((self.mark.clone(), self.machine.image()?))
    }

    fn install(&mut self, image: &dyn Image, mark: Mark) -> io::Result<()> {
        let index = mark.last.map_or(0, |last| last.index);
        self.machine.install(&mut image.read()?, index, &mark.encode())?;
        (self.mark, self.volatile) = (mark, 0);
        Ok(())
    }
}

/// Nobody waits any more where the node is stopping.
fn tell<T>(done: Done<T>, result: io::Result<T>) {
    drop(done.send(result));
}

// === impl Applier ===

impl Applier {
    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    async fn ask<T>(&self, work: impl FnOnce(Done<T>) -> Work) -> io::Result<T> {
        ask(&self.work, work).await
    }
}

async fn ask<T>(queue: &mpsc::Sender<Work>, work: impl FnOnce(Done<T>) -> Work) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    let stopped = || io::Error::other("the state machine has stopped");
    queue.send(work(done)).map_err(|_| stopped())?;
    result.await.map_err(|_| stopped())?
}

async fn snapshot(queue: &mpsc::Sender<Work>) -> io::Result<openraft::alias::SnapshotOf<Types, Snapshot>> {
    let (mark, image) = ask(queue, Work::Image).await?;
    let meta = SnapshotMeta { last_log_id: mark.last, last_membership: mark.membership };
    Ok(openraft::Snapshot { meta, snapshot: image })
}

// === impl Batch ===

impl Batch {
    fn after(mark: &Mark) -> Self {
        let mark = Mark { origin: Origin::Applied, ..mark.clone() };
        Self { commands: Vec::new(), bytes: 0, waiters: Vec::new(), mark }
    }

    fn is_full(&self) -> bool {
        self.commands.len() >= STEP || self.bytes >= STEP_BYTES
    }

    fn push(&mut self, (entry, waiter): EntryResponder<Types>) {
        let id = entry.log_id;
        let first = self.commands.len();
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(commands) => {
                self.bytes += commands.0.iter().map(Bytes::len).sum::<usize>();
                self.commands.extend(commands.0.into_iter().map(|command| (id.index, command)));
            }
            EntryPayload::Membership(membership) => self.membership(id, membership),
        }
        self.mark.last = Some(id);
        self.waiters.extend(waiter.map(|waiter| (first..self.commands.len(), waiter)));
    }

    fn membership(&mut self, id: LogId, membership: Membership) {
        self.mark.membership = StoredMembership::new(Some(id), membership);
    }
}

impl RaftStateMachine<Types> for Applier {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.mark.last, self.mark.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut batch = Batch::after(&self.mark);
        loop {
            let entry = entries.next().await.transpose()?;
            let ended = entry.is_none();
            entry.into_iter().for_each(|entry| batch.push(entry));
            if batch.is_full() || (ended && batch.mark.last != self.mark.last) {
                let mark = batch.mark.clone();
                let next = Batch::after(&mark);
                let batch = std::mem::replace(&mut batch, next);
                self.ask(|done| Work::Apply(batch, done)).await?;
                self.mark = mark;
            }
            if ended {
                return Ok(());
            }
        }
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(self.work.clone())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Snapshot) -> io::Result<()> {
        let mark = Mark {
            origin: Origin::Installed,
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        let kept = mark.clone();
        self.ask(|done| Work::Install(snapshot, kept, done)).await?;
        self.mark = mark;
        Ok(())
    }

    /// Always of this moment: the state itself is the snapshot.
    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<openraft::alias::SnapshotOf<Types, Snapshot>>> {
        match self.mark.last {
            Some(_) => snapshot(&self.work).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Makes the state durable and hands out an image of it.
#[derive(Debug)]
pub(super) struct Builder(mpsc::Sender<Work>);

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> io::Result<openraft::alias::SnapshotOf<Types, Snapshot>> {
        snapshot(&self.0).await
    }
}
