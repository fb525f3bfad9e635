//! The owner of the seal on one node: it initialises, unseals, tends the keys, and has the node loaded and cleared.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::config::{Method, Split};
use super::follow::KeyringFollower;
use super::generate_root::GenerateRoot;
use super::init::{InitRequest, NewShares, Plan, PlanError};
use super::kept::{self, KeptError, RenewError};
use super::proof::{self, ProofError};
use super::rekey::{Rekey, Target};
use super::shamir::{self, CombineError, Share};
use super::unseal::Unsealing;
use crate::barrier::{
    self, Barrier, Keyring, KeysError, Mode, RotateError, SecretKey, StoreError, Transaction,
};
use crate::storage::{CommitError, StorageError};

/// Values sealed before their count is written down. A crash forgets at most so many, far below the tenth that
/// [`MAX_OPERATIONS`](crate::barrier::MAX_OPERATIONS) keeps back.
const COUNT_EVERY: u64 = 1_000_000;

/// The outcome of loading, some time later.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// What a node has inside its barrier. Called one at a time.
pub trait Inside: Send + Sync + fmt::Debug {
    /// Writes the first contents of a new store; the root token.
    ///
    /// # Errors
    /// Said to the operator; nothing is initialised.
    fn found(&self, tx: &mut Transaction) -> Result<Zeroizing<String>, String>;

    /// Loads what requests need; the barrier has its keys, requests do not come yet.
    ///
    /// # Errors
    /// Said to the operator; the node is sealed again.
    fn opened(&self) -> Opening<'_>;

    /// Forgets it all: the barrier is sealed.
    fn closed(&self);
}

/// The ceremonies of this node. Their state is this process's and ends with the seal or the leadership.
#[derive(Debug)]
pub struct Ceremonies {
    pub root: Rekey,
    pub recovery: Rekey,
    pub generate_root: GenerateRoot,
}

/// See the module.
#[derive(Debug)]
pub struct SealManager {
    barrier: Arc<Barrier>,
    method: Arc<Method>,
    inside: Arc<dyn Inside>,
    ceremonies: Arc<Ceremonies>,
    unsealing: Mutex<Unsealing>,
    /// Held while the store is initialised, opened or cleared.
    turn: tokio::sync::Mutex<()>,
    /// Whether [`Inside::opened`] was called since [`Inside::closed`].
    loaded: AtomicBool,
}

/// What `sys/seal-status` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealStatus {
    pub kind: &'static str,
    pub initialized: bool,
    pub sealed: bool,
    /// Of the shares operators hold.
    pub split: Option<Split>,
    /// Shares given in the round of unsealing under way.
    pub progress: usize,
    pub nonce: String,
    /// Whether the shares are of a recovery key.
    pub recovery: bool,
    pub storage: &'static str,
}

/// A store that now exists. Shown once.
pub struct Initialized {
    pub shares: NewShares,
    pub root_token: Zeroizing<String>,
}

/// Why nothing was initialised.
#[derive(Debug, Clone, Error)]
pub enum InitError {
    #[error("Vault is already initialized")]
    Already,
    #[error("the store is not empty but holds no keyring; it is damaged, or another program's")]
    Occupied,
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("{0}")]
    Inside(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Why the node stays sealed.
#[derive(Debug, Clone, Error)]
pub enum UnsealError {
    #[error("invalid key: failed to compute combined key: {0}")]
    Combine(CombineError),
    #[error("unable to retrieve stored keys: invalid key: {}", KeptError::WrongKey)]
    WrongKey,
    #[error("{0}")]
    Proof(ProofError),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The keys are right, but what they open cannot be loaded.
    #[error("failed to load the store: {0}")]
    Inside(String),
}

// === impl Ceremonies ===

impl Ceremonies {
    #[must_use]
    pub fn new(method: &Arc<Method>) -> Self {
        Self {
            root: Rekey::new(Arc::clone(method), Target::Root),
            recovery: Rekey::new(Arc::clone(method), Target::Recovery),
            generate_root: GenerateRoot::new(Arc::clone(method)),
        }
    }

    /// Gives all of them up: sealed, or no longer the active node.
    pub fn cancel(&self) {
        self.root.cancel();
        self.recovery.cancel();
        self.generate_root.cancel();
    }
}

// === impl SealManager ===

impl SealManager {
    /// Also makes the barrier follow its keyring.
    #[must_use]
    pub fn new(
        barrier: Arc<Barrier>,
        method: Arc<Method>,
        ceremonies: Arc<Ceremonies>,
        inside: Arc<dyn Inside>,
    ) -> Self {
        barrier.storage().observe(Arc::new(KeyringFollower::new(Arc::downgrade(&barrier))));
        let (unsealing, turn, loaded) =
            (Mutex::default(), tokio::sync::Mutex::default(), AtomicBool::default());
        Self { barrier, method, inside, ceremonies, unsealing, turn, loaded }
    }

    /// # Errors
    /// The store cannot be read.
    pub fn is_initialized(&self) -> Result<bool, StorageError> {
        kept::is_initialized(&*self.barrier.storage().snapshot())
    }

    /// # Errors
    /// The seal's records cannot be read.
    pub fn status(&self) -> Result<SealStatus, KeptError> {
        let snapshot = self.barrier.storage().snapshot();
        let initialized = kept::is_initialized(&*snapshot)?;
        let split = if initialized { kept::operator_split(&*snapshot, &self.method)? } else { None };
        let (progress, nonce) = self.unsealing.lock().progress();
        Ok(SealStatus {
            kind: self.method.name(),
            initialized,
            sealed: self.barrier.is_sealed(),
            split,
            progress,
            nonce,
            recovery: self.method.has_recovery(),
            storage: self.barrier.storage().kind(),
        })
    }

    /// Makes a new store: keys, first contents and root token, all of it or nothing. A node that can unseals itself then.
    ///
    /// # Errors
    /// See [`InitError`].
    pub async fn initialize(
        &self,
        request: &InitRequest,
        now: OffsetDateTime,
    ) -> Result<Initialized, InitError> {
        let plan = Plan::of(request, &self.method)?;
        let turn = self.turn.lock().await;
        let snapshot = self.barrier.storage().snapshot();
        if kept::is_initialized(&*snapshot).map_err(StoreError::from)? {
            return Err(InitError::Already);
        }
        if !snapshot.keys("", "", 1).map_err(StoreError::from)?.is_empty() {
            return Err(InitError::Occupied);
        }
        let mut tx = Transaction::new(snapshot, Arc::new(Keyring::generate(now)), Mode::ReadWrite);
        let shares = plan.write(&mut tx)?;
        let root_token = self.inside.found(&mut tx).map_err(InitError::Inside)?;
        match self.barrier.commit(tx).await {
            Ok(_) => {}
            Err(CommitError::Conflict) => return Err(InitError::Already),
            Err(error) => return Err(error.into()),
        }
        drop(turn);
        if let Err(error) = self.unseal_by_itself().await {
            tracing::error!(%error, "initialized, but sealed: unsealing failed");
        }
        Ok(Initialized { shares, root_token })
    }

    /// Takes a share. When it is the last one needed, the node opens, or says why not and forgets the shares given.
    ///
    /// # Errors
    /// See [`UnsealError`].
    pub async fn unseal(&self, share: Share) -> Result<(), UnsealError> {
        let _turn = self.turn.lock().await;
        if !self.barrier.is_sealed() {
            return Ok(());
        }
        let snapshot = self.barrier.storage().snapshot();
        let required = kept::operator_split(&*snapshot, &self.method)?.map_or(0, Split::threshold);
        let given = self.unsealing.lock().give(share, required, || Uuid::new_v4().to_string());
        let Some(shares) = given else { return Ok(()) };
        self.open(&self.root_behind(&shares)?).await
    }

    fn root_behind(&self, shares: &[Share]) -> Result<SecretKey, UnsealError> {
        let snapshot = self.barrier.storage().snapshot();
        match &*self.method {
            Method::Shamir => {
                let key = shamir::combine(shares).map_err(|error| match error {
                    CombineError::NotShares => UnsealError::WrongKey,
                    CombineError::Lengths | CombineError::Duplicate => UnsealError::Combine(error),
                })?;
                kept::root_under(&key, &*snapshot).map_err(|error| {
                    let wrong = error == KeptError::WrongKey;
                    if wrong { UnsealError::WrongKey } else { UnsealError::Kept(error) }
                })
            }
            Method::Static(keys) => {
                let root = kept::root_by_static(keys, &*snapshot)?;
                proof::check(&self.method, &root, &*snapshot, shares).map_err(UnsealError::Proof)?;
                Ok(root)
            }
        }
    }

    /// Drops the shares given so far.
    pub fn reset(&self) {
        self.unsealing.lock().reset();
    }

    /// Unseals with the configured key, when there is one and the store is initialised; whether the node is open now.
    ///
    /// # Errors
    /// See [`UnsealError`].
    pub async fn unseal_by_itself(&self) -> Result<bool, UnsealError> {
        let Method::Static(keys) = &*self.method else { return Ok(!self.barrier.is_sealed()) };
        let _turn = self.turn.lock().await;
        let snapshot = self.barrier.storage().snapshot();
        if self.barrier.is_sealed() && kept::is_initialized(&*snapshot).map_err(KeptError::from)? {
            kept::seal_record(&*snapshot, &self.method)?;
            self.open(&kept::root_by_static(keys, &*snapshot)?).await?;
        }
        Ok(!self.barrier.is_sealed())
    }

    async fn open(&self, root: &SecretKey) -> Result<(), UnsealError> {
        self.clear();
        self.barrier.unlock(Keyring::load(root, &*self.barrier.storage().snapshot())?);
        if let Err(error) = self.load().await {
            self.barrier.seal();
            self.clear();
            return Err(error);
        }
        self.barrier.serve();
        tracing::info!("unsealed");
        Ok(())
    }

    async fn load(&self) -> Result<(), UnsealError> {
        // A change that came before the barrier had its keys was not followed.
        self.barrier.follow()?;
        self.loaded.store(true, SeqCst);
        self.inside.opened().await.map_err(UnsealError::Inside)
    }

    /// Seals this node.
    pub async fn seal(&self) {
        let _turn = self.turn.lock().await;
        self.barrier.seal();
        self.clear();
    }

    /// Clears the node whenever its barrier was sealed, by whomever; ends with the manager.
    pub async fn clear_when_sealed(manager: Weak<Self>, mut open: watch::Receiver<bool>) {
        while open.changed().await.is_ok() {
            let Some(manager) = manager.upgrade() else { return };
            let _turn = manager.turn.lock().await;
            if manager.barrier.is_sealed() {
                manager.clear();
            }
        }
    }

    fn clear(&self) {
        if self.loaded.swap(false, SeqCst) {
            self.ceremonies.cancel();
            self.inside.closed();
            tracing::info!("sealed");
        }
    }

    /// Looks after the keys, on the active node, every few minutes: replaces a data key that is old or worn, writes down
    /// how much was sealed, and seals with the current static key what the previous one did.
    ///
    /// # Errors
    /// The store cannot be read or refuses; the next time may be better.
    pub async fn tend(&self, now: OffsetDateTime) -> Result<(), TendError> {
        let Ok(mut tx) = self.barrier.begin(Mode::ReadWrite) else { return Ok(()) };
        let uncounted = tx.keyring().uncounted();
        if let Some(term) = barrier::rotate_if_due(&mut tx, now)? {
            tracing::info!(term, "the data key was replaced");
        } else if uncounted >= COUNT_EVERY {
            barrier::write_count(&mut tx)?;
        }
        if let Method::Static(keys) = &*self.method
            && kept::renew_static(&mut tx, keys)?
        {
            tracing::info!(key = %keys.current.id, "sealed again with the current static key");
        }
        self.barrier.commit(tx).await?;
        Ok(())
    }
}

/// Tending failed.
#[derive(Debug, Clone, Error)]
pub enum TendError {
    #[error(transparent)]
    Rotate(#[from] RotateError),
    #[error(transparent)]
    Renew(#[from] RenewError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl fmt::Debug for Initialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Initialized")
    }
}
