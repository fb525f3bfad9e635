//! Group commit of a local store: one thread takes what has queued up and commits it in one durable step.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use redb::Durability;
use tokio::sync::{mpsc, oneshot};

use super::command::{self, Command};
use super::space::Space;
use super::table::{Batch, Table, check_bounds, size};
use super::{Changes, CommitError, CommitIndex, Committing, Observer, Snapshot, Storage};

/// Transactions waiting for the thread; who comes later waits for a place.
const QUEUE: usize = 1024;
/// Transactions of one batch.
const BATCH: usize = 512;
/// Bytes of one batch after which it takes no more.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

type Answer = oneshot::Sender<Result<CommitIndex, CommitError>>;

struct Job {
    changes: Changes,
    answer: Answer,
}

/// A store of this process alone: the table and its writer.
#[derive(Debug)]
pub(super) struct Local {
    table: Arc<Table>,
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    kind: &'static str,
}

// === impl Local ===

impl Local {
    /// `place`: where the disk may fill up; none for a store in memory.
    ///
    /// # Errors
    /// No thread could be started.
    pub(super) fn start(
        table: Table,
        kind: &'static str,
        durability: Durability,
        place: Option<PathBuf>,
    ) -> std::io::Result<Self> {
        let table = Arc::new(table);
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writer = Arc::clone(&table);
        let space = place.map(Space::below);
        let thread = std::thread::Builder::new()
            .name(format!("storage-{kind}"))
            .spawn(move || work(&writer, jobs, durability, space.as_ref()))?;
        Ok(Self { table, queue: Some(queue), thread: Some(thread), kind })
    }

    async fn run(&self, changes: Changes) -> Result<CommitIndex, CommitError> {
        check_bounds(&changes)?;
        let (answer, outcome) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(CommitError::NotWritable)?;
        queue.send(Job { changes, answer }).await.map_err(|_| CommitError::NotWritable)?;
        outcome.await.map_err(|_| CommitError::Unknown)?
    }
}

impl Storage for Local {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.table.view()
    }

    fn commit(&self, changes: Changes) -> Committing<'_> {
        Box::pin(self.run(changes))
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.table.observe(observer);
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn is_replicated(&self) -> bool {
        false
    }
}

/// Waits for the thread, so that the file is free when this returns.
impl Drop for Local {
    fn drop(&mut self) {
        self.queue = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(kind = self.kind, "the storage writer had panicked");
        }
    }
}

fn work(table: &Table, mut jobs: mpsc::Receiver<Job>, durability: Durability, space: Option<&Space>) {
    while let Some(first) = jobs.blocking_recv() {
        let jobs = gather(first, &mut jobs);
        let needed = jobs.iter().map(|job| size(&job.changes)).sum();
        let indexes = table.view().index() + 1..;
        let (commands, answers): (Vec<(CommitIndex, Command)>, Vec<_>) = jobs
            .into_iter()
            .zip(indexes)
            .map(|(job, index)| (command::transaction((index, job.changes)), job.answer))
            .unzip();
        let index = commands.last().map_or(0, |(index, _)| *index);
        let outcome = match space.is_none_or(|space| space.has(needed)) {
            true => table.apply(&Batch { commands: &commands, index, mark: None, durability }),
            false => Err(CommitError::Full),
        };
        reply(answers, outcome);
    }
}

/// What is queued already, within the bounds of a batch.
fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = size(&first.changes);
    let mut batch = vec![first];
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += size(&job.changes);
        batch.push(job);
    }
    batch
}

fn reply(answers: Vec<Answer>, outcome: Result<super::table::Outcomes, CommitError>) {
    match outcome {
        Ok(outcomes) => answers.into_iter().zip(outcomes).for_each(|(answer, outcome)| tell(answer, outcome)),
        Err(error) => answers.into_iter().for_each(|answer| tell(answer, Err(error.clone()))),
    }
}

/// Nobody waits any more where the future was dropped.
fn tell(answer: Answer, outcome: Result<CommitIndex, CommitError>) {
    drop(answer.send(outcome));
}
