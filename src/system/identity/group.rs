//! `identity/group*`.

use serde_json::{Map, json};

use super::entity::with_info;
use super::{IdentityBackend, from_path_or_body, show, whole};
use crate::core::identity::group::{self, GroupChange};
use crate::core::identity::{self, Group};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

impl IdentityBackend {
    pub(super) fn write_group(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let change = GroupChange {
            id: from_path_or_body(call, "id")?,
            name: from_path_or_body(call, "name")?,
            kind: fields.text("type")?,
            metadata: fields.pairs("metadata")?,
            policies: fields.list("policies")?,
            member_entities: fields.list("member_entity_ids")?,
            member_groups: fields.list("member_group_ids")?,
        };
        let now = call.now;
        let made = group::upsert(whole(call)?, &change, now)?;
        Ok(made
            .map_or_else(Response::empty, |made| Response::json(json!({ "id": made.id, "name": made.name }))))
    }

    pub(super) fn read_group(&self, call: &mut Call<'_>) -> Answer {
        let found = named_by_path(call)?;
        self.show_group(call, found.as_ref())
    }

    /// Nothing for a group that is not there: a 404 for a read, a 204 for a lookup.
    pub(super) fn show_group(&self, call: &mut Call<'_>, found: Option<&Group>) -> Answer {
        let Some(found) = found else { return Ok(Response::empty()) };
        Ok(Response::of(show::group(whole(call)?, found, &self.auth_mounts())?))
    }

    pub(super) fn delete_group(&self, call: &mut Call<'_>) -> Answer {
        if let Some(found) = named_by_path(call)? {
            group::delete(whole(call)?, &found.id)?;
        }
        Ok(Response::empty())
    }

    pub(super) fn list_group_ids(&self, call: &mut Call<'_>) -> Answer {
        let (mounts, tx) = (self.auth_mounts(), whole(call)?);
        let (ids, mut info) = (identity::group_ids(tx)?, Map::new());
        for id in &ids {
            if let Some(found) = identity::group(tx, id)? {
                let members = identity::member_count(tx, id)?;
                info.insert(id.clone(), show::group_info(&found, members, &mounts));
            }
        }
        Ok(with_info(ids, info))
    }

    pub(super) fn list_group_names(&self, call: &mut Call<'_>) -> Answer {
        let tx = whole(call)?;
        let mut names = Vec::new();
        for id in identity::group_ids(tx)? {
            names.extend(identity::group(tx, &id)?.map(|found| found.name));
        }
        names.sort_unstable();
        Ok(Response::keys(names))
    }
}

fn named_by_path(call: &mut Call<'_>) -> Result<Option<Group>, Fault> {
    let (id, name) = (call.captures.get("id"), call.captures.get("name"));
    let tx = whole(call)?;
    Ok(if id.is_empty() { identity::group_named(tx, name)? } else { identity::group(tx, id)? })
}
