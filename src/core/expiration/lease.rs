//! The record of a lease, and what requests do with it within their transaction.
//!
//! ```text
//!   sys/expire/id/<lease id>            the lease; the id of a token's is its path and key, of a secret's path and 24 letters
//!   sys/expire/token/<key>/<lease id>   leases by the token that holds them
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::barrier::{StoreError, Transaction};
use crate::core::token_store::ttl::{self, Asked, Bounds};
use crate::core::token_store::{TokenEntry, nanos, nanos_after};
use crate::entropy;
use crate::logical::{Fault, LeaseRequest, MountInfo, Renewed};

pub(super) const IDS: &str = "sys/expire/id/";
const BY_TOKEN: &str = "sys/expire/token/";

/// Letters of a lease id behind its path.
const ID_LENGTH: usize = 24;

/// See the module. Times in nanoseconds since 1970, lengths in seconds.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaseEntry {
    pub id: String,
    /// Path of the request that made it.
    pub path: String,
    /// The token that holds it, or that it is.
    pub token_key: String,
    /// Ending it revokes the token `token_key`.
    pub is_token: bool,
    /// The backend's own.
    pub internal: Map<String, Value>,
    pub issued_at: i64,
    /// `None`: never.
    pub expires_at: Option<i64>,
    pub last_renewal: Option<i64>,
    pub ttl_secs: u64,
    pub max_ttl_secs: u64,
    pub renewable: bool,
    /// Why revoking was given up.
    pub irrevocable: Option<String>,
}

// --- tokens ---

/// Id of a token's lease.
#[must_use]
pub fn token_lease_id(entry: &TokenEntry) -> String {
    format!("{}/{}", entry.path, entry.key)
}

/// Writes the lease of a token as the token says.
///
/// # Errors
/// The store refuses.
pub fn register_token(tx: &mut Transaction, entry: &TokenEntry) -> Result<(), StoreError> {
    put(
        tx,
        &LeaseEntry {
            id: token_lease_id(entry),
            path: entry.path.clone(),
            token_key: entry.key.clone(),
            is_token: true,
            issued_at: entry.issued_at,
            expires_at: entry.expires_at,
            last_renewal: entry.last_renewal,
            ttl_secs: entry.ttl_secs,
            renewable: entry.renewable,
            ..LeaseEntry::default()
        },
    )
}

/// Makes the token's lease due at once.
///
/// # Errors
/// The store refuses.
pub fn end_token(tx: &mut Transaction, entry: &TokenEntry, now: OffsetDateTime) -> Result<(), StoreError> {
    match get(tx, &token_lease_id(entry))? {
        Some(lease) => put(tx, &LeaseEntry { expires_at: Some(nanos(now)), ..lease }),
        None => Ok(()),
    }
}

/// Drops the lease of a revoked token.
///
/// # Errors
/// The store refuses.
pub fn forget_token(tx: &mut Transaction, entry: &TokenEntry) -> Result<(), StoreError> {
    tx.delete(&format!("{IDS}{}", token_lease_id(entry)))
}

/// Makes all leases the token holds due at once, and gives their ids.
///
/// # Errors
/// The store refuses.
pub fn end_leases_of(
    tx: &mut Transaction,
    key: &str,
    now: OffsetDateTime,
) -> Result<Vec<String>, StoreError> {
    let prefix = format!("{BY_TOKEN}{key}/");
    let ids: Vec<String> = tx.view(&prefix).keys("", usize::MAX)?;
    for id in &ids {
        if let Some(lease) = get(tx, id)? {
            put(tx, &LeaseEntry { expires_at: Some(nanos(now)), ..lease })?;
        }
        tx.delete(&format!("{prefix}{id}"))?;
    }
    Ok(ids)
}

// --- secrets ---

/// A new lease of a secret, held by `token`. It ends no later than the token does. Gives its id and life in seconds.
///
/// # Errors
/// Batch tokens without an end and the store may refuse.
pub fn register(
    tx: &mut Transaction,
    request_path: &str,
    mount: &MountInfo,
    lease: &LeaseRequest,
    token: &TokenEntry,
    now: OffsetDateTime,
) -> Result<(String, u64), Fault> {
    let asked = Asked { ttl: lease.ttl_secs, max_ttl: lease.max_ttl_secs, ..Asked::default() };
    let ttl = ttl::calculate(asked, Bounds::of(mount)).map_err(|_| past_max())?.ttl;
    let id = format!("{request_path}/{}", entropy::base62(ID_LENGTH));
    let record = LeaseEntry {
        id: id.clone(),
        path: request_path.to_owned(),
        token_key: token.key.clone(),
        internal: lease.internal.clone(),
        issued_at: nanos(now),
        expires_at: Some(nanos_after(now, ttl)),
        ttl_secs: ttl,
        max_ttl_secs: lease.max_ttl_secs,
        renewable: lease.renewable,
        ..LeaseEntry::default()
    };
    put(tx, &record)?;
    if !token.key.is_empty() {
        tx.put(&format!("{BY_TOKEN}{}/{id}", token.key), Zeroizing::new(Vec::new()))?;
    }
    Ok((id, ttl))
}

/// Renews a secret's lease as its backend allowed (`fresh`); gives the new life in seconds.
///
/// # Errors
/// It has reached its maximum; the store refuses.
pub fn renew(
    tx: &mut Transaction,
    lease: &LeaseEntry,
    mount: &MountInfo,
    increment: u64,
    fresh: Renewed,
    now: OffsetDateTime,
) -> Result<ttl::Granted, Fault> {
    let age = nanos(now).saturating_sub(lease.issued_at) / 1_000_000_000;
    let asked = Asked {
        increment,
        ttl: if fresh.ttl_secs > 0 { fresh.ttl_secs } else { lease.ttl_secs },
        max_ttl: if fresh.max_ttl_secs > 0 { fresh.max_ttl_secs } else { lease.max_ttl_secs },
        age: u64::try_from(age).unwrap_or(0),
        ..Asked::default()
    };
    let granted = ttl::calculate(asked, Bounds::of(mount)).map_err(|_| past_max())?;
    let expires_at = Some(nanos_after(now, granted.ttl));
    put(tx, &LeaseEntry { expires_at, last_renewal: Some(nanos(now)), ..lease.clone() })?;
    Ok(granted)
}

fn past_max() -> Fault {
    Fault::invalid("past the max TTL, cannot renew")
}

// --- any lease ---

/// The lease with this id.
///
/// # Errors
/// The store cannot be read.
pub fn get(tx: &mut Transaction, id: &str) -> Result<Option<LeaseEntry>, StoreError> {
    tx.view(IDS).get_record(id)
}

pub(super) fn put(tx: &mut Transaction, lease: &LeaseEntry) -> Result<(), StoreError> {
    tx.view(IDS).put_record(&lease.id, lease)
}

/// Drops a lease and its place with its token.
///
/// # Errors
/// The store refuses.
pub fn remove(tx: &mut Transaction, lease: &LeaseEntry) -> Result<(), StoreError> {
    if !lease.is_token && !lease.token_key.is_empty() {
        tx.delete(&format!("{BY_TOKEN}{}/{}", lease.token_key, lease.id))?;
    }
    tx.delete(&format!("{IDS}{}", lease.id))
}

/// Makes a lease due at once, irrevocable ones too: they get their tries anew.
///
/// # Errors
/// The store refuses.
pub fn end(tx: &mut Transaction, lease: LeaseEntry, now: OffsetDateTime) -> Result<(), StoreError> {
    put(tx, &LeaseEntry { expires_at: Some(nanos(now)), irrevocable: None, ..lease })
}

/// Children of `prefix` among the ids (empty or ending in `/`).
///
/// # Errors
/// The store cannot be read.
pub fn list(tx: &Transaction, prefix: &str) -> Result<Vec<String>, StoreError> {
    tx.list(&format!("{IDS}{prefix}"), "", usize::MAX)
}

/// Ids below `prefix`, at most `limit`.
///
/// # Errors
/// The store cannot be read.
pub fn ids_below(tx: &mut Transaction, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
    let ids = tx.view(IDS).keys(prefix, limit)?;
    Ok(ids)
}

impl LeaseEntry {
    /// Whole seconds left; 0 for leases without an end.
    #[must_use]
    pub fn ttl_left(&self, now: OffsetDateTime) -> u64 {
        let left = self.expires_at.map_or(0, |end| end.saturating_sub(nanos(now)) / 1_000_000_000);
        u64::try_from(left).unwrap_or(0)
    }
}

/// Ids of leases are no secret to operators, but they open renewals: logs get the path only.
impl fmt::Debug for LeaseEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseEntry({} token: {})", self.path, self.is_token)
    }
}
