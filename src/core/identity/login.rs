//! Logging in: who the auth method's name stands for, made at the first login, and the external groups it is in today.

use std::sync::Arc;

use time::OffsetDateTime;

use super::alias::Alias;
use super::{AliasMount, Entity, Identity, entity_at, store};
use crate::barrier::{StoreError, Transaction};
use crate::core::policy::{Subject, Subjects};
use crate::core::token_store::nanos;
use crate::logical::{self, Fault};

impl Identity {
    /// Whether somebody logged in by this name before, or was told of.
    ///
    /// # Errors
    /// The store refuses.
    pub fn knows(
        &self,
        tx: &mut Transaction,
        mount: AliasMount<'_>,
        alias: &logical::Alias,
    ) -> Result<bool, Fault> {
        Ok(entity_at(tx, mount.accessor, &alias.name)?.is_some())
    }

    /// Who logs in: the entity of the alias, made when it is new. `groups` are the names the mount gives of the groups it
    /// is in.
    ///
    /// # Errors
    /// [`Fault::Status`] 403 when the entity is disabled; the store refuses.
    pub fn log_in(
        &self,
        tx: &mut Transaction,
        mount: AliasMount<'_>,
        alias: &logical::Alias,
        groups: &[String],
        now: OffsetDateTime,
    ) -> Result<Arc<Subject>, Fault> {
        let entity = entity_of_login(tx, mount, alias, now)?;
        refresh_groups(tx, &entity, mount.accessor, groups)?;
        let gone = || Fault::Internal("the entity of a login is gone".to_owned());
        self.subject(tx, &entity.id)?.ok_or_else(gone)
    }
}

/// The entity of the alias, made when it is new; what the method says of the alias is kept.
///
/// # Errors
/// The entity is disabled; the store refuses.
pub fn entity_of_login(
    tx: &mut Transaction,
    mount: AliasMount<'_>,
    login: &logical::Alias,
    now: OffsetDateTime,
) -> Result<Entity, Fault> {
    let known = entity_at(tx, mount.accessor, &login.name)?;
    if known.as_ref().is_some_and(|entity| entity.disabled) {
        return Err(Fault::Status { status: 403, text: "permission denied".to_owned() });
    }
    match known {
        Some(entity) => Ok(with_metadata(tx, entity, mount, login, now)?),
        None => Ok(create(tx, mount, login, now)?),
    }
}

fn create(
    tx: &mut Transaction,
    mount: AliasMount<'_>,
    login: &logical::Alias,
    now: OffsetDateTime,
) -> Result<Entity, StoreError> {
    let mut entity = Entity::unnamed(tx, now)?;
    entity.aliases.push(Alias { metadata: login.metadata.clone(), ..Alias::new(mount, &login.name, now) });
    store::replace_entity(tx, None, Some(&entity))?;
    Ok(entity)
}

/// Most logins change nothing, and write nothing here.
fn with_metadata(
    tx: &mut Transaction,
    entity: Entity,
    mount: AliasMount<'_>,
    login: &logical::Alias,
    now: OffsetDateTime,
) -> Result<Entity, StoreError> {
    let mut after = entity.clone();
    let stale = after
        .aliases
        .iter_mut()
        .find(|alias| alias.mount_accessor == mount.accessor && alias.metadata != login.metadata);
    let Some(alias) = stale else { return Ok(entity) };
    alias.metadata.clone_from(&login.metadata);
    alias.updated = nanos(now);
    store::replace_entity(tx, Some(&entity), Some(&after))?;
    Ok(after)
}

/// Makes the entity a member of exactly those external groups of the mount that have these names. Groups known to other
/// mounts, and internal ones, stay as they are.
///
/// # Errors
/// The store refuses.
pub fn refresh_groups(
    tx: &mut Transaction,
    entity: &Entity,
    accessor: &str,
    names: &[String],
) -> Result<(), StoreError> {
    let mut wanted = Vec::new();
    for name in names {
        wanted.extend(store::group_at(tx, accessor, name)?.map(|group| group.id));
    }
    let known = store::groups_of(tx, &entity.id)?;
    for id in known.iter().filter(|id| !wanted.contains(id)) {
        let alias = store::group(tx, id)?.and_then(|group| group.alias);
        if alias.is_some_and(|alias| alias.mount_accessor == accessor) {
            store::unlink(tx, &entity.id, id)?;
        }
    }
    wanted.iter().filter(|id| !known.contains(id)).try_for_each(|id| store::link(tx, entity, id))
}
