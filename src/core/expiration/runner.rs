//! The task of the active node that revokes what is due: a bounded batch a tick, so that a hundred thousand leases that
//! ended while the node was down go one after the other while requests are served.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use super::Expiration;
use crate::barrier::Transaction;
use crate::core::token_store::nanos;
use crate::logical::Fault;

/// A look at the queue each.
const TICK: Duration = Duration::from_millis(250);

/// Leases revoked a tick: 4,000 a second at most.
const BATCH: usize = 1000;

/// Tries before a lease is irrevocable, as Vault.
const MAX_TRIES: u32 = 6;

/// First pause after a failure; it doubles with each.
const PAUSE: Duration = Duration::from_secs(10);

/// The outcome of revoking, some time later.
pub type Revoking<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// What the runner needs of the node.
pub trait Revoker: Send + Sync + fmt::Debug {
    /// The moment, as requests see it.
    fn now(&self) -> OffsetDateTime;

    /// A transaction to read in, as of now; `None` when the node was sealed meanwhile.
    fn begin(&self) -> Option<Transaction>;

    /// Runs [`revoke`](super::revoke) with `only_due` and, when it gives a lease, the backend's revoke, in one transaction
    /// that it commits.
    fn revoke<'a>(&'a self, lease_id: &'a str) -> Revoking<'a>;

    /// Commits [`give_up`](super::give_up).
    fn give_up<'a>(&'a self, lease_id: &'a str, why: &'a str) -> Revoking<'a>;
}

impl Expiration {
    /// Revokes what is due until `shutdown` says `true` or is dropped.
    pub async fn run(self: Arc<Self>, core: Arc<dyn Revoker>, mut shutdown: watch::Receiver<bool>) {
        let mut tries = HashMap::new();
        while !*shutdown.borrow() {
            self.tick(&*core, &mut tries).await;
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                changed = shutdown.changed() => if changed.is_err() { break },
            }
        }
        self.stop();
    }

    /// One look. `tries` holds the failures so far of the leases that failed; bounded, as those are given up.
    pub(super) async fn tick(&self, core: &dyn Revoker, tries: &mut HashMap<String, u32>) {
        if let Err(error) = self.refresh(|| core.begin()) {
            tracing::warn!(%error, "leases could not be read; expiration tries again");
            return;
        }
        for id in self.due(core.now(), BATCH) {
            match core.revoke(&id).await {
                Ok(()) => {
                    tries.remove(&id);
                    // The commit's own notice may have come already; saying it again is harmless.
                    self.changed(0, Some(&format!("{}{id}", super::lease::IDS)));
                }
                Err(Fault::NeedsActive) => return,
                Err(fault) => self.failed(core, tries, id, &fault).await,
            }
        }
    }

    async fn failed(&self, core: &dyn Revoker, tries: &mut HashMap<String, u32>, id: String, fault: &Fault) {
        let count = *tries.entry(id.clone()).and_modify(|count| *count += 1).or_insert(1);
        let pause = PAUSE.saturating_mul(1 << count.min(MAX_TRIES));
        self.postpone(&id, nanos(core.now() + pause));
        if count >= MAX_TRIES && core.give_up(&id, &fault.to_string()).await.is_ok() {
            tries.remove(&id);
            tracing::error!(
                "a lease is irrevocable after {MAX_TRIES} tries; see sys/leases?type=irrevocable"
            );
        }
    }
}
