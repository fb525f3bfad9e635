//! `identity/entity*`.

use serde_json::{Map, Value, json};

use super::{IdentityBackend, from_path_or_body, show, text, whole};
use crate::core::identity::entity::{self, EntityChange};
use crate::core::identity::merge::{self, Clash, MergeChange, MergeError};
use crate::core::identity::{self, Entity};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

impl IdentityBackend {
    pub(super) fn write_entity(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let change = EntityChange {
            id: from_path_or_body(call, "id")?,
            name: from_path_or_body(call, "name")?,
            metadata: fields.pairs("metadata")?,
            policies: fields.list("policies")?,
            disabled: fields.flag("disabled")?,
        };
        let now = call.now;
        let made = entity::upsert(whole(call)?, change, now)?;
        Ok(made.map_or_else(Response::empty, |made| {
            Response::json(json!({ "aliases": null, "id": made.id, "name": made.name }))
        }))
    }

    pub(super) fn read_entity(&self, call: &mut Call<'_>) -> Answer {
        let found = named_by_path(call)?;
        self.show_entity(call, found.as_ref())
    }

    /// Nothing for an entity that is not there: a 404 for a read, a 204 for a lookup.
    pub(super) fn show_entity(&self, call: &mut Call<'_>, found: Option<&Entity>) -> Answer {
        let Some(found) = found else { return Ok(Response::empty()) };
        Ok(Response::of(show::entity(whole(call)?, found, &self.auth_mounts())?))
    }

    pub(super) fn delete_entity(&self, call: &mut Call<'_>) -> Answer {
        if let Some(found) = named_by_path(call)? {
            entity::delete(whole(call)?, &found.id)?;
        }
        Ok(Response::empty())
    }

    pub(super) fn delete_entities(&self, call: &mut Call<'_>) -> Answer {
        let ids = Fields::new(&call.request.data).list("entity_ids")?.unwrap_or_default();
        if ids.is_empty() {
            return Err(Fault::invalid("missing entity ids to delete"));
        }
        let tx = whole(call)?;
        ids.iter().try_for_each(|id| entity::delete(tx, id))?;
        Ok(Response::empty())
    }

    pub(super) fn list_entity_ids(&self, call: &mut Call<'_>) -> Answer {
        let (mounts, tx) = (self.auth_mounts(), whole(call)?);
        let ids = identity::entity_ids(tx)?;
        let mut info = Map::new();
        for id in &ids {
            if let Some(found) = identity::entity(tx, id)? {
                info.insert(id.clone(), show::entity_info(&found, &mounts));
            }
        }
        Ok(with_info(ids, info))
    }

    pub(super) fn list_entity_names(&self, call: &mut Call<'_>) -> Answer {
        let tx = whole(call)?;
        let mut names = Vec::new();
        for id in identity::entity_ids(tx)? {
            names.extend(identity::entity(tx, &id)?.map(|found| found.name));
        }
        names.sort_unstable();
        Ok(Response::keys(names))
    }

    pub(super) fn merge_entities(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let change = MergeChange {
            to: text(&fields, "to_entity_id")?,
            from: fields.list("from_entity_ids")?.unwrap_or_default(),
            keep: fields.list("conflicting_alias_ids_to_keep")?.unwrap_or_default(),
        };
        fields.flag("force")?;
        merge::merge(whole(call)?, &change).map_err(|error| self.refused(error))?;
        Ok(Response::empty())
    }

    fn refused(&self, error: MergeError) -> Fault {
        match error {
            MergeError::Refused(text) => Fault::Invalid(text),
            MergeError::Other(fault) => fault,
            MergeError::Clashes(clashes) => {
                let data = clashes.iter().flat_map(|clash| [&clash.to, &clash.from]);
                let data = data.map(|(entity, alias)| {
                    let mounts = self.auth_mounts();
                    let (path, kind) = mounts.shown(&alias.mount_accessor).unwrap_or_default();
                    json!({
                        "alias": alias.name, "entity": entity.name, "entity_id": entity.id, "mount": kind,
                        "mount_path": path,
                    })
                });
                Fault::InvalidWith { text: clash_text(&clashes), data: data.collect() }
            }
        }
    }
}

/// The server's words: a list of errors, its headline among them.
fn clash_text(clashes: &[Clash]) -> String {
    let lines: String = clashes.iter().map(clash_line).collect();
    format!(
        "{} errors occurred:\n\t* toEntity and at least one fromEntity have aliases with the same mount accessor, repeat \
         the merge request specifying exactly one fromEntity, clashes: {lines}\n\n",
        clashes.len() + 1
    )
}

fn clash_line(clash: &Clash) -> String {
    format!(
        "\n\t* mountAccessor: {}, toEntity ID: {}, fromEntity ID: {}, conflicting toEntity alias ID: {}, conflicting \
         fromEntity alias ID: {}",
        clash.to.1.mount_accessor, clash.to.0.id, clash.from.0.id, clash.to.1.id, clash.from.1.id
    )
}

fn named_by_path(call: &mut Call<'_>) -> Result<Option<Entity>, Fault> {
    let (id, name) = (call.captures.get("id"), call.captures.get("name"));
    let tx = whole(call)?;
    Ok(if id.is_empty() { identity::entity_named(tx, name)? } else { identity::entity(tx, id)? })
}

/// A list with a word about each; nothing, which is a 404, when it is empty.
pub(super) fn with_info(keys: Vec<String>, info: Map<String, Value>) -> Response {
    if keys.is_empty() {
        return Response::empty();
    }
    Response::json(json!({ "keys": keys, "key_info": info }))
}
