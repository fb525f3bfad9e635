//! Groups: internal ones, whose members operators name, and external ones, whose members come with their logins.
//!
//! Groups in groups are kept in the records of both sides, so that whoever reads one side conflicts with whoever changes
//! it: two changes that together would close a circle never both succeed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::alias::Alias;
use super::entity::{Entity, assignable, made_up_name};
use super::metadata::{self, Pairs};
use super::store;
use super::subject::ancestors;
use crate::barrier::{StoreError, Transaction};
use crate::core::token_store::nanos;
use crate::logical::Fault;

/// Where a group's members come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    #[default]
    Internal,
    External,
}

/// A group as stored; its member entities are links. Moments in nanoseconds since 1970.
///
/// Invariant: `member_groups` here and `parents` there say the same; no group is its own ancestor; only an external
/// group has an alias.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub kind: GroupKind,
    pub metadata: Pairs,
    /// Sorted, lower case, each once; never `root`.
    pub policies: Vec<String>,
    pub member_groups: BTreeSet<String>,
    pub parents: BTreeSet<String>,
    pub alias: Option<Alias>,
    /// Counts the changes.
    pub modify_index: u64,
    pub created: i64,
    pub updated: i64,
}

/// What an operator wants of a group; `None` and empty texts are "as it is".
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    pub id: String,
    pub name: String,
    /// As given: `internal` or `external`.
    pub kind: Option<String>,
    pub metadata: Option<Pairs>,
    pub policies: Option<Vec<String>>,
    pub member_entities: Option<Vec<String>>,
    pub member_groups: Option<Vec<String>>,
}

// === impl GroupKind ===

impl GroupKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Internal, Self::External].into_iter().find(|kind| kind.as_str() == text)
    }
}

// === impl Group ===

impl Group {
    fn new(now: OffsetDateTime) -> Self {
        Self { id: Uuid::new_v4().to_string(), created: nanos(now), updated: nanos(now), ..Self::default() }
    }

    /// A new one with a name made up.
    pub(super) fn unnamed(tx: &mut Transaction, now: OffsetDateTime) -> Result<Self, StoreError> {
        let name = loop {
            let name = made_up_name("group");
            if store::group_named(tx, &name)?.is_none() {
                break name;
            }
        };
        Ok(Self { name, ..Self::new(now) })
    }

    /// Everything but who is in it.
    fn apply(&mut self, change: &GroupChange, is_new: bool, now: OffsetDateTime) -> Result<(), Fault> {
        if let Some(policies) = &change.policies {
            self.policies = assignable(policies)?;
        }
        self.set_kind(change.kind.as_deref(), is_new)?;
        if !change.name.is_empty() {
            self.name.clone_from(&change.name);
        }
        if let Some(pairs) = &change.metadata {
            metadata::check("group", pairs)?;
            self.metadata.clone_from(pairs);
        }
        self.updated = nanos(now);
        self.modify_index += 1;
        Ok(())
    }

    fn set_kind(&mut self, wanted: Option<&str>, is_new: bool) -> Result<(), Fault> {
        let Some(text) = wanted else { return Ok(()) };
        if !is_new {
            let same = text == self.kind.as_str();
            return if same { Ok(()) } else { Err(Fault::invalid("group type cannot be changed")) };
        }
        let text = if text.is_empty() { GroupKind::Internal.as_str() } else { text };
        self.kind =
            GroupKind::parse(text).ok_or_else(|| Fault::invalid(format!("invalid group type {text:?}")))?;
        Ok(())
    }

    fn check_members(&self, change: &GroupChange) -> Result<(), Fault> {
        let text = match (self.kind, &change.member_entities, &change.member_groups) {
            (GroupKind::External, Some(_), _) => "member entities can't be set manually for external groups",
            (GroupKind::External, None, Some(_)) => "member groups can't be set for external groups",
            (GroupKind::Internal, ..) | (GroupKind::External, None, None) => return Ok(()),
        };
        Err(Fault::invalid(text))
    }
}

// --- Changes.

/// Changes the group with that id or else that name, or makes one; a new one is given back.
///
/// # Errors
/// What is named does not exist or is somebody else's, a value is not allowed, or the groups would go in a circle.
pub fn upsert(
    tx: &mut Transaction,
    change: &GroupChange,
    now: OffsetDateTime,
) -> Result<Option<Group>, Fault> {
    let before = match (change.id.as_str(), change.name.as_str()) {
        ("", "") => None,
        ("", name) => store::group_named(tx, name)?,
        (id, _) => {
            let known = store::group(tx, id)?;
            Some(known.ok_or_else(|| Fault::invalid("invalid group ID"))?)
        }
    };
    let mut after = match &before {
        Some(before) => before.clone(),
        None if change.name.is_empty() => Group::unnamed(tx, now)?,
        None => Group::new(now),
    };
    after.apply(change, before.is_none(), now)?;
    let holder = store::group_named(tx, &after.name)?;
    if holder.is_some_and(|holder| holder.id != after.id) {
        return Err(Fault::invalid("group name is already in use"));
    }
    after.check_members(change)?;
    set_members(tx, &after.id, change.member_entities.as_deref())?;
    if let Some(wanted) = &change.member_groups {
        after.member_groups = wanted.iter().cloned().collect();
        set_children(tx, before.as_ref(), &after)?;
    }
    store::replace_group(tx, before.as_ref(), Some(&after))?;
    Ok(before.is_none().then_some(after))
}

/// Makes exactly these entities members.
fn set_members(tx: &mut Transaction, group_id: &str, wanted: Option<&[String]>) -> Result<(), Fault> {
    let Some(wanted) = wanted else { return Ok(()) };
    let wanted: BTreeSet<&String> = wanted.iter().collect();
    let known: BTreeSet<String> = store::members(tx, group_id)?.into_iter().collect();
    for id in known.iter().filter(|id| !wanted.contains(id)) {
        store::unlink(tx, id, group_id)?;
    }
    for id in wanted.into_iter().filter(|id| !known.contains(*id)) {
        let unknown = || Fault::Internal(format!("invalid entity ID {id:?}"));
        let entity = store::entity(tx, id)?.ok_or_else(unknown)?;
        store::link(tx, &entity, group_id)?;
    }
    Ok(())
}

/// Tells the groups that came in or went out of their parent, after a look for circles.
fn set_children(tx: &mut Transaction, before: Option<&Group>, after: &Group) -> Result<(), Fault> {
    let above = ancestors(tx, after.parents.iter().cloned())?;
    for id in &after.member_groups {
        if *id == after.id {
            return Err(Fault::Internal(format!("member group ID {id:?} is same as the ID of the group")));
        }
        if above.iter().any(|group| group.id == *id) {
            return Err(Fault::invalid(format!("cyclic relationship detected for member group ID {id:?}")));
        }
        if store::group(tx, id)?.is_none() {
            return Err(Fault::Internal(format!("invalid member group ID {id:?}")));
        }
    }
    let none = BTreeSet::new();
    let known = before.map_or(&none, |before| &before.member_groups);
    for id in known.difference(&after.member_groups) {
        change_group(tx, id, |child| child.parents.remove(&after.id))?;
    }
    for id in after.member_groups.difference(known) {
        change_group(tx, id, |child| child.parents.insert(after.id.clone()))?;
    }
    Ok(())
}

/// Changes another group beside the one the request is about; one that is gone needs no change.
fn change_group(
    tx: &mut Transaction,
    id: &str,
    change: impl FnOnce(&mut Group) -> bool,
) -> Result<(), StoreError> {
    let Some(before) = store::group(tx, id)? else { return Ok(()) };
    let mut after = before.clone();
    if !change(&mut after) {
        return Ok(());
    }
    after.modify_index += 1;
    store::replace_group(tx, Some(&before), Some(&after))
}

/// Ends one membership and counts it as a change of the group.
pub(super) fn remove_member(tx: &mut Transaction, group_id: &str, entity_id: &str) -> Result<(), Fault> {
    store::unlink(tx, entity_id, group_id)?;
    Ok(change_group(tx, group_id, |_| true)?)
}

/// Begins one membership and counts it as a change of the group.
pub(super) fn add_member(tx: &mut Transaction, group_id: &str, entity: &Entity) -> Result<(), Fault> {
    store::link(tx, entity, group_id)?;
    Ok(change_group(tx, group_id, |_| true)?)
}

/// Removes a group; an absent one is no error.
///
/// # Errors
/// The store refuses.
pub fn delete(tx: &mut Transaction, id: &str) -> Result<(), Fault> {
    let Some(group) = store::group(tx, id)? else { return Ok(()) };
    for parent in &group.parents {
        change_group(tx, parent, |parent| parent.member_groups.remove(id))?;
    }
    for child in &group.member_groups {
        change_group(tx, child, |child| child.parents.remove(id))?;
    }
    for member in store::members(tx, id)? {
        store::unlink(tx, &member, id)?;
    }
    Ok(store::replace_group(tx, Some(&group), None)?)
}
