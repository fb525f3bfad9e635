//! The first keys of a new store: what is asked for, and writing it.

use std::sync::Arc;

use thiserror::Error;

use super::config::{Method, Split, SplitError};
use super::kept;
use super::shamir::Share;
use super::static_key::StaticKeys;
use crate::barrier::{StoreError, Transaction};

/// What `sys/init` is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InitRequest {
    pub secret_shares: i64,
    pub secret_threshold: i64,
    pub recovery_shares: i64,
    pub recovery_threshold: i64,
    /// Of `pgp_keys` and of `recovery_pgp_keys`, how many were given.
    pub pgp_keys: usize,
    pub recovery_pgp_keys: usize,
    pub root_token_pgp_key: bool,
}

/// How the keys will be kept and cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plan<'m> {
    Shares(Split),
    /// A node that unseals itself may do without a recovery key; new root tokens are then out of reach.
    Static {
        keys: &'m StaticKeys,
        recovery: Option<Split>,
    },
}

/// A request that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    #[error("invalid seal configuration: {0}")]
    Unseal(SplitError),
    #[error("invalid recovery configuration: {0}")]
    Recovery(SplitError),
    #[error("parameters {parameters} not applicable to seal type {kind}")]
    NotApplicable { parameters: &'static str, kind: &'static str },
    #[error(
        "invalid seal configuration: count mismatch between number of provided PGP keys and number of shares"
    )]
    PgpCount,
    #[error(
        "encrypting keys with PGP is not supported; leave the PGP keys out and take care of the plain shares"
    )]
    Pgp,
}

/// The shares that were made; shown once, kept nowhere.
#[derive(Debug, Default)]
pub struct NewShares {
    pub unseal: Vec<Share>,
    pub recovery: Vec<Share>,
}

// === impl Plan ===

impl<'m> Plan<'m> {
    /// # Errors
    /// See [`PlanError`].
    pub(super) fn of(request: &InitRequest, method: &'m Method) -> Result<Self, PlanError> {
        let plan = match method {
            Method::Shamir => Self::shares(request)?,
            Method::Static(keys) => Self::automatic(request, keys, method.name())?,
        };
        let counted = |keys: usize, split: Option<Split>| {
            keys == 0 || split.is_some_and(|split| usize::from(split.shares()) == keys)
        };
        if !counted(request.pgp_keys, plan.unseal()) || !counted(request.recovery_pgp_keys, plan.recovery()) {
            return Err(PlanError::PgpCount);
        }
        if request.pgp_keys > 0 || request.recovery_pgp_keys > 0 || request.root_token_pgp_key {
            return Err(PlanError::Pgp);
        }
        Ok(plan)
    }

    fn shares(request: &InitRequest) -> Result<Self, PlanError> {
        if request.recovery_shares != 0 || request.recovery_threshold != 0 {
            let parameters = "recovery_shares,recovery_threshold";
            return Err(PlanError::NotApplicable { parameters, kind: "shamir" });
        }
        let split = Split::check(request.secret_shares, request.secret_threshold);
        split.map(Self::Shares).map_err(PlanError::Unseal)
    }

    fn automatic(request: &InitRequest, keys: &'m StaticKeys, kind: &'static str) -> Result<Self, PlanError> {
        if request.secret_shares != 0 || request.secret_threshold != 0 {
            return Err(PlanError::NotApplicable { parameters: "secret_shares,secret_threshold", kind });
        }
        let recovery = match (request.recovery_shares, request.recovery_threshold) {
            (0, 0) => None,
            (shares, threshold) => Some(Split::check(shares, threshold).map_err(PlanError::Recovery)?),
        };
        Ok(Self::Static { keys, recovery })
    }

    fn unseal(self) -> Option<Split> {
        match self {
            Self::Shares(split) => Some(split),
            Self::Static { .. } => None,
        }
    }

    fn recovery(self) -> Option<Split> {
        match self {
            Self::Shares(_) => None,
            Self::Static { recovery, .. } => recovery,
        }
    }

    /// Writes the records of the seal and of the keys; the transaction's keyring is the new one.
    ///
    /// # Errors
    /// The transaction refuses.
    pub(super) fn write(self, tx: &mut Transaction) -> Result<NewShares, StoreError> {
        let keyring = Arc::clone(tx.keyring());
        keyring.store_with_root(tx)?;
        match self {
            Self::Shares(split) => {
                let unseal = kept::put_root_under_shares(tx, keyring.root(), split)?;
                Ok(NewShares { unseal, recovery: Vec::new() })
            }
            Self::Static { keys, recovery } => {
                kept::put_root_under_static(tx, keyring.root(), keys)?;
                let shares = recovery.map(|split| kept::put_new_recovery(tx, keys, split)).transpose()?;
                Ok(NewShares { unseal: Vec::new(), recovery: shares.unwrap_or_default() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::SecretKey;
    use crate::seal::static_key::NamedKey;

    #[test]
    fn requests_are_refused_in_the_servers_words() {
        let key = NamedKey { id: "k".to_owned(), key: SecretKey::generate() };
        let (shamir, automatic) =
            (Method::Shamir, Method::Static(StaticKeys { current: key, previous: None }));
        let ask = InitRequest::default();
        let three = InitRequest { secret_shares: 3, secret_threshold: 2, ..ask };
        let recovery = InitRequest { recovery_shares: 1, recovery_threshold: 1, ..ask };
        for (method, request, error) in [
            (&shamir, ask, "invalid seal configuration: shares must be at least one"),
            (
                &shamir,
                InitRequest { pgp_keys: 1, ..three },
                "invalid seal configuration: count mismatch between number of provided PGP keys and number of shares",
            ),
            (
                &shamir,
                InitRequest { recovery_shares: 1, recovery_threshold: 1, ..three },
                "parameters recovery_shares,recovery_threshold not applicable to seal type shamir",
            ),
            (
                &automatic,
                three,
                "parameters secret_shares,secret_threshold not applicable to seal type static",
            ),
            (
                &automatic,
                InitRequest { recovery_threshold: 2, ..recovery },
                "invalid recovery configuration: threshold cannot be larger than shares",
            ),
        ] {
            assert_eq!(Plan::of(&request, method).unwrap_err().to_string(), error);
        }
        assert_eq!(Plan::of(&InitRequest { pgp_keys: 3, ..three }, &shamir).unwrap_err(), PlanError::Pgp);
        assert!(matches!(Plan::of(&three, &shamir), Ok(Plan::Shares(_))));
        assert!(matches!(Plan::of(&ask, &automatic), Ok(Plan::Static { recovery: None, .. })));
        assert!(matches!(Plan::of(&recovery, &automatic), Ok(Plan::Static { recovery: Some(_), .. })));
    }
}
