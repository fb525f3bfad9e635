//! Group commit: commands that come while others are under way share the next entry of the log.
//!
//! ```text
//!   propose ──> queue ──> one entry: one append, one fdatasync, one step of the machine ──> every proposer is told
//!                └────── gathers while the entry before is under way ──────┘
//! ```
//!
//! What an entry costs (threads that wake each other, a sync, a commit of the table) is then paid once for all that
//! came during the one before: the more writers there are, the less each costs. A lone writer waits for nobody. With
//! two entries under way groups are half as large, and fewer commands get through.

use bytes::Bytes;
use openraft::Raft;
use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::answer::Answer;
use super::machine::Applier;
use super::node::{ProposeError, Proposed};
use super::types::{Commands, Types, Verdict};

/// Commands of one entry.
const GROUP: usize = 512;
/// Bytes of an entry's commands after which it takes no more.
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// A command and who waits for it.
pub(super) struct Waiting {
    pub(super) command: Bytes,
    pub(super) proposer: Proposer,
}

/// Told once. The room its command takes is given back then, even if nobody listens any more.
pub(super) struct Proposer {
    pub(super) told: oneshot::Sender<Result<Proposed, ProposeError>>,
    pub(super) room: OwnedSemaphorePermit,
}

/// Proposes what comes through `queue`, which is bounded by the room its commands take, until it is closed or the node
/// has stopped.
pub(super) async fn run(raft: Raft<Types, Applier>, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let mut gathered = Vec::new();
    loop {
        if gathered.is_empty() && queue.recv_many(&mut gathered, GROUP).await == 0 {
            return;
        }
        let group = gathered.drain(..within_bounds(&gathered));
        let (commands, proposers): (Vec<Bytes>, Vec<Proposer>) =
            group.map(|one| (one.command, one.proposer)).unzip();
        let (ended, end) = oneshot::channel::<()>();
        let answer = Answer::new(move |result| {
            tell(proposers, &result);
            drop(ended);
        });
        if raft.client_write_ff(Commands(commands), Some(answer)).await.is_err() {
            return;
        }
        // Nothing is sent: it ends when it is dropped, told or not.
        drop(end.await);
    }
}

/// How many of these one entry takes; at least one.
fn within_bounds(gathered: &[Waiting]) -> usize {
    let before = gathered.iter().scan(0, |bytes, one| {
        let before = *bytes;
        *bytes += one.command.len();
        Some(before)
    });
    before.take_while(|before| *before < GROUP_BYTES).count()
}

fn tell(proposers: Vec<Proposer>, result: &ClientWriteResult<Types>) {
    for (place, Proposer { told, room }) in proposers.into_iter().enumerate() {
        drop(room);
        // Nobody waits any more where the future was dropped.
        drop(told.send(outcome(result, place)));
    }
}

fn outcome(result: &ClientWriteResult<Types>, place: usize) -> Result<Proposed, ProposeError> {
    match result {
        Ok(done) => {
            let verdict = done.data.0.get(place).copied().unwrap_or(Verdict::Accepted);
            Ok(Proposed { index: done.log_id.index, verdict })
        }
        Err(ClientWriteError::ForwardToLeader(to)) => {
            Err(ProposeError::NotLeader { leader: to.leader_id.clone() })
        }
        Err(
            ClientWriteError::LogEntryDiscarded(_)
            | ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_),
        ) => Err(ProposeError::Unknown),
    }
}
