//! New keys for who holds enough shares of the old ones: a new root key with a new unseal key (or under the same static
//! key), or a new recovery key. With verification the new shares must be shown to work before they replace the old.
//!
//! ```text
//!   start ─> shares of the old key ─> new shares ─────────────────────────> written
//!                                          └─ verification: new shares ──────^
//! ```

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;

use super::config::{Method, Split, SplitError};
use super::gather::{Added, Gathering};
use super::kept::{self, KeptError};
use super::proof::{self, ProofError};
use super::shamir::{self, CombineError, Share};
use super::static_key::StaticKeys;
use super::steps::Steps;
use crate::barrier::{self, RotateError, SecretKey, StoreError, Transaction};
use crate::secret;

/// Which key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The root key, and the unseal key above it where shares unseal.
    Root,
    /// The recovery key of a node that unseals itself.
    Recovery,
}

/// The rekeying of one target under way on this node.
#[derive(Debug)]
pub struct Rekey {
    method: Arc<Method>,
    target: Target,
    steps: Steps<Running>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RekeyRequest {
    pub shares: i64,
    pub threshold: i64,
    /// How many were given.
    pub pgp_keys: usize,
    pub backup: bool,
    pub verify: bool,
}

#[derive(Clone)]
struct Running {
    /// Of the new key; none where nobody holds shares of it.
    split: Option<Split>,
    verify: bool,
    round: Gathering,
    /// The new key, waiting for its shares to be shown.
    unverified: Option<(SecretKey, Gathering)>,
}

/// What `sys/rekey/init` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RekeyProgress {
    pub started: bool,
    pub nonce: String,
    /// Of the new key; `None`: not started, or no shares.
    pub split: Option<Split>,
    pub progress: usize,
    /// Shares of the old key that are needed.
    pub required: u8,
    pub verify: bool,
    /// Empty unless the new shares wait to be shown.
    pub verification_nonce: String,
}

/// What `sys/rekey/verify` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    pub started: bool,
    pub nonce: String,
    pub split: Option<Split>,
    pub progress: usize,
}

/// What a share led to.
#[derive(Debug)]
pub enum RekeyStep {
    Waiting(RekeyProgress),
    /// The new shares. Written, unless they wait to be verified.
    Done {
        progress: RekeyProgress,
        shares: Vec<Share>,
    },
}

/// What a shown share led to.
#[derive(Debug)]
pub enum VerifyStep {
    Waiting(VerifyProgress),
    /// The new key is in use; the nonce of the round.
    Done(String),
}

/// Why there are no new keys. The words are those of `sys/rekey`; `sys/rotate` has its own for some.
#[derive(Debug, Clone, Error)]
pub enum RekeyError {
    #[error("recovery rekeying not supported")]
    NoRecovery,
    #[error("rekey already in progress")]
    InProgress,
    #[error("shares hold this key: it is replaced with enough of them, by a rekey operation")]
    NeedsShares,
    #[error("no rekey in progress")]
    NotInProgress,
    #[error("no rekey configuration found")]
    NoConfiguration,
    #[error("no rekey verification in progress")]
    NoVerification,
    #[error("invalid rekey seal configuration: {0}")]
    Split(SplitError),
    #[error("incorrect number of PGP keys for rekey")]
    PgpCount,
    #[error("cannot request a backup of the new keys without providing PGP keys for encryption")]
    BackupWithoutPgp,
    #[error(
        "encrypting keys with PGP is not supported; leave the PGP keys out and take care of the plain shares"
    )]
    Pgp,
    #[error("incorrect nonce supplied; nonce for this rekey operation is {0:?}")]
    Nonce(String),
    #[error("incorrect nonce supplied; nonce for this verify operation is {0:?}")]
    VerifyNonce(String),
    #[error(
        "rekey operation already finished; verification must be performed; nonce for the verification operation is {0:?}"
    )]
    Finished(String),
    #[error("given key has already been provided during this {} operation", match .0 {
        Target::Root => "generation",
        Target::Recovery => "rekey",
    })]
    Known(Target),
    #[error("given key has already been provided during this verify operation")]
    VerifyKnown,
    #[error("failed to compute key for verification: {0}")]
    VerifyCombine(CombineError),
    #[error("rekey verification failed; incorrect key shares supplied")]
    VerifyFailed,
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error(transparent)]
    Rotate(#[from] RotateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl RekeyError ===

impl RekeyError {
    /// Whether the store is to blame, not who asks.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Proof(ProofError::Kept(_)) | Self::Kept(_) | Self::Rotate(_) | Self::Store(_))
    }
}

// === impl Rekey ===

impl Rekey {
    #[must_use]
    pub fn new(method: Arc<Method>, target: Target) -> Self {
        Self { method, target, steps: Steps::default() }
    }

    /// # Errors
    /// There is no such key; the seal's records cannot be read.
    pub fn progress(&self, tx: &Transaction) -> Result<RekeyProgress, RekeyError> {
        let required = self.required(tx)?;
        Ok(self.steps.look(|running| progress(running, required)))
    }

    /// Begins. Without anybody to ask for shares there is nothing to begin.
    ///
    /// # Errors
    /// The request cannot be met, or another is under way.
    pub fn start(
        &self,
        tx: &Transaction,
        id: &str,
        request: &RekeyRequest,
    ) -> Result<RekeyProgress, RekeyError> {
        let required = self.required(tx)?;
        let split = self.split(request)?;
        self.steps.step(id, |state| {
            if state.is_some() {
                return Err(RekeyError::InProgress);
            }
            let round = Gathering::named(Uuid::new_v4().to_string());
            *state = Some(Running { split, verify: request.verify, round, unverified: None });
            Ok(progress(state.as_ref(), required))
        })
    }

    /// The split of the new key. A root key under a static key is not cut, whatever was asked.
    fn split(&self, request: &RekeyRequest) -> Result<Option<Split>, RekeyError> {
        if request.backup && request.pgp_keys == 0 {
            return Err(RekeyError::BackupWithoutPgp);
        }
        if request.pgp_keys > 0 && i64::try_from(request.pgp_keys) != Ok(request.shares) {
            return Err(RekeyError::PgpCount);
        }
        let cut = !(self.target == Target::Root && self.method.has_recovery());
        let split = cut.then(|| Split::check(request.shares, request.threshold)).transpose();
        let split = split.map_err(RekeyError::Split)?;
        if request.pgp_keys > 0 { Err(RekeyError::Pgp) } else { Ok(split) }
    }

    /// Gives it up, if there is one.
    pub fn cancel(&self) {
        self.steps.forget();
    }

    /// Takes a share of the old key. Wrong ones end the round, not the rekeying. The last one makes the new key and, unless
    /// its shares have to be verified, writes it.
    ///
    /// # Errors
    /// Not under way, another nonce, a share given before, wrong shares, or the transaction refuses.
    pub fn update(
        &self,
        tx: &mut Transaction,
        id: &str,
        share: Share,
        nonce: &str,
    ) -> Result<RekeyStep, RekeyError> {
        let required = self.required(tx)?;
        self.steps.step(id, |state| {
            let running = state.as_mut().ok_or(RekeyError::NotInProgress)?;
            if let Some((_, round)) = &running.unverified {
                return Err(RekeyError::Finished(round.nonce().to_owned()));
            }
            check_nonce(&running.round, nonce, RekeyError::Nonce)?;
            let shares = match running.round.add(share, required) {
                Added::Known => return Err(RekeyError::Known(self.target)),
                Added::Waiting => return Ok(RekeyStep::Waiting(progress(Some(running), required))),
                Added::Enough(shares) => shares,
            };
            proof::check(&self.method, tx.keyring().root(), &**tx.snapshot(), &shares)?;
            let (progress, shares) = self.make(tx, running, required)?;
            if progress.verification_nonce.is_empty() {
                *state = None;
            }
            Ok(RekeyStep::Done { progress, shares })
        })
    }

    /// The new key: cut, and written or kept to be verified.
    fn make(
        &self,
        tx: &mut Transaction,
        running: &mut Running,
        required: u8,
    ) -> Result<(RekeyProgress, Vec<Share>), RekeyError> {
        let key = SecretKey::generate();
        let shares = running.split.map(|split| shamir::split(&key, split)).unwrap_or_default();
        // There is nothing to verify where nobody got a share.
        if running.verify && running.split.is_some() {
            running.unverified = Some((key, Gathering::named(Uuid::new_v4().to_string())));
        } else {
            self.write(tx, &key, running.split)?;
        }
        Ok((progress(Some(running), required), shares))
    }

    fn write(&self, tx: &mut Transaction, key: &SecretKey, split: Option<Split>) -> Result<(), RekeyError> {
        match (self.target, &*self.method, split) {
            (Target::Root, Method::Shamir, Some(split)) => {
                let root = barrier::replace_root(tx)?;
                kept::put_root_under(tx, &root, key, split)?;
            }
            (Target::Root, Method::Static(keys), _) => replace_root_under_static(tx, keys)?,
            (Target::Recovery, Method::Static(keys), Some(split)) => {
                kept::put_recovery(tx, keys, key, split)?
            }
            (Target::Root | Target::Recovery, Method::Shamir | Method::Static(_), _) => {
                return Err(RekeyError::NoRecovery);
            }
        }
        Ok(())
    }

    /// # Errors
    /// No rekeying is under way.
    pub fn verify_progress(&self) -> Result<VerifyProgress, RekeyError> {
        self.steps.look(|running| running.map(verify_progress).ok_or(RekeyError::NoConfiguration))
    }

    /// Begins the verification anew.
    ///
    /// # Errors
    /// No rekeying is under way.
    pub fn restart_verification(&self, id: &str) -> Result<VerifyProgress, RekeyError> {
        self.steps.step(id, |state| {
            let running = state.as_mut().ok_or(RekeyError::NoConfiguration)?;
            if let Some((_, round)) = &mut running.unverified {
                *round = Gathering::named(Uuid::new_v4().to_string());
            }
            Ok(verify_progress(running))
        })
    }

    /// Takes a new share. Enough right ones put the new key in use; wrong ones begin the verification anew.
    ///
    /// # Errors
    /// Nothing to verify, another nonce, a share given before, wrong shares, or the transaction refuses.
    pub fn verify(
        &self,
        tx: &mut Transaction,
        id: &str,
        share: Share,
        nonce: &str,
    ) -> Result<VerifyStep, RekeyError> {
        self.steps.step(id, |state| {
            let running = state.as_mut().ok_or(RekeyError::NotInProgress)?;
            let split = running.split;
            let Some((key, round)) = &mut running.unverified else { return Err(RekeyError::NoVerification) };
            check_nonce(round, nonce, RekeyError::VerifyNonce)?;
            let shares = match round.add(share, split.map_or(0, Split::threshold)) {
                Added::Known => return Err(RekeyError::VerifyKnown),
                Added::Waiting => return Ok(VerifyStep::Waiting(verify_progress(running))),
                Added::Enough(shares) => shares,
            };
            let (key, nonce) = (key.clone(), round.nonce().to_owned());
            *round = Gathering::named(Uuid::new_v4().to_string());
            match shamir::combine(&shares) {
                Ok(shown) if shown.is(&key) => {}
                Ok(_) | Err(CombineError::NotShares) => return Err(RekeyError::VerifyFailed),
                Err(error) => return Err(RekeyError::VerifyCombine(error)),
            }
            self.write(tx, &key, split)?;
            *state = None;
            Ok(VerifyStep::Done(nonce))
        })
    }

    /// A new root key under the static key, which needs no shares.
    ///
    /// # Errors
    /// Shares unseal this store: they must be shown. Or the transaction refuses.
    pub fn replace_root(&self, tx: &mut Transaction) -> Result<(), RekeyError> {
        match &*self.method {
            Method::Static(keys) => replace_root_under_static(tx, keys),
            Method::Shamir => Err(RekeyError::NeedsShares),
        }
    }

    /// Whether a key can be made for the first time, which takes no shares: there is no recovery key yet.
    ///
    /// # Errors
    /// There can be none; the seal's records cannot be read.
    pub fn can_create(&self, tx: &Transaction) -> Result<bool, RekeyError> {
        Ok(self.target == Target::Recovery && self.required(tx)? == 0)
    }

    /// Makes a recovery key where there is none, for who may by other means; its split and its shares.
    ///
    /// # Errors
    /// The request cannot be met, there is a key, or the transaction refuses.
    pub fn create(
        &self,
        tx: &mut Transaction,
        request: &RekeyRequest,
    ) -> Result<(Split, Vec<Share>), RekeyError> {
        let (Method::Static(keys), true) = (&*self.method, self.can_create(tx)?) else {
            return Err(RekeyError::NeedsShares);
        };
        let split = self.split(request)?.ok_or(RekeyError::NoRecovery)?;
        Ok((split, kept::put_new_recovery(tx, keys, split)?))
    }

    fn required(&self, tx: &Transaction) -> Result<u8, RekeyError> {
        if self.target == Target::Recovery && !self.method.has_recovery() {
            return Err(RekeyError::NoRecovery);
        }
        let split = kept::operator_split(&**tx.snapshot(), &self.method)?;
        Ok(split.map_or(0, Split::threshold))
    }
}

fn replace_root_under_static(tx: &mut Transaction, keys: &StaticKeys) -> Result<(), RekeyError> {
    let root = barrier::replace_root(tx)?;
    Ok(kept::put_root_under_static(tx, &root, keys)?)
}

fn check_nonce(
    round: &Gathering,
    nonce: &str,
    error: impl FnOnce(String) -> RekeyError,
) -> Result<(), RekeyError> {
    match secret::same(round.nonce().as_bytes(), nonce.as_bytes()) {
        true => Ok(()),
        false => Err(error(round.nonce().to_owned())),
    }
}

fn progress(running: Option<&Running>, required: u8) -> RekeyProgress {
    let Some(running) = running else { return RekeyProgress { required, ..RekeyProgress::default() } };
    let verification = running.unverified.as_ref().map(|(_, round)| round.nonce().to_owned());
    RekeyProgress {
        started: true,
        nonce: running.round.nonce().to_owned(),
        split: running.split,
        progress: running.round.progress(),
        required,
        verify: running.verify,
        verification_nonce: verification.unwrap_or_default(),
    }
}

fn verify_progress(running: &Running) -> VerifyProgress {
    let none = VerifyProgress { split: running.split, ..VerifyProgress::default() };
    running.unverified.as_ref().map_or(none, |(_, round)| VerifyProgress {
        started: true,
        nonce: round.nonce().to_owned(),
        split: running.split,
        progress: round.progress(),
    })
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({} shares)", self.round.progress())
    }
}
