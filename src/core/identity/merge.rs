//! Several entities become one. What the others had but their aliases and memberships is gone; their ids go on standing
//! for the one that stays, so tokens made before keep opening what it may.

use std::collections::BTreeSet;

use thiserror::Error;

use super::alias::Alias;
use super::group::{add_member, remove_member};
use super::{Entity, store};
use crate::barrier::{StoreError, Transaction};
use crate::logical::Fault;

/// What an operator wants merged. Empty texts and lists are "not given".
#[derive(Debug, Clone, Default)]
pub struct MergeChange {
    pub to: String,
    pub from: Vec<String>,
    /// Where both sides have an alias of the same mount: the ids of those that stay.
    pub keep: Vec<String>,
}

/// Two aliases of one mount, of which only one can stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    pub to: (Entity, Alias),
    pub from: (Entity, Alias),
}

/// Why entities are not merged.
#[derive(Debug, Clone, Error)]
pub enum MergeError {
    #[error("{0}")]
    Refused(String),
    /// The operator must say which aliases to keep.
    #[error("aliases clash")]
    Clashes(Vec<Clash>),
    #[error(transparent)]
    Other(#[from] Fault),
}

// === impl MergeError ===

impl From<StoreError> for MergeError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

fn refused(text: &str) -> MergeError {
    MergeError::Refused(text.to_owned())
}

/// Merges.
///
/// # Errors
/// An entity is not there, or aliases clash and none of them is to be kept.
pub fn merge(tx: &mut Transaction, change: &MergeChange) -> Result<(), MergeError> {
    let (to, from) = read(tx, change)?;
    let after = merged(&to, &from, &change.keep)?;
    for gone in &from {
        for group_id in store::groups_of(tx, &gone.id)? {
            remove_member(tx, &group_id, &gone.id)?;
            add_member(tx, &group_id, &to)?;
        }
        store::replace_entity(tx, Some(gone), None)?;
    }
    // Last: its index takes over what that of the others gave up.
    store::replace_entity(tx, Some(&to), Some(&after))?;
    Ok(())
}

fn read(tx: &mut Transaction, change: &MergeChange) -> Result<(Entity, Vec<Entity>), MergeError> {
    if change.to.is_empty() {
        return Err(refused("missing entity id to merge to"));
    }
    if change.from.is_empty() {
        return Err(refused("missing entity ids to merge from"));
    }
    let to = store::entity(tx, &change.to)?.ok_or_else(|| refused("entity id to merge to is invalid"))?;
    let ids: BTreeSet<&String> = change.from.iter().collect();
    if ids.contains(&to.id) {
        return Err(refused("to_entity_id should not be present in from_entity_ids"));
    }
    let mut from = Vec::with_capacity(ids.len());
    for id in ids {
        from.push(store::entity(tx, id)?.ok_or_else(|| refused("entity id to merge from is invalid"))?);
    }
    Ok((to, from))
}

/// The entity that stays, as it will be.
///
/// # Errors
/// Aliases clash.
pub fn merged(to: &Entity, from: &[Entity], keep: &[String]) -> Result<Entity, MergeError> {
    if keep.is_empty() {
        check_clashes(to, from)?;
    }
    let mut after = to.clone();
    for gone in from {
        for alias in &gone.aliases {
            let mut taken = alias.clone();
            taken.merged_from.push(gone.id.clone());
            take(&mut after, taken, keep)?;
        }
        after.merged.push(gone.id.clone());
        after.merged.extend(gone.merged.iter().cloned());
    }
    Ok(after)
}

/// Adds the alias; where there is one of its mount already, the one to keep stays.
fn take(after: &mut Entity, alias: Alias, keep: &[String]) -> Result<(), MergeError> {
    let Some(at) = after.aliases.iter().position(|known| known.mount_accessor == alias.mount_accessor) else {
        after.aliases.push(alias);
        return Ok(());
    };
    let known = &mut after.aliases[at];
    if keep.contains(&known.id) {
        return Ok(());
    }
    if keep.contains(&alias.id) {
        *known = alias;
        return Ok(());
    }
    Err(MergeError::Refused(format!(
        "conflicting mount accessors in following alias IDs and neither were present in \
         conflicting_alias_ids_to_keep: {}, {}",
        alias.id, known.id
    )))
}

fn check_clashes(to: &Entity, from: &[Entity]) -> Result<(), MergeError> {
    let mut seen = BTreeSet::new();
    for accessor in from.iter().flat_map(accessors) {
        if !seen.insert(accessor) {
            return Err(MergeError::Refused(format!(
                "mount accessor {accessor} found in multiple fromEntities, merge should be done with one fromEntity \
                 at a time"
            )));
        }
    }
    let clash = |gone: &Entity, alias: &Alias| {
        let known = to.alias_at(&alias.mount_accessor)?;
        Some(Clash { to: (to.clone(), known.clone()), from: (gone.clone(), alias.clone()) })
    };
    let clashes: Vec<Clash> = from
        .iter()
        .flat_map(|gone| gone.aliases.iter().filter_map(move |alias| clash(gone, alias)))
        .collect();
    if clashes.is_empty() { Ok(()) } else { Err(MergeError::Clashes(clashes)) }
}

fn accessors(entity: &Entity) -> impl Iterator<Item = &String> {
    entity.aliases.iter().map(|alias| &alias.mount_accessor)
}
