//! Aliases of external groups: the name by which an auth mount knows the group, kept in the record of the group.

use time::OffsetDateTime;

use super::alias::{Alias, Changed};
use super::group::{Group, GroupKind};
use super::{AliasMount, store};
use crate::barrier::{StoreError, Transaction};
use crate::core::token_store::nanos;
use crate::logical::Fault;

/// What an operator wants of a group's alias. Empty texts are "not given".
#[derive(Debug, Clone, Default)]
pub struct GroupAliasChange {
    pub id: String,
    pub name: String,
    pub mount_accessor: String,
    /// The group that shall have it.
    pub canonical_id: String,
}

/// Makes or changes a group's alias; without a group, one is made for it.
///
/// # Errors
/// What is named does not exist, the group is an internal one, or another group has the name.
pub fn upsert<'m>(
    tx: &mut Transaction,
    change: &GroupAliasChange,
    mount_of: impl Fn(&str) -> Option<AliasMount<'m>>,
    now: OffsetDateTime,
) -> Result<Changed, Fault> {
    let owner = owner(tx, change)?;
    if change.name.is_empty() {
        return Err(Fault::invalid("missing alias name"));
    }
    if change.mount_accessor.is_empty() {
        return Err(Fault::invalid("missing mount_accessor"));
    }
    let mount = mount_of(&change.mount_accessor)
        .ok_or_else(|| Fault::invalid(format!("invalid mount accessor {:?}", change.mount_accessor)))?;
    let target = match change.canonical_id.as_str() {
        "" => owner.clone(),
        id => Some(
            store::group(tx, id)?
                .ok_or_else(|| Fault::invalid("invalid group ID given in 'canonical_id'"))?,
        ),
    };
    if target.as_ref().is_some_and(|target| target.kind == GroupKind::Internal) {
        return Err(Fault::invalid("alias can't be set on an internal group"));
    }
    let known = owner.as_ref().and_then(|owner| owner.alias.clone());
    let mut alias = known.unwrap_or_else(|| Alias::new(mount, &change.name, now));
    alias.name.clone_from(&change.name);
    alias.mount_accessor.clone_from(&change.mount_accessor);
    alias.local = mount.local;
    alias.updated = nanos(now);
    check_name_free(tx, &alias)?;
    give(tx, owner.as_ref(), target, alias, now)
}

/// The group that has the alias meant by its id.
fn owner(tx: &mut Transaction, change: &GroupAliasChange) -> Result<Option<Group>, Fault> {
    if change.id.is_empty() {
        return Ok(None);
    }
    let owner = store::group_alias_owner(tx, &change.id)?;
    owner.map(Some).ok_or_else(|| Fault::invalid("invalid group alias ID"))
}

fn check_name_free(tx: &mut Transaction, wanted: &Alias) -> Result<(), Fault> {
    let holder = store::group_at(tx, &wanted.mount_accessor, &wanted.name)?;
    let others = holder.is_some_and(|holder| holder.alias.is_none_or(|alias| alias.id != wanted.id));
    if others {
        return Err(Fault::invalid("combination of mount and group alias name is already in use"));
    }
    Ok(())
}

/// Puts the alias into its group, and out of the one that had it. What the group had before is gone.
fn give(
    tx: &mut Transaction,
    owner: Option<&Group>,
    target: Option<Group>,
    alias: Alias,
    now: OffsetDateTime,
) -> Result<Changed, Fault> {
    let mut after = match &target {
        Some(target) => target.clone(),
        None => Group { kind: GroupKind::External, ..Group::unnamed(tx, now)? },
    };
    if let Some(owner) = owner.filter(|owner| owner.id != after.id) {
        let left = Group { alias: None, modify_index: owner.modify_index + 1, ..owner.clone() };
        store::replace_group(tx, Some(owner), Some(&left))?;
    }
    let changed = Changed { id: alias.id.clone(), canonical_id: after.id.clone() };
    after.alias = Some(alias);
    after.updated = nanos(now);
    after.modify_index += 1;
    store::replace_group(tx, target.as_ref(), Some(&after))?;
    Ok(changed)
}

/// Removes a group's alias; an absent one is no error.
///
/// # Errors
/// The store refuses.
pub fn delete(tx: &mut Transaction, id: &str) -> Result<(), Fault> {
    let Some(owner) = store::group_alias_owner(tx, id)? else { return Ok(()) };
    let after = Group { alias: None, modify_index: owner.modify_index + 1, ..owner.clone() };
    Ok(store::replace_group(tx, Some(&owner), Some(&after))?)
}

/// Removes some of the aliases by which a mount knew groups. `true`: there are more.
///
/// # Errors
/// The store refuses.
pub(super) fn forget_mount(tx: &mut Transaction, accessor: &str, step: usize) -> Result<bool, StoreError> {
    let ids = store::groups_of_mount(tx, accessor, step)?;
    for id in &ids {
        let Some(owner) = store::group(tx, id)? else { continue };
        let after = Group { alias: None, modify_index: owner.modify_index + 1, ..owner.clone() };
        store::replace_group(tx, Some(&owner), Some(&after))?;
    }
    Ok(ids.len() == step)
}
