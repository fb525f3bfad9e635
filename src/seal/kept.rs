//! What the store keeps of the seal: plain records of how it is sealed, and the keys under the key above them.
//!
//! ```text
//!   core/seal-config        type, shares, threshold
//!   core/root-key           the root key, under the unseal key or the static key
//!   core/recovery-config    shares and threshold of the recovery key, if there is one
//!   core/recovery-key       the recovery key, under the static key
//! ```

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::config::{Method, SHAMIR, STATIC, SealRecord, Split};
use super::shamir::{self, Share};
use super::static_key::StaticKeys;
use crate::barrier::{KEYRING, SecretKey, StoreError, Transaction};
use crate::storage::{Snapshot, StorageError};

const SEAL_CONFIG: &str = "core/seal-config";
const ROOT_KEY: &str = "core/root-key";
const RECOVERY_CONFIG: &str = "core/recovery-config";
const RECOVERY_KEY: &str = "core/recovery-key";

const VERSION: u8 = 1;

/// Why what is kept cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeptError {
    #[error("Vault is not initialized")]
    NotInitialized,
    #[error("the store lacks {0}: it was lost or damaged")]
    Lost(&'static str),
    #[error("{0} is damaged")]
    Damaged(&'static str),
    #[error("{0} has a format version this release does not know")]
    Version(&'static str),
    #[error(
        "the store was initialized with seal type {stored:?}, and this node is configured for {configured:?}; \
         migrating between them is not supported"
    )]
    OtherMethod { stored: String, configured: &'static str },
    #[error(
        "{record} was sealed with the static key {id:?}, which is neither the current nor the previous one"
    )]
    UnknownStaticKey { record: &'static str, id: String },
    /// The server's words for shares that gave a wrong key.
    #[error("failed to decrypt keys from storage: cipher: message authentication failed")]
    WrongKey,
    #[error("storage: {0}")]
    Storage(String),
}

/// A key under another one.
#[derive(Serialize, Deserialize)]
struct KeptKey {
    version: u8,
    /// Name of the static key above it; empty: an unseal key.
    #[serde(default)]
    key_id: String,
    /// Base64 of the envelope.
    sealed: String,
}

/// Whether the store was ever initialised. True too for one that has lost part of its records: it must not be taken
/// for a new one.
///
/// # Errors
/// The store cannot be read.
pub(super) fn is_initialized(snapshot: &dyn Snapshot) -> Result<bool, StorageError> {
    for key in [KEYRING, SEAL_CONFIG, ROOT_KEY] {
        if snapshot.get(key)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How the store is sealed, which must be as this node is configured.
pub(super) fn seal_record(snapshot: &dyn Snapshot, method: &Method) -> Result<SealRecord, KeptError> {
    if !is_initialized(snapshot)? {
        return Err(KeptError::NotInitialized);
    }
    let record: SealRecord = plain(snapshot, SEAL_CONFIG)?.ok_or(KeptError::Lost(SEAL_CONFIG))?;
    if record.version != VERSION {
        return Err(KeptError::Version(SEAL_CONFIG));
    }
    if record.kind != method.name() {
        return Err(KeptError::OtherMethod { stored: record.kind, configured: method.name() });
    }
    Ok(record)
}

/// The shares that operators hold: of the unseal key, or of the recovery key. `None`: nobody holds any.
pub(super) fn operator_split(snapshot: &dyn Snapshot, method: &Method) -> Result<Option<Split>, KeptError> {
    let record = seal_record(snapshot, method)?;
    match method {
        Method::Shamir => record.split.map(Some).ok_or(KeptError::Damaged(SEAL_CONFIG)),
        Method::Static(_) => plain(snapshot, RECOVERY_CONFIG),
    }
}

/// Cuts a new unseal key into shares and puts the root key under it.
pub(super) fn put_root_under_shares(
    tx: &mut Transaction,
    root: &SecretKey,
    split: Split,
) -> Result<Vec<Share>, StoreError> {
    let unseal = SecretKey::generate();
    put_root_under(tx, root, &unseal, split)?;
    Ok(shamir::split(&unseal, split))
}

/// Puts the root key under an unseal key that was cut into shares.
pub(super) fn put_root_under(
    tx: &mut Transaction,
    root: &SecretKey,
    unseal: &SecretKey,
    split: Split,
) -> Result<(), StoreError> {
    put_seal_record(tx, SHAMIR, Some(split))?;
    put_key(tx, ROOT_KEY, Above::Unseal(unseal), root)
}

/// Puts the root key under the current static key.
pub(super) fn put_root_under_static(
    tx: &mut Transaction,
    root: &SecretKey,
    keys: &StaticKeys,
) -> Result<(), StoreError> {
    put_seal_record(tx, STATIC, None)?;
    put_key(tx, ROOT_KEY, Above::Static(keys), root)
}

/// Cuts a new recovery key into shares.
pub(super) fn put_new_recovery(
    tx: &mut Transaction,
    keys: &StaticKeys,
    split: Split,
) -> Result<Vec<Share>, StoreError> {
    let recovery = SecretKey::generate();
    put_recovery(tx, keys, &recovery, split)?;
    Ok(shamir::split(&recovery, split))
}

fn put_seal_record(tx: &mut Transaction, kind: &str, split: Option<Split>) -> Result<(), StoreError> {
    put_plain(tx, SEAL_CONFIG, &SealRecord { version: VERSION, kind: kind.to_owned(), split })
}

/// The root key, under the unseal key the shares gave.
pub(super) fn root_under(unseal: &SecretKey, snapshot: &dyn Snapshot) -> Result<SecretKey, KeptError> {
    let kept: KeptKey = plain(snapshot, ROOT_KEY)?.ok_or(KeptError::Lost(ROOT_KEY))?;
    opened(unseal, ROOT_KEY, &kept)
}

/// The root key, under the static key that sealed it.
pub(super) fn root_by_static(keys: &StaticKeys, snapshot: &dyn Snapshot) -> Result<SecretKey, KeptError> {
    by_static(keys, ROOT_KEY, snapshot)?.ok_or(KeptError::Lost(ROOT_KEY))
}

/// The recovery key; `None`: the store has none.
pub(super) fn recovery(keys: &StaticKeys, snapshot: &dyn Snapshot) -> Result<Option<SecretKey>, KeptError> {
    by_static(keys, RECOVERY_KEY, snapshot)
}

pub(super) fn put_recovery(
    tx: &mut Transaction,
    keys: &StaticKeys,
    recovery: &SecretKey,
    split: Split,
) -> Result<(), StoreError> {
    put_plain(tx, RECOVERY_CONFIG, &split)?;
    put_key(tx, RECOVERY_KEY, Above::Static(keys), recovery)
}

/// Seals again, with the current static key, what the previous one sealed. Whether anything was.
pub(super) fn renew_static(tx: &mut Transaction, keys: &StaticKeys) -> Result<bool, RenewError> {
    let snapshot = std::sync::Arc::clone(tx.snapshot());
    let mut renewed = false;
    for record in [ROOT_KEY, RECOVERY_KEY] {
        let kept: Option<KeptKey> = plain(&*snapshot, record)?;
        if kept.is_none_or(|kept| kept.key_id == keys.current.id) {
            continue;
        }
        let key = by_static(keys, record, &*snapshot)?.ok_or(KeptError::Lost(record))?;
        put_key(tx, record, Above::Static(keys), &key)?;
        renewed = true;
    }
    Ok(renewed)
}

/// What seals a kept key.
#[derive(Debug, Clone, Copy)]
enum Above<'k> {
    /// The key the shares give.
    Unseal(&'k SecretKey),
    /// The current static key.
    Static(&'k StaticKeys),
}

/// Renewing failed.
#[derive(Debug, Clone, Error)]
pub enum RenewError {
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn by_static(
    keys: &StaticKeys,
    record: &'static str,
    snapshot: &dyn Snapshot,
) -> Result<Option<SecretKey>, KeptError> {
    let Some(kept) = plain::<KeptKey>(snapshot, record)? else { return Ok(None) };
    let Some(key) = keys.find(&kept.key_id) else {
        return Err(KeptError::UnknownStaticKey { record, id: kept.key_id });
    };
    opened(key, record, &kept).map(Some)
}

fn opened(above: &SecretKey, record: &'static str, kept: &KeptKey) -> Result<SecretKey, KeptError> {
    if kept.version != VERSION {
        return Err(KeptError::Version(record));
    }
    let sealed = BASE64_STANDARD.decode(&kept.sealed).map_err(|_| KeptError::Damaged(record))?;
    let key = above.open(record, &sealed).map_err(|_| KeptError::WrongKey)?;
    SecretKey::of(&key).ok_or(KeptError::Damaged(record))
}

fn put_key(
    tx: &mut Transaction,
    record: &'static str,
    above: Above<'_>,
    key: &SecretKey,
) -> Result<(), StoreError> {
    let (key_id, sealing) = match above {
        Above::Unseal(unseal) => (String::new(), unseal),
        Above::Static(keys) => (keys.current.id.clone(), &keys.current.key),
    };
    let sealed = BASE64_STANDARD.encode(sealing.seal(record, key.expose()));
    put_plain(tx, record, &KeptKey { version: VERSION, key_id, sealed })
}

fn plain<T: DeserializeOwned>(snapshot: &dyn Snapshot, key: &'static str) -> Result<Option<T>, KeptError> {
    let Some(stored) = snapshot.get(key)? else { return Ok(None) };
    serde_json::from_slice(&stored.value).map(Some).map_err(|_| KeptError::Damaged(key))
}

/// Reads it first: two that write the same record at once do not both succeed.
fn put_plain<T: Serialize>(tx: &mut Transaction, key: &str, record: &T) -> Result<(), StoreError> {
    tx.get_raw(key)?;
    let bytes = serde_json::to_vec(record).expect("a record of texts and numbers is JSON");
    tx.put_raw(key, bytes)
}

impl From<StorageError> for KeptError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.to_string())
    }
}
