//! One member of the group: the consensus library on its own thread, and the handle everybody else holds.
//!
//! ```text
//!   callers ──propose──> raft thread ──append──> log (its own thread: write, fsync) ──flushed──> raft thread
//!      ^                  (in groups)                                                               │ committed
//!      └───────── verdict ───────── apply thread (machine: step, visible, observers) <──────────────┘
//! ```
//!
//! Nothing that blocks runs on the raft thread, so a slow disk or a checkpoint never delays a heartbeat.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, LogIdOptionExt, Raft, SnapshotPolicy};
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::group::{self, Proposer, Waiting};
use super::log::{LogFigures, LogStore};
use super::machine::{self, Applier, Machine};
use super::network::Alone;
use super::record::{Mark, Origin};
use super::types::{NodeId, Peer, Types, Verdict};

/// The log below the path of a node.
const LOG_DIRECTORY: &str = "raft";

/// Milliseconds. A leader is missed after at most [`ELECTION_MAX`], so a failover takes about a second.
const HEARTBEAT: u64 = 100;
const ELECTION_MIN: u64 = 400;
const ELECTION_MAX: u64 = 800;

/// Bytes of commands on their way; who comes later waits for room.
const IN_FLIGHT_BYTES: usize = 64 * 1024 * 1024;
/// The least a command counts for, in bytes: no more than 65,536 are on their way.
const LEAST_BYTES: usize = 1024;

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// An existing directory of this node alone.
    pub path: PathBuf,
    pub node_id: NodeId,
    /// What the others reach this node by.
    pub peer: Peer,
    /// Whether a node that belongs to no group yet makes one, with itself as the only voter.
    pub bootstrap: bool,
}

/// A node did not start. Nothing was changed.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is in use by another process", path.display())]
    Locked { path: PathBuf },
    #[error("{} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// A command was not agreed on, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProposeError {
    /// Certainly not in the log.
    #[error("this node does not lead")]
    NotLeader { leader: Option<NodeId> },
    /// Leadership was lost, or the node stopped, while it was under way.
    #[error("the outcome is not known")]
    Unknown,
}

/// A command is in the log for good and this node has applied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    /// Shared by commands that were agreed on at once.
    pub index: u64,
    pub verdict: Verdict,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub node_id: NodeId,
    pub term: u64,
    pub leader: Option<NodeId>,
    /// Index of the last entry known to be agreed on.
    pub committed: u64,
    /// Index of the last entry applied here.
    pub applied: u64,
    /// Index of the membership below.
    pub configured_at: u64,
    pub members: Vec<Member>,
    /// Why the node has stopped taking part, if it has.
    pub stopped: Option<String>,
}

/// One node of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: NodeId,
    pub address: String,
    pub is_voter: bool,
}

/// The handle. Dropping it stops the node and waits for its threads.
pub struct Node {
    raft: Raft<Types, Applier>,
    log: LogStore,
    queue: mpsc::UnboundedSender<Waiting>,
    in_flight: Arc<Semaphore>,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

type Metrics = openraft::RaftMetrics<Types>;

/// Starts a node over a machine and waits until it has applied what its log holds for certain; the only voter of a
/// group has then applied all that was ever acknowledged.
///
/// # Errors
/// See [`StartError`].
pub fn start(options: Options, machine: Box<dyn Machine>) -> Result<Node, StartError> {
    let directory = options.path.join(LOG_DIRECTORY);
    let grown = Arc::new(Notify::new());
    let io = |error| StartError::Io { path: options.path.clone(), error };
    let (applier, apply_thread) = machine::start(machine).map_err(io)?;
    let log = open_log(&directory, &grown)?;
    check(&directory, applier.mark(), &log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;

    let (stop, stopped) = oneshot::channel();
    let (started, outcome) = std::sync::mpsc::channel();
    // Bounded by `in_flight`.
    let (queue, queued) = mpsc::unbounded_channel();
    let (member, path) = (log.clone(), options.path.clone());
    let live = async move {
        match begin(options, member.clone(), applier).await {
            Ok(raft) => {
                drop(started.send(Ok(raft.clone())));
                tokio::spawn(group::run(raft.clone(), queued));
                keep(&raft, member, &grown, stopped).await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    };
    let raft_thread =
        std::thread::Builder::new().name("raft".to_owned()).spawn(move || runtime.block_on(live));
    let threads =
        vec![raft_thread.map_err(|error| StartError::Io { path: path.clone(), error })?, apply_thread];
    match outcome.recv() {
        Ok(Ok(raft)) => {
            let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_BYTES));
            Ok(Node { raft, log, queue, in_flight, stop: Some(stop), threads })
        }
        Ok(Err(error)) => Err(given_up(threads, StartError::Io { path, error })),
        Err(_) => Err(given_up(threads, StartError::Io { path, error: io::Error::other("it has stopped") })),
    }
}

/// The threads end by themselves; the files are free when they have.
fn given_up(threads: Vec<JoinHandle<()>>, error: StartError) -> StartError {
    join(threads);
    error
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a raft thread had panicked");
        }
    }
}

fn open_log(directory: &Path, grown: &Arc<Notify>) -> Result<LogStore, StartError> {
    let made = std::fs::create_dir_all(directory);
    let opened = made.and_then(|()| LogStore::open(directory, Arc::clone(grown)));
    opened.map_err(|error| not_opened(directory.to_owned(), error))
}

/// What the file system refused is for the operator to mend; anything else is about what the files hold.
fn not_opened(path: PathBuf, error: io::Error) -> StartError {
    use io::ErrorKind::{
        NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull, WouldBlock,
    };
    let refused = [NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull];
    if error.kind() == WouldBlock {
        StartError::Locked { path }
    } else if refused.contains(&error.kind()) {
        StartError::Io { path, error }
    } else {
        StartError::Damaged { path, reason: error.to_string() }
    }
}

/// A machine is never ahead of its log, unless it was just installed from a snapshot. A log without a vote behind a
/// machine that has applied something was removed: its node might vote a second time in a term.
fn check(directory: &Path, mark: &Mark, log: &LogStore) -> Result<(), StartError> {
    let damaged =
        |reason: &str| StartError::Damaged { path: directory.to_owned(), reason: reason.to_owned() };
    if mark.last.is_some() && !log.has_voted() {
        return Err(damaged("the log is gone, but the state it led to is not"));
    }
    if mark.origin == Origin::Applied && mark.last > log.last() {
        return Err(damaged("the log ends before the state it led to"));
    }
    Ok(())
}

async fn begin(options: Options, log: LogStore, applier: Applier) -> io::Result<Raft<Types, Applier>> {
    let config = Config {
        cluster_name: "understudy".to_owned(),
        heartbeat_interval: HEARTBEAT,
        election_timeout_min: ELECTION_MIN,
        election_timeout_max: ELECTION_MAX,
        enable_pre_vote: Some(true),
        // Both are decided by what the log weighs: see `shorten`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..Config::default()
    };
    let config = Arc::new(config.validate().map_err(io::Error::other)?);
    let last = log.last();
    let raft =
        Raft::new(options.node_id.clone(), config, Alone, log, applier).await.map_err(io::Error::other)?;
    if options.bootstrap && !raft.is_initialized().await.map_err(io::Error::other)? {
        let members = BTreeMap::from([(options.node_id.clone(), options.peer)]);
        raft.initialize(members).await.map_err(io::Error::other)?;
    }
    let voters =
        raft.with_raft_state(|state| state.membership_state.effective().voter_ids().collect::<Vec<_>>());
    if voters.await.map_err(io::Error::other)? == [options.node_id.clone()] {
        // An entry of its own term tells a leader that it has applied all of the terms before.
        let of_its_term =
            |now: &Metrics| now.last_applied.map(|id| id.leader_id.term) == Some(now.current_term);
        let leads = |now: &Metrics| now.current_leader.as_ref() == Some(&options.node_id);
        until(&raft, |now| leads(now) && of_its_term(now) && now.last_applied >= last).await?;
    }
    Ok(raft)
}

/// Waits for something to become true of the node.
async fn until(raft: &Raft<Types, Applier>, holds: impl Fn(&Metrics) -> bool) -> io::Result<()> {
    let mut metrics = raft.metrics();
    loop {
        {
            let now = metrics.borrow_and_update();
            if let Err(error) = &now.running_state {
                return Err(io::Error::other(error.to_string()));
            }
            if holds(&now) {
                return Ok(());
            }
        }
        metrics.changed().await.map_err(|_| io::Error::other("the node has stopped"))?;
    }
}

/// The life of a node.
async fn keep(raft: &Raft<Types, Applier>, log: LogStore, grown: &Notify, mut stop: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stop => break,
            () = grown.notified() => {}
        }
        tokio::select! {
            _ = &mut stop => break,
            result = shorten(raft, &log) => if let Err(error) = result {
                tracing::warn!(%error, "the raft log was not shortened");
            }
        }
    }
    if let Err(error) = raft.shutdown().await {
        tracing::error!(%error, "the raft task had failed");
    }
    if let Err(error) = log.close().await {
        tracing::error!(%error, "the raft log was not closed cleanly");
    }
}

/// Makes the machine durable and drops what the log holds beyond its bound.
async fn shorten(raft: &Raft<Types, Applier>, log: &LogStore) -> io::Result<()> {
    let Some(surplus) = log.surplus() else { return Ok(()) };
    raft.trigger().snapshot().await.map_err(io::Error::other)?;
    until(raft, |now| now.snapshot.next_index() > surplus).await?;
    raft.trigger().purge_log(surplus).await.map_err(io::Error::other)
}

// === impl Node ===

impl Node {
    /// Has a command agreed on and applied. Dropping the future does not take it back.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, command: Bytes) -> Result<Proposed, ProposeError> {
        let stopped = || ProposeError::NotLeader { leader: None };
        let bytes = command.len().clamp(LEAST_BYTES, IN_FLIGHT_BYTES);
        let weight = u32::try_from(bytes).expect("no more than what is in flight");
        let room = Arc::clone(&self.in_flight).acquire_many_owned(weight).await.map_err(|_| stopped())?;
        let (told, outcome) = oneshot::channel();
        let proposer = Proposer { told, room };
        self.queue.send(Waiting { command, proposer }).map_err(|_| stopped())?;
        outcome.await.map_err(|_| ProposeError::Unknown)?
    }

    #[must_use]
    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let now = metrics.borrow_watched();
        let membership = now.membership_config.membership();
        let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
        let member = |(id, peer): (&NodeId, &Peer)| Member {
            id: id.clone(),
            address: peer.address.clone(),
            is_voter: voters.contains(id),
        };
        Status {
            node_id: now.id.clone(),
            term: now.current_term,
            leader: now.current_leader.clone(),
            committed: now.cluster_committed.map_or(0, |id| id.index),
            applied: now.last_applied.map_or(0, |id| id.index),
            configured_at: now.membership_config.log_id().map_or(0, |id| id.index),
            members: membership.nodes().map(member).collect(),
            stopped: now.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    #[must_use]
    pub fn log_figures(&self) -> LogFigures {
        self.log.figures()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop = None; // a dropped sender is the signal
        join(std::mem::take(&mut self.threads));
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?})", self.status())
    }
}
