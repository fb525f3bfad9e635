//! Changes of the keyring inside a transaction. The barrier of every open node follows when it has committed.
//!
//! Each begins with the keyring as the transaction's snapshot has it, and expects it to be still so when it commits: no
//! change can undo another, which would lose a key and all it sealed.

use thiserror::Error;
use time::OffsetDateTime;

use super::keyring::KeyStatus;
use super::record::KeysError;
use super::rotation::Rotation;
use super::secret_key::SecretKey;
use super::transaction::{StoreError, Transaction};

/// Rotating failed.
#[derive(Debug, Clone, Error)]
pub enum RotateError {
    #[error("the keyring is full: no more keys fit")]
    Full,
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds a new data key, which seals from then on; its term.
///
/// # Errors
/// See [`RotateError`].
pub fn rotate(tx: &mut Transaction, now: OffsetDateTime) -> Result<u32, RotateError> {
    let rotated = tx.latest_keyring()?.rotated(now).ok_or(RotateError::Full)?;
    rotated.store(tx)?;
    Ok(rotated.active_term())
}

/// Rotates when the key is old or worn; the new term, or none.
///
/// # Errors
/// See [`RotateError`].
pub fn rotate_if_due(tx: &mut Transaction, now: OffsetDateTime) -> Result<Option<u32>, RotateError> {
    let keyring = tx.latest_keyring()?;
    let KeyStatus { installed, encryptions, .. } = keyring.status();
    let due = keyring.rotation().is_due(encryptions, installed, now);
    due.then(|| rotate(tx, now)).transpose()
}

/// Sets when keys are replaced; the caller has checked the bounds.
///
/// # Errors
/// The keyring does not open, or the transaction may not write.
pub fn set_rotation(tx: &mut Transaction, rotation: Rotation) -> Result<(), RotateError> {
    Ok(tx.latest_keyring()?.with_rotation(rotation).store(tx)?)
}

/// Puts a new root key over the same data keys; who calls keeps it under the key above.
///
/// # Errors
/// The keyring does not open, or the transaction may not write.
pub fn replace_root(tx: &mut Transaction) -> Result<SecretKey, RotateError> {
    let root = SecretKey::generate();
    tx.latest_keyring()?.under(root.clone()).store_with_root(tx)?;
    Ok(root)
}

/// Writes down how many values were sealed.
///
/// # Errors
/// The keyring does not open, or the transaction may not write.
pub fn write_count(tx: &mut Transaction) -> Result<(), RotateError> {
    Ok(tx.latest_keyring()?.store(tx)?)
}
