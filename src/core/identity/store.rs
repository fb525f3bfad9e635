//! Records and their index: reading by id, name, alias or membership, and writing what a change makes different.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Entity, Group};
use crate::barrier::{StoreError, Transaction};

const ENTITIES: &str = "identity/entity/id/";
const ENTITY_NAMES: &str = "identity/entity/name/";
const MERGED: &str = "identity/entity/merged/";
const ALIASES: &str = "identity/alias/id/";
const ALIASES_AT: &str = "identity/alias/at/";
const GROUPS: &str = "identity/group/id/";
const GROUP_NAMES: &str = "identity/group/name/";
const GROUP_ALIASES: &str = "identity/group-alias/id/";
const GROUP_ALIASES_AT: &str = "identity/group-alias/at/";
const MEMBER: &str = "identity/member/";
const MEMBERS: &str = "identity/members/";

/// Index records: key and the id they hold.
pub(super) type Index = BTreeMap<String, String>;

// --- Reading.

/// # Errors
/// The store cannot be read.
pub fn entity(tx: &mut Transaction, id: &str) -> Result<Option<Entity>, StoreError> {
    record(tx, ENTITIES, id)
}

/// Names do not tell upper from lower case.
///
/// # Errors
/// The store cannot be read.
pub fn entity_named(tx: &mut Transaction, name: &str) -> Result<Option<Entity>, StoreError> {
    match pointer(tx, &format!("{ENTITY_NAMES}{}", hash(name)))? {
        Some(id) => entity(tx, &id),
        None => Ok(None),
    }
}

/// The entity known as `name` to the mount.
///
/// # Errors
/// The store cannot be read.
pub fn entity_at(tx: &mut Transaction, accessor: &str, name: &str) -> Result<Option<Entity>, StoreError> {
    match pointer(tx, &at(ALIASES_AT, accessor, name))? {
        Some(id) => entity(tx, &id),
        None => Ok(None),
    }
}

/// The entity an id stands for: itself, or what it was merged into.
///
/// # Errors
/// The store cannot be read.
pub(super) fn entity_or_merged(tx: &mut Transaction, id: &str) -> Result<Option<Entity>, StoreError> {
    if let Some(found) = entity(tx, id)? {
        return Ok(Some(found));
    }
    match pointer(tx, &format!("{MERGED}{id}"))? {
        Some(into) => entity(tx, &into),
        None => Ok(None),
    }
}

/// The entity that has the alias.
///
/// # Errors
/// The store cannot be read.
pub fn alias_owner(tx: &mut Transaction, alias_id: &str) -> Result<Option<Entity>, StoreError> {
    match pointer(tx, &format!("{ALIASES}{alias_id}"))? {
        Some(id) => entity(tx, &id),
        None => Ok(None),
    }
}

/// # Errors
/// The store cannot be read.
pub fn group(tx: &mut Transaction, id: &str) -> Result<Option<Group>, StoreError> {
    record(tx, GROUPS, id)
}

/// # Errors
/// The store cannot be read.
pub fn group_named(tx: &mut Transaction, name: &str) -> Result<Option<Group>, StoreError> {
    match pointer(tx, &format!("{GROUP_NAMES}{}", hash(name)))? {
        Some(id) => group(tx, &id),
        None => Ok(None),
    }
}

/// The external group known as `name` to the mount.
///
/// # Errors
/// The store cannot be read.
pub fn group_at(tx: &mut Transaction, accessor: &str, name: &str) -> Result<Option<Group>, StoreError> {
    match pointer(tx, &at(GROUP_ALIASES_AT, accessor, name))? {
        Some(id) => group(tx, &id),
        None => Ok(None),
    }
}

/// The group that has the alias.
///
/// # Errors
/// The store cannot be read.
pub fn group_alias_owner(tx: &mut Transaction, alias_id: &str) -> Result<Option<Group>, StoreError> {
    match pointer(tx, &format!("{GROUP_ALIASES}{alias_id}"))? {
        Some(id) => group(tx, &id),
        None => Ok(None),
    }
}

/// Ids of all entities, in order.
///
/// # Errors
/// The store cannot be read.
pub fn entity_ids(tx: &Transaction) -> Result<Vec<String>, StoreError> {
    tx.list(ENTITIES, "", usize::MAX)
}

/// # Errors
/// The store cannot be read.
pub fn alias_ids(tx: &Transaction) -> Result<Vec<String>, StoreError> {
    tx.list(ALIASES, "", usize::MAX)
}

/// # Errors
/// The store cannot be read.
pub fn group_ids(tx: &Transaction) -> Result<Vec<String>, StoreError> {
    tx.list(GROUPS, "", usize::MAX)
}

/// # Errors
/// The store cannot be read.
pub fn group_alias_ids(tx: &Transaction) -> Result<Vec<String>, StoreError> {
    tx.list(GROUP_ALIASES, "", usize::MAX)
}

/// Ids of the groups the entity is in itself.
///
/// # Errors
/// The store cannot be read.
pub fn groups_of(tx: &Transaction, entity_id: &str) -> Result<Vec<String>, StoreError> {
    tx.list(&format!("{MEMBER}{entity_id}/"), "", usize::MAX)
}

/// Ids of the entities that are in the group itself.
///
/// # Errors
/// The store cannot be read.
pub fn members(tx: &Transaction, group_id: &str) -> Result<Vec<String>, StoreError> {
    tx.list(&format!("{MEMBERS}{group_id}/"), "", usize::MAX)
}

/// How many entities are in the group itself.
///
/// # Errors
/// The store cannot be read.
pub fn member_count(tx: &Transaction, group_id: &str) -> Result<usize, StoreError> {
    Ok(members(tx, group_id)?.len())
}

/// Entities known to a mount, at most `limit`.
///
/// # Errors
/// The store cannot be read.
pub(super) fn entities_of_mount(
    tx: &mut Transaction,
    accessor: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    pointers(tx, &format!("{ALIASES_AT}{accessor}/"), limit)
}

/// External groups known to a mount, at most `limit`.
///
/// # Errors
/// The store cannot be read.
pub(super) fn groups_of_mount(
    tx: &mut Transaction,
    accessor: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    pointers(tx, &format!("{GROUP_ALIASES_AT}{accessor}/"), limit)
}

fn pointers(tx: &mut Transaction, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
    let mut ids = Vec::new();
    for child in tx.list(prefix, "", limit)? {
        ids.extend(pointer(tx, &format!("{prefix}{child}"))?);
    }
    Ok(ids)
}

fn record<T: DeserializeOwned>(tx: &mut Transaction, at: &str, id: &str) -> Result<Option<T>, StoreError> {
    if id.is_empty() { Ok(None) } else { tx.view(at).get_record(id) }
}

fn pointer(tx: &mut Transaction, key: &str) -> Result<Option<String>, StoreError> {
    tx.view("").get_record(key)
}

// --- Writing.

/// Writes an entity, or removes it (`after` is `None`), with its index.
///
/// # Errors
/// The store refuses.
pub(super) fn replace_entity(
    tx: &mut Transaction,
    before: Option<&Entity>,
    after: Option<&Entity>,
) -> Result<(), StoreError> {
    let index = |entity: Option<&Entity>| entity.map(Entity::index).unwrap_or_default();
    replace(
        tx,
        ENTITIES,
        before.map(|entity| (&*entity.id, entity)),
        after.map(|entity| (&*entity.id, entity)),
    )?;
    replace_index(tx, &index(before), &index(after))
}

/// Writes a group, or removes it (`after` is `None`), with its index.
///
/// # Errors
/// The store refuses.
pub(super) fn replace_group(
    tx: &mut Transaction,
    before: Option<&Group>,
    after: Option<&Group>,
) -> Result<(), StoreError> {
    let index = |group: Option<&Group>| group.map(Group::index).unwrap_or_default();
    replace(tx, GROUPS, before.map(|group| (&*group.id, group)), after.map(|group| (&*group.id, group)))?;
    replace_index(tx, &index(before), &index(after))
}

fn replace<T: Serialize>(
    tx: &mut Transaction,
    at: &str,
    before: Option<(&str, &T)>,
    after: Option<(&str, &T)>,
) -> Result<(), StoreError> {
    match (before, after) {
        (_, Some((id, record))) => tx.view(at).put_record(id, record),
        (Some((id, _)), None) => tx.view(at).delete(id),
        (None, None) => Ok(()),
    }
}

fn replace_index(tx: &mut Transaction, before: &Index, after: &Index) -> Result<(), StoreError> {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        tx.delete(key)?;
    }
    for (key, id) in after.iter().filter(|(key, id)| before.get(*key) != Some(id)) {
        tx.view("").put_record(key, id)?;
    }
    Ok(())
}

/// Makes the entity a member of the group. Its record is written again, unchanged: whoever removes the entity at the same
/// time has read it, and does not leave a link to nobody behind.
///
/// # Errors
/// The store refuses.
pub(super) fn link(tx: &mut Transaction, entity: &Entity, group_id: &str) -> Result<(), StoreError> {
    tx.put(&format!("{MEMBER}{}/{group_id}", entity.id), Zeroizing::default())?;
    tx.put(&format!("{MEMBERS}{group_id}/{}", entity.id), Zeroizing::default())?;
    tx.view(ENTITIES).put_record(&entity.id, entity)
}

/// Ends the membership.
///
/// # Errors
/// The store refuses.
pub(super) fn unlink(tx: &mut Transaction, entity_id: &str, group_id: &str) -> Result<(), StoreError> {
    tx.delete(&format!("{MEMBER}{entity_id}/{group_id}"))?;
    tx.delete(&format!("{MEMBERS}{group_id}/{entity_id}"))
}

// --- The index as a function of the record.

impl Entity {
    /// The records that lead to this one.
    pub(super) fn index(&self) -> Index {
        let mut index = Index::from([(format!("{ENTITY_NAMES}{}", hash(&self.name)), self.id.clone())]);
        for alias in &self.aliases {
            index.insert(format!("{ALIASES}{}", alias.id), self.id.clone());
            index.insert(at(ALIASES_AT, &alias.mount_accessor, &alias.name), self.id.clone());
        }
        index.extend(self.merged.iter().map(|old| (format!("{MERGED}{old}"), self.id.clone())));
        index
    }
}

impl Group {
    /// The records that lead to this one.
    pub(super) fn index(&self) -> Index {
        let mut index = Index::from([(format!("{GROUP_NAMES}{}", hash(&self.name)), self.id.clone())]);
        if let Some(alias) = &self.alias {
            index.insert(format!("{GROUP_ALIASES}{}", alias.id), self.id.clone());
            index.insert(at(GROUP_ALIASES_AT, &alias.mount_accessor, &alias.name), self.id.clone());
        }
        index
    }
}

fn at(prefix: &str, accessor: &str, name: &str) -> String {
    format!("{prefix}{accessor}/{}", hash(name))
}

/// Names are of any length and alphabet, and keys are not encrypted: a hash of the lower-case name stands for it.
fn hash(name: &str) -> String {
    hex::encode(Sha256::digest(name.to_lowercase().as_bytes()))
}
