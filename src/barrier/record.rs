//! The keyring as it is kept, and following it when it changes.
//!
//! ```text
//!   core/keyring            the data keys, under the root key
//!   core/root-key-handover  the newest root key, under a data key
//! ```
//!
//! A node that is open holds the root key of that moment. When another node replaces it, the handover record lets every
//! open node go on: whoever holds the data keys can read everything anyway. A node that is sealed needs the new shares.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::envelope::KeyringError;
use super::keyring::{Keyring, MAX_TERMS, Term};
use super::rotation::Rotation;
use super::secret_key::SecretKey;
use super::transaction::{StoreError, Transaction};
use crate::storage::{Snapshot, StorageError};

/// Where the keyring is kept.
pub const KEYRING: &str = "core/keyring";
/// Where the newest root key is kept for nodes that are open.
pub const HANDOVER: &str = "core/root-key-handover";

const VERSION: u8 = 1;
/// Bytes of one term in the record, roughly: the buffer is made large enough at once, so that no copy of it is left.
const TERM_BYTES: usize = 192;

/// Why the keyring is not to be had. Each is for an operator to act on; none is mended by making new keys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeysError {
    #[error("the store holds no keyring: it was never initialized, or {KEYRING} was lost")]
    Missing,
    #[error("the keyring does not open with this root key: {KEYRING} was damaged or replaced ({0})")]
    Sealed(KeyringError),
    #[error("the keyring has format version {0}, which this release does not know")]
    Version(u8),
    #[error("the keyring is damaged: {0}")]
    Damaged(&'static str),
    #[error("the keyring cannot be read: {0}")]
    Storage(String),
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u8,
    rotation: Rotation,
    terms: Vec<TermRecord>,
}

#[derive(Serialize, Deserialize)]
struct TermRecord {
    term: u32,
    /// Base64.
    key: Zeroizing<String>,
    /// Nanoseconds since 1970.
    installed: i64,
    encryptions: u64,
}

// === impl Keyring ===

impl Keyring {
    /// Writes this keyring. The transaction expects the stored one to be as it was read, or absent.
    ///
    /// # Errors
    /// The transaction may not write.
    pub(super) fn store(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        tx.get_raw(KEYRING)?;
        tx.put_raw(KEYRING, self.sealed_record())
    }

    /// Writes this keyring and leaves its root key to the nodes that are open.
    ///
    /// # Errors
    /// The transaction may not write.
    pub fn store_with_root(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        tx.put(HANDOVER, Zeroizing::new(self.root().expose().to_vec()))?;
        self.store(tx)
    }

    fn sealed_record(&self) -> Vec<u8> {
        let terms: Vec<TermRecord> = self.terms().map(TermRecord::of).collect();
        let mut plain = Zeroizing::new(Vec::with_capacity(256 + terms.len() * TERM_BYTES));
        serde_json::to_writer(&mut *plain, &Record { version: VERSION, rotation: self.rotation(), terms })
            .expect("a record of texts and numbers is JSON");
        self.root().seal(KEYRING, &plain)
    }

    /// The keyring of a store.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn load(root: &SecretKey, snapshot: &dyn Snapshot) -> Result<Self, KeysError> {
        let stored = snapshot.get(KEYRING)?.ok_or(KeysError::Missing)?;
        let plain = root.open(KEYRING, &stored.value).map_err(KeysError::Sealed)?;
        decode(root, &plain)
    }

    /// This keyring as the snapshot has it by now, its root key replaced or not.
    ///
    /// # Errors
    /// It does not open with the keys held here: see [`KeysError`].
    pub fn follow(&self, snapshot: &dyn Snapshot) -> Result<Self, KeysError> {
        let followed = match Self::load(self.root(), snapshot) {
            Err(KeysError::Sealed(why)) => {
                Self::load(&self.handed_over(snapshot)?.ok_or(KeysError::Sealed(why))?, snapshot)
            }
            loaded => loaded,
        };
        Ok(followed?.counting_with(self))
    }

    /// The newest root key, when this keyring may know it.
    fn handed_over(&self, snapshot: &dyn Snapshot) -> Result<Option<SecretKey>, KeysError> {
        let Some(stored) = snapshot.get(HANDOVER)? else { return Ok(None) };
        let opened = self.open(HANDOVER, &stored.value);
        Ok(opened.ok().and_then(|key| SecretKey::of(&key)))
    }
}

impl TermRecord {
    fn of((number, term, encryptions): (u32, &Term, u64)) -> Self {
        let nanos = term.installed.unix_timestamp_nanos();
        Self {
            term: number,
            key: Zeroizing::new(BASE64_STANDARD.encode(term.key.expose())),
            installed: i64::try_from(nanos).unwrap_or(i64::MAX),
            encryptions,
        }
    }

    fn term(&self) -> Option<(u32, Term)> {
        let key = Zeroizing::new(BASE64_STANDARD.decode(self.key.as_bytes()).ok()?);
        let installed = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.installed)).ok()?;
        Some((self.term, Term::new(SecretKey::of(&key)?, installed, self.encryptions)))
    }
}

fn decode(root: &SecretKey, plain: &[u8]) -> Result<Keyring, KeysError> {
    // What serde says of it may quote a key.
    let record: Record =
        serde_json::from_slice(plain).map_err(|_| KeysError::Damaged("it is not a record"))?;
    if record.version != VERSION {
        return Err(KeysError::Version(record.version));
    }
    if record.terms.is_empty() || record.terms.len() > MAX_TERMS {
        return Err(KeysError::Damaged("it holds no keys, or too many"));
    }
    let terms: Option<BTreeMap<u32, Term>> = record.terms.iter().map(TermRecord::term).collect();
    let terms = terms.ok_or(KeysError::Damaged("a key of it is none"))?;
    Ok(Keyring::assemble(root.clone(), terms, record.rotation))
}

impl From<StorageError> for KeysError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.to_string())
    }
}
