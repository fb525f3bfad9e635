//! Aliases of entities: one name at one auth mount, kept in the record of the entity that has it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::entity::Entity;
use super::metadata::{self, Pairs};
use super::{AliasMount, store};
use crate::barrier::{StoreError, Transaction};
use crate::core::token_store::nanos;
use crate::logical::Fault;

/// A name at a mount. Moments in nanoseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alias {
    pub id: String,
    pub name: String,
    pub mount_accessor: String,
    pub local: bool,
    /// What the auth method says at each login.
    pub metadata: Pairs,
    /// What operators say.
    pub custom_metadata: Pairs,
    /// Entities that had it before they were merged.
    pub merged_from: Vec<String>,
    pub created: i64,
    pub updated: i64,
}

/// What an operator wants of an alias. Empty texts are "not given".
#[derive(Debug, Clone, Default)]
pub struct AliasChange {
    pub id: String,
    pub name: String,
    pub mount_accessor: String,
    /// The entity that shall have it.
    pub canonical_id: String,
    pub custom_metadata: Option<Pairs>,
}

/// An alias that was made or changed, and its entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub id: String,
    pub canonical_id: String,
}

// === impl Alias ===

impl Alias {
    /// A new one with these names.
    #[must_use]
    pub fn new(mount: AliasMount<'_>, name: &str, now: OffsetDateTime) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            name: name.to_owned(),
            mount_accessor: mount.accessor.to_owned(),
            local: mount.local,
            created: nanos(now),
            updated: nanos(now),
            ..Self::default()
        }
    }

    fn is_called(&self, accessor: &str, name: &str) -> bool {
        self.mount_accessor == accessor && same_name(&self.name, name)
    }
}

fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

// --- Changes.

/// Makes or changes an alias; `None`: nothing was to be done. `mount_of` tells of the mount with an accessor.
///
/// # Errors
/// What is named does not exist, or the entity or the mount has such an alias already.
pub fn upsert<'m>(
    tx: &mut Transaction,
    change: AliasChange,
    mount_of: impl Fn(&str) -> Option<AliasMount<'m>>,
    now: OffsetDateTime,
) -> Result<Option<Changed>, Fault> {
    if let Some(custom) = &change.custom_metadata {
        metadata::check_custom(custom)?;
    }
    let known = known(tx, &change)?;
    let accessor = known.as_ref().map(|(_, alias)| alias.mount_accessor.clone());
    let accessor = Some(&change.mount_accessor).filter(|text| !text.is_empty()).cloned().or(accessor);
    let accessor = accessor.unwrap_or_default();
    let mount =
        mount_of(&accessor).ok_or_else(|| Fault::invalid(format!("invalid mount accessor {accessor:?}")))?;
    match known {
        Some((owner, alias)) => update(tx, change, mount, owner, alias, now),
        None => create(tx, change, mount, now).map(Some),
    }
}

/// The alias meant: by its id, or by its names.
fn known(tx: &mut Transaction, change: &AliasChange) -> Result<Option<(Entity, Alias)>, Fault> {
    if !change.id.is_empty() {
        let owner = store::alias_owner(tx, &change.id)?;
        let owned = owner.and_then(|owner| owner.with_alias(|alias| alias.id == change.id));
        return owned.map(Some).ok_or_else(|| Fault::invalid("invalid alias ID provided"));
    }
    if change.mount_accessor.is_empty() || change.name.is_empty() {
        return Err(Fault::invalid("'id' or 'mount_accessor' and 'name' must be provided"));
    }
    let owner = store::entity_at(tx, &change.mount_accessor, &change.name)?;
    Ok(owner
        .and_then(|owner| owner.with_alias(|alias| alias.is_called(&change.mount_accessor, &change.name))))
}

fn create(
    tx: &mut Transaction,
    change: AliasChange,
    mount: AliasMount<'_>,
    now: OffsetDateTime,
) -> Result<Changed, Fault> {
    let owner = match change.canonical_id.as_str() {
        "" => None,
        id => Some(store::entity(tx, id)?.ok_or_else(|| Fault::invalid("invalid canonical ID"))?),
    };
    if owner.as_ref().is_some_and(|owner| owner.alias_at(mount.accessor).is_some()) {
        return Err(Fault::invalid("Alias already exists for requested entity and mount accessor"));
    }
    let mut alias = Alias::new(mount, &change.name, now);
    alias.custom_metadata = change.custom_metadata.unwrap_or_default();
    let mut after = match &owner {
        Some(owner) => owner.clone(),
        None => Entity::unnamed(tx, now)?,
    };
    let changed = Changed { id: alias.id.clone(), canonical_id: after.id.clone() };
    after.aliases.push(alias);
    store::replace_entity(tx, owner.as_ref(), Some(&after))?;
    Ok(changed)
}

fn update(
    tx: &mut Transaction,
    change: AliasChange,
    mount: AliasMount<'_>,
    owner: Entity,
    alias: Alias,
    now: OffsetDateTime,
) -> Result<Option<Changed>, Fault> {
    let mut wanted = alias.clone();
    if !change.name.is_empty() {
        wanted.name = change.name;
    }
    mount.accessor.clone_into(&mut wanted.mount_accessor);
    wanted.local = mount.local;
    wanted.custom_metadata = change.custom_metadata.unwrap_or(wanted.custom_metadata);
    let moves = !change.canonical_id.is_empty() && change.canonical_id != owner.id;
    if wanted == alias && !moves {
        return Ok(None);
    }
    wanted.updated = nanos(now);
    check_names_free(tx, &wanted)?;
    let changed =
        |canonical_id: &str| Changed { id: alias.id.clone(), canonical_id: canonical_id.to_owned() };
    if !moves {
        check_one_per_mount(&owner, &wanted)?;
        let mut after = owner.clone();
        after.put_alias(wanted);
        store::replace_entity(tx, Some(&owner), Some(&after))?;
        return Ok(Some(changed(&owner.id)));
    }
    let target = store::entity(tx, &change.canonical_id)?
        .ok_or_else(|| Fault::invalid("given 'canonical_id' is not associated with an entity"))?;
    check_one_per_mount(&target, &wanted)?;
    let (mut left, mut right) = (owner.clone(), target.clone());
    left.aliases.retain(|known| known.id != wanted.id);
    right.put_alias(wanted);
    // In this order: the index of the second takes over what that of the first gave up.
    store::replace_entity(tx, Some(&owner), Some(&left))?;
    store::replace_entity(tx, Some(&target), Some(&right))?;
    Ok(Some(changed(&target.id)))
}

fn check_names_free(tx: &mut Transaction, wanted: &Alias) -> Result<(), Fault> {
    let holder = store::entity_at(tx, &wanted.mount_accessor, &wanted.name)?;
    let others = holder.is_some_and(|holder| holder.aliases.iter().all(|alias| alias.id != wanted.id));
    if others {
        return Err(Fault::invalid("alias with combination of mount accessor and name already exists"));
    }
    Ok(())
}

fn check_one_per_mount(target: &Entity, wanted: &Alias) -> Result<(), Fault> {
    let other = |alias: &Alias| alias.id != wanted.id && alias.mount_accessor == wanted.mount_accessor;
    if target.aliases.iter().any(other) {
        return Err(Fault::invalid(
            "Alias cannot be updated as the given entity already has an alias for this mount ",
        ));
    }
    Ok(())
}

/// Removes an alias; an absent one is no error.
///
/// # Errors
/// The store refuses.
pub fn delete(tx: &mut Transaction, id: &str) -> Result<(), Fault> {
    let Some(owner) = store::alias_owner(tx, id)? else { return Ok(()) };
    let mut after = owner.clone();
    after.aliases.retain(|alias| alias.id != id);
    Ok(store::replace_entity(tx, Some(&owner), Some(&after))?)
}

/// Removes some of the aliases by which a mount knew entities. `true`: there are more.
///
/// # Errors
/// The store refuses.
pub(super) fn forget_mount(tx: &mut Transaction, accessor: &str, step: usize) -> Result<bool, StoreError> {
    let ids = store::entities_of_mount(tx, accessor, step)?;
    for id in &ids {
        let Some(owner) = store::entity(tx, id)? else { continue };
        let mut after = owner.clone();
        after.aliases.retain(|alias| alias.mount_accessor != accessor);
        store::replace_entity(tx, Some(&owner), Some(&after))?;
    }
    Ok(ids.len() == step)
}
