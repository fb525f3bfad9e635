//! An entity as policies see it: with all its groups, near and far, and the policies of them all.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Entity, Group, Identity, store};
use crate::barrier::{StoreError, Transaction};
use crate::core::policy::{self, Subject, SubjectAlias, Subjects};
use crate::logical::Fault;

impl Subjects for Identity {
    fn subject(&self, tx: &mut Transaction, entity_id: &str) -> Result<Option<Arc<Subject>>, Fault> {
        let cacheable = !tx.has_writes();
        if cacheable && let Some(known) = self.cache.get(entity_id, tx.index()) {
            return Ok(Some(known));
        }
        let Some(entity) = store::entity_or_merged(tx, entity_id)? else { return Ok(None) };
        let subject = Arc::new(of(tx, &entity)?);
        if cacheable {
            self.cache.put(&subject, tx.index());
        }
        Ok(Some(subject))
    }
}

/// # Errors
/// The store cannot be read.
pub(super) fn of(tx: &mut Transaction, entity: &Entity) -> Result<Subject, StoreError> {
    let direct = store::groups_of(tx, &entity.id)?;
    let groups = ancestors(tx, direct)?;
    let mut policies = entity.policies.clone();
    for policy in groups.iter().flat_map(|group| &group.policies) {
        if !policies.contains(policy) {
            policies.push(policy.clone());
        }
    }
    let aliases = entity.aliases.iter().map(|alias| {
        let shown = SubjectAlias {
            id: alias.id.clone(),
            name: alias.name.clone(),
            metadata: alias.metadata.clone(),
            custom_metadata: alias.custom_metadata.clone(),
        };
        (alias.mount_accessor.clone(), shown)
    });
    Ok(Subject {
        entity_id: entity.id.clone(),
        name: entity.name.clone(),
        metadata: entity.metadata.clone(),
        aliases: aliases.collect(),
        policies,
        groups: groups.into_iter().map(shown).collect(),
        disabled: entity.disabled,
    })
}

fn shown(group: Group) -> policy::Group {
    policy::Group { id: group.id, name: group.name, metadata: group.metadata }
}

/// These groups and all above them, each once, nearest first.
///
/// # Errors
/// The store cannot be read.
pub fn ancestors(
    tx: &mut Transaction,
    from: impl IntoIterator<Item = String>,
) -> Result<Vec<Group>, StoreError> {
    let (mut found, mut seen): (Vec<Group>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    let mut level: Vec<String> = from.into_iter().collect();
    while !level.is_empty() {
        let mut above = Vec::new();
        for id in level {
            if seen.insert(id.clone())
                && let Some(group) = store::group(tx, &id)?
            {
                above.extend(group.parents.iter().cloned());
                found.push(group);
            }
        }
        level = above;
    }
    Ok(found)
}
