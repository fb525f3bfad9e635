//! Entities, aliases and groups as the wire shows them.

use serde_json::{Map, Value, json};

use super::{AuthMounts, or_null, pairs_or_null};
use crate::barrier::{StoreError, Transaction};
use crate::core::identity::{self, Alias, Entity, Group};
use crate::core::token_store::wire_time;

/// The one namespace there is.
const NAMESPACE: &str = "root";

/// An entity with its aliases and groups.
///
/// # Errors
/// Its groups cannot be read.
pub(super) fn entity(
    tx: &mut Transaction,
    entity: &Entity,
    mounts: &AuthMounts,
) -> Result<Map<String, Value>, StoreError> {
    let direct = identity::groups_of(tx, &entity.id)?;
    let all = identity::ancestors(tx, direct.iter().cloned())?;
    let inherited: Vec<&str> =
        all.iter().map(|group| &*group.id).filter(|id| !direct.iter().any(|known| known == id)).collect();
    let known: Vec<&str> = all.iter().map(|group| &*group.id).collect();
    let direct: Vec<&str> = direct.iter().map(String::as_str).filter(|id| known.contains(id)).collect();
    let aliases = entity.aliases.iter().map(|one| Value::Object(entity_alias(one, &entity.id, mounts)));
    Ok(object(json!({
        "aliases": aliases.collect::<Vec<_>>(),
        "creation_time": wire_time(entity.created),
        "direct_group_ids": direct,
        "disabled": entity.disabled,
        "group_ids": known,
        "id": entity.id,
        "inherited_group_ids": inherited,
        "last_update_time": wire_time(entity.updated),
        "merged_entity_ids": or_null(&entity.merged),
        "metadata": pairs_or_null(&entity.metadata),
        "name": entity.name,
        "namespace_id": NAMESPACE,
        "policies": entity.policies,
    })))
}

/// An alias read on its own.
pub(super) fn single_alias(alias: &Alias, owner: &str, mounts: &AuthMounts) -> Map<String, Value> {
    let mut data = entity_alias(alias, owner, mounts);
    data.insert("namespace_id".to_owned(), json!(NAMESPACE));
    data
}

/// An alias beside its entity.
fn entity_alias(alias: &Alias, owner: &str, mounts: &AuthMounts) -> Map<String, Value> {
    let mut data = group_alias(alias, owner, mounts);
    data.insert("custom_metadata".to_owned(), pairs_or_null(&alias.custom_metadata));
    data.insert("local".to_owned(), json!(alias.local));
    data
}

/// An alias beside its group.
fn group_alias(alias: &Alias, owner: &str, mounts: &AuthMounts) -> Map<String, Value> {
    let mut data = object(json!({
        "canonical_id": owner,
        "creation_time": wire_time(alias.created),
        "id": alias.id,
        "last_update_time": wire_time(alias.updated),
        "merged_from_canonical_ids": or_null(&alias.merged_from),
        "metadata": pairs_or_null(&alias.metadata),
        "mount_accessor": alias.mount_accessor,
        "name": alias.name,
    }));
    put_mount(&mut data, &alias.mount_accessor, mounts);
    data
}

/// What a list says of an alias.
pub(super) fn alias_info(alias: &Alias, owner: &str, mounts: &AuthMounts) -> Value {
    let mut data = object(json!({
        "canonical_id": owner,
        "custom_metadata": pairs_or_null(&alias.custom_metadata),
        "local": alias.local,
        "metadata": pairs_or_null(&alias.metadata),
        "mount_accessor": alias.mount_accessor,
        "name": alias.name,
    }));
    put_mount(&mut data, &alias.mount_accessor, mounts);
    Value::Object(data)
}

/// What a list of entities or groups says of their aliases.
fn alias_summary(alias: &Alias, mounts: &AuthMounts) -> Value {
    let mut data = object(json!({
        "id": alias.id,
        "mount_accessor": alias.mount_accessor,
        "name": alias.name,
    }));
    put_mount(&mut data, &alias.mount_accessor, mounts);
    Value::Object(data)
}

/// A mount that is gone has neither path nor kind.
fn put_mount(data: &mut Map<String, Value>, accessor: &str, mounts: &AuthMounts) {
    if let Some((path, kind)) = mounts.shown(accessor) {
        data.insert("mount_path".to_owned(), json!(path));
        data.insert("mount_type".to_owned(), json!(kind));
    }
}

/// What a list says of an entity.
pub(super) fn entity_info(entity: &Entity, mounts: &AuthMounts) -> Value {
    let mut data = object(json!({ "name": entity.name }));
    if !entity.aliases.is_empty() {
        let aliases: Vec<Value> = entity.aliases.iter().map(|alias| alias_summary(alias, mounts)).collect();
        data.insert("aliases".to_owned(), json!(aliases));
    }
    Value::Object(data)
}

/// What a list says of a group.
pub(super) fn group_info(group: &Group, members: usize, mounts: &AuthMounts) -> Value {
    let mut data = object(json!({
        "name": group.name,
        "num_member_entities": members,
        "num_parent_groups": group.parents.len(),
    }));
    if let Some(alias) = &group.alias {
        data.insert("alias".to_owned(), alias_summary(alias, mounts));
    }
    Value::Object(data)
}

/// A group with its members.
///
/// # Errors
/// Its members cannot be read.
pub(super) fn group(
    tx: &Transaction,
    group: &Group,
    mounts: &AuthMounts,
) -> Result<Map<String, Value>, StoreError> {
    let members = identity::members(tx, &group.id)?;
    let alias = group.alias.as_ref().map(|alias| group_alias(alias, &group.id, mounts));
    Ok(object(json!({
        "alias": alias.unwrap_or_default(),
        "creation_time": wire_time(group.created),
        "id": group.id,
        "last_update_time": wire_time(group.updated),
        "member_entity_ids": or_null(&members),
        "member_group_ids": or_null(&group.member_groups.iter().collect::<Vec<_>>()),
        "metadata": pairs_or_null(&group.metadata),
        "modify_index": group.modify_index,
        "name": group.name,
        "namespace_id": NAMESPACE,
        "parent_group_ids": or_null(&group.parents.iter().collect::<Vec<_>>()),
        "policies": or_null(&group.policies),
        "type": group.kind.as_str(),
    })))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
