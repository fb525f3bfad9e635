//! Rate limits: how many requests an address may make of a path, a mount, a role or the whole API.
//!
//! ```text
//!   asked ──exempt?──> free          rule = role > path > longest glob > mount > everything
//!      └─────────────> rule ──bucket of (rule, address)──> within | exceeded
//! ```
//!
//! Rules and their configuration are one stored record, followed by every node as an index made for lookup. Buckets live
//! in memory, a bounded number of them, and begin anew when their rule is written. The check comes before anything of the
//! request is read or believed; what it answers is the pipeline's business.

mod bucket;
mod buckets;
mod index;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use bucket::Standing;
pub use rule::{Config, Rule, RuleChange, RuleMount};

use super::cached::FollowsRecord;
use crate::barrier::{StoreError, Transaction};
use crate::logical::Fault;
use buckets::Buckets;
use index::Index;

/// Where rules and configuration are stored.
const KEY: &str = "core/quotas";
/// Most rules; the record stays below the largest entry.
const MAX_RULES: usize = 2000;

/// What is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    pub config: Config,
    pub rules: BTreeMap<String, Rule>,
}

/// What is asked of the limits.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The whole path.
    pub path: &'a str,
    /// The mount that serves it, with its slash, and the rest of the path; `None` where no mount does.
    pub mount: Option<(&'a str, &'a str)>,
    /// Of a login, where the method tells.
    pub role: Option<&'a str>,
    /// `None`: a unix socket, whose clients share a bucket.
    pub client: Option<IpAddr>,
}

/// What the limits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No rule is about it.
    Free,
    Within(Standing),
    Exceeded(Standing),
}

/// See the module.
#[derive(Default)]
pub struct Quotas {
    index: ArcSwap<Index>,
    buckets: Buckets,
}

// === impl Quotas ===

impl Quotas {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one request into account.
    #[must_use]
    pub fn check(&self, asked: Asked<'_>, now: OffsetDateTime) -> Verdict {
        let index = self.index.load();
        let Some(rule) = index.rule(&asked) else { return Verdict::Free };
        let taken = self.buckets.take((rule.generation, asked.client), rule.limits(), now);
        let standing = if index.tells_clients() { taken.standing } else { Standing::default() };
        if taken.allowed { Verdict::Within(standing) } else { Verdict::Exceeded(standing) }
    }

    /// Whether there are no rules at all.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.index.load().is_empty()
    }

    /// Whether a login at the mount is to be asked for its role.
    #[must_use]
    pub fn wants_role(&self, mount: &str) -> bool {
        self.index.load().wants_role(mount)
    }

    /// Whether the audit log hears of refusals.
    #[must_use]
    pub fn tells_audit(&self) -> bool {
        self.index.load().tells_audit()
    }
}

impl FollowsRecord for Quotas {
    fn key(&self) -> &'static str {
        KEY
    }

    fn load(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        self.index.store(Arc::new(Index::of(read(tx)?)));
        Ok(())
    }

    fn clear(&self) {
        self.index.store(Arc::default());
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quotas({:?})", self.buckets)
    }
}

// --- The record.

/// Rules and configuration as the transaction sees them.
///
/// # Errors
/// The store cannot be read.
pub fn read(tx: &mut Transaction) -> Result<Book, StoreError> {
    Ok(tx.view("").get_record(KEY)?.unwrap_or_default())
}

fn write(tx: &mut Transaction, book: &Book) -> Result<(), StoreError> {
    tx.view("").put_record(KEY, book)
}

/// Replaces the configuration.
///
/// # Errors
/// The store refuses.
pub fn set_config(tx: &mut Transaction, config: Config) -> Result<(), Fault> {
    let book = Book { config, ..read(tx)? };
    Ok(write(tx, &book)?)
}

/// Writes a rule, new or in place of the one with its name; its buckets begin anew.
///
/// # Errors
/// Another rule is about the same requests, or there are too many.
pub fn set_rule(tx: &mut Transaction, name: &str, rule: Rule) -> Result<(), Fault> {
    let mut book = read(tx)?;
    let twin = book.rules.iter().find(|(known, other)| *known != name && other.is_about_the_same(&rule));
    if let Some((twin, _)) = twin {
        return Err(Fault::invalid(format!(
            "quota rule with similar properties exists under the name {twin:?}"
        )));
    }
    if book.rules.len() >= MAX_RULES && !book.rules.contains_key(name) {
        return Err(Fault::invalid(format!("there are too many quota rules; max: {MAX_RULES}")));
    }
    book.rules.insert(name.to_owned(), rule);
    Ok(write(tx, &book)?)
}

/// Removes a rule; an absent one is no error.
///
/// # Errors
/// The store refuses.
pub fn delete_rule(tx: &mut Transaction, name: &str) -> Result<(), Fault> {
    let mut book = read(tx)?;
    if book.rules.remove(name).is_some() {
        write(tx, &book)?;
    }
    Ok(())
}

/// Rules of a mount end with it. `path` is whole, with its slash.
///
/// # Errors
/// The store refuses.
pub fn mount_removed(tx: &mut Transaction, path: &str) -> Result<(), StoreError> {
    let mut book = read(tx)?;
    let before = book.rules.len();
    book.rules.retain(|_, rule| rule.mount != path);
    if book.rules.len() == before { Ok(()) } else { write(tx, &book) }
}

/// Rules of a mount move with it. Paths are whole, with their slashes.
///
/// # Errors
/// The store refuses.
pub fn mount_moved(tx: &mut Transaction, from: &str, to: &str) -> Result<(), StoreError> {
    let mut book = read(tx)?;
    let moved: Vec<&mut Rule> = book.rules.values_mut().filter(|rule| rule.mount == from).collect();
    if moved.is_empty() {
        return Ok(());
    }
    moved.into_iter().for_each(|rule| to.clone_into(&mut rule.mount));
    write(tx, &book)
}
