//! What a node does on its own: while it is open, leases end, backends tidy up, removed mounts are wiped and keys are
//! looked after; when it is sealed, it is cleared. One thread.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::Node;
use super::authority::NodeAuthority;
use crate::barrier::{Mode, Transaction};
use crate::core::expiration::{self, Revoker, Revoking};
use crate::core::router::Mounted;
use crate::logical::Fault;
use crate::seal::SealManager;
use crate::storage::CommitError;
use crate::system::leases::LeaseBackends;

/// Between two looks at what removed mounts left behind.
const WIPE: Duration = Duration::from_secs(1);
/// Between two turns of the backends' own periodic work.
const TICK: Duration = Duration::from_mins(1);
/// Between two looks at the keys.
const TEND: Duration = Duration::from_mins(5);
/// How often a step that lost a race is run again.
const MAX_RUNS: u32 = 16;

/// The expiration's hands.
#[derive(Debug)]
struct Hands {
    node: Arc<Node>,
    authority: NodeAuthority,
}

/// Starts the thread; it ends when `open`'s sender is dropped.
///
/// # Errors
/// No thread could be started.
pub(super) fn start(node: &Arc<Node>, open: watch::Receiver<bool>) -> std::io::Result<()> {
    let clearing = SealManager::clear_when_sealed(Arc::downgrade(&node.seal), node.core.barrier.watch());
    let (node, runtime) =
        (Arc::downgrade(node), tokio::runtime::Builder::new_current_thread().enable_all().build()?);
    let work = move || {
        runtime.block_on(async { tokio::join!(run(|| node.upgrade(), open), clearing) });
    };
    std::thread::Builder::new().name("background".to_owned()).spawn(work).map(drop)
}

async fn run(node: impl Fn() -> Option<Arc<Node>>, mut open: watch::Receiver<bool>) {
    while open.wait_for(|open| *open).await.is_ok() {
        let Some(node) = node() else { return };
        let (closed, closing) = watch::channel(false);
        let core = &node.core;
        let authority = NodeAuthority::new(
            Arc::clone(&core.mounts),
            Arc::clone(&core.identity),
            Arc::clone(&node.policies),
        );
        let hands = Arc::new(Hands { authority, node });
        let expiring =
            Arc::clone(&hands.node.expiration).run(Arc::clone(&hands) as Arc<dyn Revoker>, closing);
        let until_closed = async {
            // An error is the end of the node: the same.
            drop(open.wait_for(|open| !*open).await);
            closed.send_replace(true);
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(expiring, until_closed) } => {}
            () = hands.upkeep() => {}
        }
    }
}

// === impl Hands ===

impl Hands {
    async fn upkeep(&self) {
        let (mut wipe, mut tick) = (tokio::time::interval(WIPE), tokio::time::interval(TICK));
        let mut tend = tokio::time::interval(TEND);
        loop {
            tokio::select! {
                _ = wipe.tick() => self.wipe().await,
                _ = tick.tick() => {
                    self.tick_backends().await;
                    self.remove_expired_policies().await;
                }
                _ = tend.tick() => self.tend_keys().await,
            }
        }
    }

    async fn tend_keys(&self) {
        if let Err(error) = self.node.seal.tend(OffsetDateTime::now_utc()).await {
            tracing::warn!(%error, "the keys could not be looked after");
        }
    }

    async fn wipe(&self) {
        loop {
            let mut more = false;
            let outcome = self
                .in_transaction(|tx| {
                    more = self.node.core.mounts.wipe_step(tx)?;
                    Ok(())
                })
                .await;
            match outcome {
                Ok(()) if more => {}
                Ok(()) => return,
                Err(fault) => {
                    return tracing::warn!(%fault, "what a removed mount left behind is still there");
                }
            }
        }
    }

    async fn remove_expired_policies(&self) {
        let remove = |tx: &mut Transaction| self.node.policies.remove_expired(tx, OffsetDateTime::now_utc());
        if let Err(fault) = self.in_transaction(remove).await {
            tracing::warn!(%fault, "expired policies are still there, though they allow nothing");
        }
    }

    async fn tick_backends(&self) {
        let mounts: Vec<Arc<Mounted>> = self.node.core.mounts.router().mounts().map(Arc::clone).collect();
        for mounted in mounts {
            let tick = |tx: &mut Transaction| {
                mounted.with(tx, &Map::new(), OffsetDateTime::now_utc(), |call| mounted.backend.tick(call))
            };
            if let Err(fault) = self.in_transaction(tick).await {
                tracing::warn!(kind = %mounted.entry.kind, %fault, "the periodic work of a mount failed");
            }
        }
    }

    /// Runs `work` and commits it; again when a concurrent change came first. A sealed node does nothing.
    async fn in_transaction(
        &self,
        mut work: impl FnMut(&mut Transaction) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for _ in 0..MAX_RUNS {
            let Ok(mut tx) = self.node.core.barrier.begin(Mode::ReadWrite) else { return Ok(()) };
            work(&mut tx)?;
            match self.node.core.barrier.commit(tx).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(CommitError::NotWritable) => return Err(Fault::NeedsActive),
                Err(error) => return Err(Fault::Internal(error.to_string())),
            }
        }
        Err(Fault::Internal("too many concurrent changes".to_owned()))
    }

    fn end(&self, tx: &mut Transaction, id: &str) -> Result<(), Fault> {
        match expiration::revoke(tx, &self.node.core.tokens, id, true, self.now())? {
            Some(revoked) => self.authority.revoke(tx, &revoked.lease),
            None => Ok(()),
        }
    }
}

impl Revoker for Hands {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn begin(&self) -> Option<Transaction> {
        self.node.core.barrier.begin(Mode::ReadOnly).ok()
    }

    fn revoke<'a>(&'a self, lease_id: &'a str) -> Revoking<'a> {
        Box::pin(self.in_transaction(move |tx| self.end(tx, lease_id)))
    }

    fn give_up<'a>(&'a self, lease_id: &'a str, why: &'a str) -> Revoking<'a> {
        Box::pin(self.in_transaction(move |tx| Ok(expiration::give_up(tx, lease_id, why)?)))
    }
}
