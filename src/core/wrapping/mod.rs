//! Response wrapping: an answer kept behind a token that opens it once.

pub mod jwt;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::token_store::{TokenEntry, TokenSpec, TokenStore, wire_time};
use crate::barrier::{StoreError, Transaction};
use crate::logical::{Fault, WrapInfo};

/// The policy of wrapping tokens; no other token may have it.
pub const POLICY: &str = "response-wrapping";

/// What the real server says of a token that is none, is used or has expired.
pub const INVALID: &str = "wrapping token is not valid or does not exist";

const RECORDS: &str = "sys/wrapping/";

/// The kept answer.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Record {
    /// The whole JSON answer.
    envelope: String,
    #[zeroize(skip)]
    creation_path: String,
    /// Nanoseconds since 1970.
    #[zeroize(skip)]
    creation_time: i64,
    #[zeroize(skip)]
    ttl_secs: u64,
    /// What the answer had; it has it again when it is opened.
    #[zeroize(skip)]
    #[serde(default = "ok")]
    status: u16,
}

fn ok() -> u16 {
    200
}

/// What may be known of a wrapped answer without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    pub creation_path: String,
    pub creation_time: String,
    pub creation_ttl: u64,
}

/// An answer to be wrapped.
#[derive(Clone, Copy)]
pub struct ToWrap<'a> {
    /// The whole JSON answer.
    pub envelope: &'a [u8],
    pub status: u16,
    pub ttl_secs: u64,
    pub request_path: &'a str,
    /// Accessor of the token in the answer, if there is one.
    pub wrapped_accessor: &'a str,
}

/// An answer that was wrapped.
pub struct Opened {
    pub envelope: Zeroizing<String>,
    pub status: u16,
}

/// Where the answer behind the token `key` is stored: revoking the token deletes it.
pub(super) fn record_key(key: &str) -> String {
    format!("{RECORDS}{key}")
}

/// Keeps an answer behind a new single-use token.
///
/// # Errors
/// The answer is no text, or the store refuses.
pub fn wrap(
    tx: &mut Transaction,
    store: &TokenStore,
    answer: ToWrap<'_>,
    now: OffsetDateTime,
) -> Result<WrapInfo, Fault> {
    let envelope = std::str::from_utf8(answer.envelope)
        .map_err(|_| Fault::Internal("the answer to wrap is not JSON".to_owned()))?;
    let made = store.create(tx, token(&answer), now)?;
    let record = Record {
        envelope: envelope.trim_end().to_owned(),
        creation_path: answer.request_path.to_owned(),
        creation_time: super::token_store::nanos(now),
        ttl_secs: answer.ttl_secs,
        status: answer.status,
    };
    tx.view(RECORDS).put_record(&made.key, &record)?;
    Ok(WrapInfo {
        token: made.granted.client_token,
        accessor: made.granted.accessor,
        ttl: answer.ttl_secs,
        creation_time: wire_time(record.creation_time),
        creation_path: record.creation_path.clone(),
        wrapped_accessor: answer.wrapped_accessor.to_owned(),
    })
}

fn token(answer: &ToWrap<'_>) -> TokenSpec {
    TokenSpec {
        policies: vec![POLICY.to_owned()],
        path: answer.request_path.to_owned(),
        display_name: "token".to_owned(),
        metadata: BTreeMap::new(),
        num_uses: 1,
        ttl_secs: answer.ttl_secs.max(1),
        explicit_max_ttl_secs: answer.ttl_secs.max(1),
        ..TokenSpec::default()
    }
}

/// Where and when the answer behind a wrapping token was made; does not use it up.
///
/// # Errors
/// Not a wrapping token, or used.
pub fn lookup(tx: &mut Transaction, entry: Option<&TokenEntry>) -> Result<Wrapped, Fault> {
    let record = record(tx, entry)?;
    Ok(Wrapped {
        creation_path: record.creation_path.clone(),
        creation_time: wire_time(record.creation_time),
        creation_ttl: record.ttl_secs,
    })
}

/// The answer behind a wrapping token, for one who reads it with the token's only use.
///
/// # Errors
/// Not a wrapping token, or used.
pub fn peek(tx: &mut Transaction, entry: &TokenEntry) -> Result<Zeroizing<String>, Fault> {
    Ok(Zeroizing::new(std::mem::take(&mut record(tx, Some(entry))?.envelope)))
}

/// The answer behind a wrapping token, which is then gone.
///
/// # Errors
/// Not a wrapping token, or used.
pub fn unwrap(
    tx: &mut Transaction,
    store: &TokenStore,
    entry: Option<&TokenEntry>,
    now: OffsetDateTime,
) -> Result<Opened, Fault> {
    let mut record = record(tx, entry)?;
    if let Some(entry) = entry {
        store.revoke_tree(tx, &entry.key, now)?;
    }
    Ok(Opened { envelope: Zeroizing::new(std::mem::take(&mut record.envelope)), status: record.status })
}

/// The same answer behind a new token, with the same path and, unless another is asked for, ttl; the old one is gone.
///
/// # Errors
/// Not a wrapping token, or used.
pub fn rewrap(
    tx: &mut Transaction,
    store: &TokenStore,
    entry: Option<&TokenEntry>,
    ttl_secs: Option<u64>,
    now: OffsetDateTime,
) -> Result<WrapInfo, Fault> {
    let kept = lookup(tx, entry)?;
    let opened = unwrap(tx, store, entry, now)?;
    let answer = ToWrap {
        envelope: opened.envelope.as_bytes(),
        status: opened.status,
        ttl_secs: ttl_secs.unwrap_or(kept.creation_ttl),
        request_path: &kept.creation_path,
        wrapped_accessor: "",
    };
    wrap(tx, store, answer, now)
}

fn record(tx: &mut Transaction, entry: Option<&TokenEntry>) -> Result<Record, Fault> {
    let invalid = || Fault::invalid(INVALID);
    let entry = entry.filter(|entry| is_wrapping(entry)).ok_or_else(invalid)?;
    let found: Result<Option<Record>, StoreError> = tx.view(RECORDS).get_record(&entry.key);
    found?.ok_or_else(invalid)
}

/// Whether the token is one of those made here.
#[must_use]
pub fn is_wrapping(entry: &TokenEntry) -> bool {
    entry.policies.iter().any(|policy| policy == POLICY)
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({}, {} bytes)", self.status, self.envelope.len())
    }
}

impl std::fmt::Debug for ToWrap<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ToWrap({} bytes)", self.envelope.len())
    }
}
