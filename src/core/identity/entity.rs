//! Entities: one for each person or machine, whatever it logs in with.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::alias::Alias;
use super::metadata::{self, Pairs};
use super::store;
use crate::barrier::{StoreError, Transaction};
use crate::core::token_store::{nanos, sanitize_policies};
use crate::entropy;
use crate::logical::Fault;

/// An entity as stored. Moments in nanoseconds since 1970.
///
/// Invariant: at most one alias a mount; its name, its aliases and what was merged into it are in the index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entity {
    pub id: String,
    pub name: String,
    pub metadata: Pairs,
    /// Sorted, lower case, each once; never `root`.
    pub policies: Vec<String>,
    /// Its tokens open nothing, and nobody logs in as it.
    pub disabled: bool,
    pub aliases: Vec<Alias>,
    /// Ids that stand for it: entities merged into it, directly or before.
    pub merged: Vec<String>,
    pub created: i64,
    pub updated: i64,
}

/// What an operator wants of an entity; `None` and empty texts are "as it is".
#[derive(Debug, Clone, Default)]
pub struct EntityChange {
    pub id: String,
    pub name: String,
    pub metadata: Option<Pairs>,
    pub policies: Option<Vec<String>>,
    pub disabled: Option<bool>,
}

// === impl Entity ===

impl Entity {
    /// A new one with a name made up.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn unnamed(tx: &mut Transaction, now: OffsetDateTime) -> Result<Self, StoreError> {
        let name = loop {
            let name = made_up_name("entity");
            if store::entity_named(tx, &name)?.is_none() {
                break name;
            }
        };
        Ok(Self { name, ..Self::new(now) })
    }

    fn new(now: OffsetDateTime) -> Self {
        Self { id: Uuid::new_v4().to_string(), created: nanos(now), updated: nanos(now), ..Self::default() }
    }

    /// Its alias at a mount.
    #[must_use]
    pub fn alias_at(&self, accessor: &str) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.mount_accessor == accessor)
    }

    /// The entity with that one of its aliases.
    pub(super) fn with_alias(self, which: impl Fn(&Alias) -> bool) -> Option<(Self, Alias)> {
        let alias = self.aliases.iter().find(|alias| which(alias))?.clone();
        Some((self, alias))
    }

    /// Adds the alias, or takes it for the one with its id.
    pub(super) fn put_alias(&mut self, alias: Alias) {
        match self.aliases.iter_mut().find(|known| known.id == alias.id) {
            Some(known) => *known = alias,
            None => self.aliases.push(alias),
        }
    }

    fn apply(&mut self, change: EntityChange, now: OffsetDateTime) -> Result<(), Fault> {
        if !change.name.is_empty() {
            self.name = change.name;
        }
        if let Some(pairs) = change.metadata {
            metadata::check("entity", &pairs)?;
            self.metadata = pairs;
        }
        if let Some(policies) = change.policies {
            self.policies = assignable(&policies)?;
        }
        self.disabled = change.disabled.unwrap_or(self.disabled);
        self.updated = nanos(now);
        Ok(())
    }
}

/// `entity_1a2b3c4d.root`, as the server names what nobody named: kind, chance, namespace. Among 100,000 of them two
/// are likely to be the same: whoever uses one looks first.
pub(super) fn made_up_name(kind: &str) -> String {
    format!("{kind}_{}.root", hex::encode(entropy::bytes::<4>()))
}

/// Policies as they are kept.
///
/// # Errors
/// `root` is among them: it cannot be had by identity.
pub(super) fn assignable(policies: &[String]) -> Result<Vec<String>, Fault> {
    let clean = sanitize_policies(policies, false);
    if clean.iter().any(|policy| policy == "root") {
        return Err(Fault::invalid("policies cannot contain root"));
    }
    Ok(clean)
}

// --- Changes.

/// Changes the entity with that id or else that name, or makes one; a new one is given back.
///
/// # Errors
/// The id is nobody's, the name somebody else's, or a value is not allowed.
pub fn upsert(
    tx: &mut Transaction,
    change: EntityChange,
    now: OffsetDateTime,
) -> Result<Option<Entity>, Fault> {
    let before = match (change.id.as_str(), change.name.as_str()) {
        ("", "") => None,
        ("", name) => store::entity_named(tx, name)?,
        (id, _) => {
            let known = store::entity(tx, id)?;
            Some(known.ok_or_else(|| Fault::invalid("entity not found from id"))?)
        }
    };
    let mut after = match &before {
        Some(before) => before.clone(),
        None if change.name.is_empty() => Entity::unnamed(tx, now)?,
        None => Entity::new(now),
    };
    after.apply(change, now)?;
    let holder = store::entity_named(tx, &after.name)?;
    if holder.is_some_and(|holder| holder.id != after.id) {
        return Err(Fault::invalid("entity name is already in use"));
    }
    store::replace_entity(tx, before.as_ref(), Some(&after))?;
    Ok(before.is_none().then_some(after))
}

/// Removes an entity with its aliases and memberships; an absent one is no error.
///
/// # Errors
/// The store refuses.
pub fn delete(tx: &mut Transaction, id: &str) -> Result<(), Fault> {
    let Some(entity) = store::entity(tx, id)? else { return Ok(()) };
    for group_id in store::groups_of(tx, id)? {
        super::group::remove_member(tx, &group_id, id)?;
    }
    Ok(store::replace_entity(tx, Some(&entity), None)?)
}
