//! Whether shares are those of this store: what authorises a new root token or new keys.

use thiserror::Error;

use super::config::Method;
use super::kept::{self, KeptError};
use super::shamir::{self, CombineError, Share};
use crate::barrier::SecretKey;
use crate::storage::Snapshot;

/// Why shares prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    #[error("failed to compute root key: {0}")]
    Combine(CombineError),
    #[error("invalid key: {}", KeptError::WrongKey)]
    WrongKey,
    #[error("recovery key verification failed: recovery key does not match submitted values")]
    WrongRecovery,
    #[error("this store has no recovery key")]
    NoRecovery,
    #[error(transparent)]
    Kept(KeptError),
}

/// Shares of the unseal key must give the root key that is in use; shares of the recovery key must give the kept one.
///
/// # Errors
/// They do not.
pub(super) fn check(
    method: &Method,
    root: &SecretKey,
    snapshot: &dyn Snapshot,
    shares: &[Share],
) -> Result<(), ProofError> {
    let key = shamir::combine(shares).map_err(|error| match (error, method) {
        (CombineError::NotShares, Method::Shamir) => ProofError::WrongKey,
        (CombineError::NotShares, Method::Static(_)) => ProofError::WrongRecovery,
        (CombineError::Lengths | CombineError::Duplicate, _) => ProofError::Combine(error),
    })?;
    match method {
        Method::Shamir => match kept::root_under(&key, snapshot) {
            Ok(found) if found.is(root) => Ok(()),
            Ok(_) | Err(KeptError::WrongKey) => Err(ProofError::WrongKey),
            Err(other) => Err(ProofError::Kept(other)),
        },
        Method::Static(keys) => match kept::recovery(keys, snapshot).map_err(ProofError::Kept)? {
            Some(recovery) if recovery.is(&key) => Ok(()),
            Some(_) => Err(ProofError::WrongRecovery),
            None => Err(ProofError::NoRecovery),
        },
    }
}
