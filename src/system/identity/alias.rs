//! `identity/entity-alias*`, `identity/group-alias*` and the older names `alias` and `persona`.

use serde_json::{Map, json};

use super::entity::with_info;
use super::{IdentityBackend, canonical_id, from_path_or_body, show, text, whole};
use crate::core::identity;
use crate::core::identity::alias::{self, AliasChange, Changed};
use crate::core::identity::group_alias::{self, GroupAliasChange};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Response};

impl IdentityBackend {
    pub(super) fn write_alias(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let change = AliasChange {
            id: from_path_or_body(call, "id")?,
            name: text(&fields, "name")?,
            mount_accessor: text(&fields, "mount_accessor")?,
            canonical_id: canonical_id(&fields)?,
            custom_metadata: fields.pairs("custom_metadata")?,
        };
        let (mounts, now) = (self.auth_mounts(), call.now);
        let changed = alias::upsert(whole(call)?, change, |accessor| mounts.get(accessor), now)?;
        Ok(changed.map_or_else(Response::empty, |changed| shown(&changed)))
    }

    pub(super) fn read_alias(&self, call: &mut Call<'_>) -> Answer {
        let id = call.captures.get("id");
        let Some(owner) = identity::alias_owner(whole(call)?, id)? else { return Ok(Response::empty()) };
        let found = owner.aliases.iter().find(|alias| alias.id == id);
        Ok(found.map_or_else(Response::empty, |alias| {
            Response::of(show::single_alias(alias, &owner.id, &self.auth_mounts()))
        }))
    }

    pub(super) fn delete_alias(&self, call: &mut Call<'_>) -> Answer {
        let id = call.captures.get("id");
        alias::delete(whole(call)?, id)?;
        Ok(Response::empty())
    }

    pub(super) fn list_aliases(&self, call: &mut Call<'_>) -> Answer {
        let (mounts, tx) = (self.auth_mounts(), whole(call)?);
        let (ids, mut info) = (identity::alias_ids(tx)?, Map::new());
        for id in &ids {
            let Some(owner) = identity::alias_owner(tx, id)? else { continue };
            if let Some(found) = owner.aliases.iter().find(|alias| alias.id == *id) {
                info.insert(id.clone(), show::alias_info(found, &owner.id, &mounts));
            }
        }
        Ok(with_info(ids, info))
    }

    pub(super) fn write_group_alias(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let change = GroupAliasChange {
            id: from_path_or_body(call, "id")?,
            name: text(&fields, "name")?,
            mount_accessor: text(&fields, "mount_accessor")?,
            canonical_id: text(&fields, "canonical_id")?,
        };
        let (mounts, now) = (self.auth_mounts(), call.now);
        let changed = group_alias::upsert(whole(call)?, &change, |accessor| mounts.get(accessor), now)?;
        Ok(shown(&changed))
    }

    pub(super) fn read_group_alias(&self, call: &mut Call<'_>) -> Answer {
        let id = call.captures.get("id");
        let owner = identity::group_alias_owner(whole(call)?, id)?;
        let found = owner.and_then(|owner| owner.alias.map(|alias| (owner.id, alias)));
        Ok(found.map_or_else(Response::empty, |(owner, alias)| {
            Response::of(show::single_alias(&alias, &owner, &self.auth_mounts()))
        }))
    }

    pub(super) fn delete_group_alias(&self, call: &mut Call<'_>) -> Answer {
        let id = call.captures.get("id");
        group_alias::delete(whole(call)?, id)?;
        Ok(Response::empty())
    }

    pub(super) fn list_group_aliases(&self, call: &mut Call<'_>) -> Answer {
        let (mounts, tx) = (self.auth_mounts(), whole(call)?);
        let (ids, mut info) = (identity::group_alias_ids(tx)?, Map::new());
        for id in &ids {
            let Some(owner) = identity::group_alias_owner(tx, id)? else { continue };
            if let Some(found) = &owner.alias {
                info.insert(id.clone(), show::alias_info(found, &owner.id, &mounts));
            }
        }
        Ok(with_info(ids, info))
    }
}

fn shown(changed: &Changed) -> Response {
    Response::json(json!({ "canonical_id": changed.canonical_id, "id": changed.id }))
}
