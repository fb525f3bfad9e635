//! Who is who: entities, the aliases by which auth methods know them, and the groups they are in.
//!
//! ```text
//!   identity/entity/id/<id>                  an entity with its aliases     identity/entity/name/<hash>           its id
//!   identity/entity/merged/<old id>          what it was merged into        identity/alias/id/<id>                its entity
//!   identity/alias/at/<accessor>/<hash>      its entity                     identity/member/<entity>/<group>      a link
//!   identity/group/id/<id>                   a group with its alias         identity/group/name/<hash>            its id
//!   identity/group-alias/id/<id>             its group                      identity/members/<group>/<entity>     the same link
//!   identity/group-alias/at/<accessor>/<hash>  its group             identity/gone/<accessor>                 a mount
//! ```
//!
//! Every question of a login or a request is a handful of single gets, whatever the number of entities. The index records
//! are a pure function of the record they point to (`Entity::index`, `Group::index`), so a change writes exactly their
//! difference, in its own transaction. Membership is links and not a list in the group: members join and leave without
//! meeting each other.
//!
//! Who may ask is the pipeline's business, how it looks on the wire that of `system::identity`.

pub mod alias;
mod cache;
pub mod entity;
pub mod gone;
pub mod group;
pub mod group_alias;
pub mod login;
pub mod merge;
mod metadata;
mod store;
mod subject;
#[cfg(test)]
mod tests;

use std::fmt;

pub use alias::Alias;
pub use entity::Entity;
pub use group::{Group, GroupKind};
pub use store::{
    alias_ids, alias_owner, entity, entity_at, entity_ids, entity_named, group, group_alias_ids,
    group_alias_owner, group_at, group_ids, group_named, groups_of, member_count, members,
};
pub use subject::ancestors;

use crate::storage::{CommitIndex, Observer};
use cache::Cache;

/// Where everything of identity is.
const PREFIX: &str = "identity/";

/// What a node keeps in memory of identity; see the module for the rest.
#[derive(Default)]
pub struct Identity {
    cache: Cache,
}

/// A mount by which aliases are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AliasMount<'m> {
    pub accessor: &'m str,
    /// Whether the mount is a local one.
    pub local: bool,
}

// === impl Identity ===

impl Identity {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything: the node was sealed, or anything may have changed.
    pub fn forget(&self, index: CommitIndex) {
        self.cache.clear(index);
    }
}

impl Observer for Identity {
    fn changed(&self, index: CommitIndex, keys: Option<&[String]>) {
        match keys {
            None => self.cache.clear(index),
            Some(keys) => {
                for key in keys.iter().filter_map(|key| key.strip_prefix(PREFIX)) {
                    self.key_changed(index, key);
                }
            }
        }
    }
}

impl Identity {
    fn key_changed(&self, index: CommitIndex, key: &str) {
        if let Some(entity) = key.strip_prefix("entity/id/") {
            self.cache.entity_changed(index, entity);
        } else if let Some(group) = key.strip_prefix("group/id/") {
            self.cache.group_changed(index, group);
        } else if let Some((entity, _)) = key.strip_prefix("member/").and_then(|link| link.split_once('/')) {
            self.cache.entity_changed(index, entity);
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.cache)
    }
}
