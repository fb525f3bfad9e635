//! `identity/lookup/*`: an entity or a group by its id, its name, or one of its aliases.

use super::{IdentityBackend, text, whole};
use crate::core::identity;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault};

/// By what is looked; exactly one way is given.
#[derive(Debug, PartialEq, Eq)]
enum By {
    Id(String),
    Name(String),
    AliasId(String),
    Alias { accessor: String, name: String },
}

impl IdentityBackend {
    pub(super) fn lookup_entity(&self, call: &mut Call<'_>) -> Answer {
        let by = By::read(&Fields::new(&call.request.data))?;
        let tx = whole(call)?;
        let found = match &by {
            By::Id(id) => identity::entity(tx, id)?,
            By::Name(name) => identity::entity_named(tx, name)?,
            By::AliasId(id) => identity::alias_owner(tx, id)?,
            By::Alias { accessor, name } => identity::entity_at(tx, accessor, name)?,
        };
        self.show_entity(call, found.as_ref())
    }

    pub(super) fn lookup_group(&self, call: &mut Call<'_>) -> Answer {
        let by = By::read(&Fields::new(&call.request.data))?;
        let tx = whole(call)?;
        let found = match &by {
            By::Id(id) => identity::group(tx, id)?,
            By::Name(name) => identity::group_named(tx, name)?,
            By::AliasId(id) => identity::group_alias_owner(tx, id)?,
            By::Alias { accessor, name } => identity::group_at(tx, accessor, name)?,
        };
        self.show_group(call, found.as_ref())
    }
}

// === impl By ===

impl By {
    fn read(fields: &Fields<'_>) -> Result<Self, Fault> {
        let (alias, accessor) = (text(fields, "alias_name")?, text(fields, "alias_mount_accessor")?);
        let factors = !alias.is_empty() || !accessor.is_empty();
        let mut ways = [
            (text(fields, "id")?, Self::Id as fn(String) -> Self),
            (text(fields, "name")?, Self::Name),
            (text(fields, "alias_id")?, Self::AliasId),
        ]
        .into_iter()
        .filter(|(given, _)| !given.is_empty());
        match (ways.next(), ways.next(), factors) {
            (None, _, false) => Err(Fault::invalid("query parameter not supplied")),
            (Some((given, way)), None, false) => Ok(way(given)),
            (None, _, true) if !alias.is_empty() && !accessor.is_empty() => {
                Ok(Self::Alias { accessor, name: alias })
            }
            (None, _, true) => {
                Err(Fault::invalid("both 'alias_name' and 'alias_mount_accessor' needs to be set"))
            }
            (Some(_), ..) => Err(Fault::invalid(
                "query parameter conflict; please supply distinct set of query parameters",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_way_is_given() {
        let conflict = "query parameter conflict; please supply distinct set of query parameters";
        let both = "both 'alias_name' and 'alias_mount_accessor' needs to be set";
        for (data, outcome) in [
            (json!({"id": "a"}), Ok(By::Id("a".into()))),
            (json!({"name": "a"}), Ok(By::Name("a".into()))),
            (json!({"alias_id": "a"}), Ok(By::AliasId("a".into()))),
            (
                json!({"alias_name": "n", "alias_mount_accessor": "m"}),
                Ok(By::Alias { accessor: "m".into(), name: "n".into() }),
            ),
            (json!({}), Err("query parameter not supplied")),
            (json!({"id": ""}), Err("query parameter not supplied")),
            (json!({"alias_name": "n"}), Err(both)),
            (json!({"alias_mount_accessor": "n"}), Err(both)),
            (json!({"id": "a", "name": "b"}), Err(conflict)),
            (json!({"id": "a", "alias_name": "b"}), Err(conflict)),
            (json!({"alias_name": "a", "alias_mount_accessor": "m", "name": "q"}), Err(conflict)),
        ] {
            let read = By::read(&Fields::new(data.as_object().unwrap())).map_err(|fault| fault.to_string());
            assert_eq!(read, outcome.map_err(str::to_owned), "{data}");
        }
    }
}
