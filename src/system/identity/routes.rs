//! The table of `identity/*`.

use super::IdentityBackend;
use crate::logical::{Access, Effect, Field, FieldKind, Method, Operation, Route};

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];
const READ: &[Operation] = &[Operation::Read];
const LIST: &[Operation] = &[Operation::List];
const DELETE: &[Operation] = &[Operation::Delete];

const fn field(name: &'static str, kind: FieldKind, description: &'static str) -> Field {
    Field { name, kind, description }
}

const ID: Field = field("id", FieldKind::String, "The id; when given, what it names is updated.");
const NAME: Field = field("name", FieldKind::String, "The name.");
const METADATA: Field = field("metadata", FieldKind::KvPairs, "Metadata to keep beside it.");
const POLICIES: Field = field("policies", FieldKind::CommaList, "Policies it gives.");
const ACCESSOR: Field = field("mount_accessor", FieldKind::String, "Accessor of the auth mount.");

const ENTITY: &[Field] = &[
    ID,
    NAME,
    METADATA,
    POLICIES,
    field("disabled", FieldKind::Bool, "Whether its tokens open nothing; they are not revoked."),
];
const ALIAS: &[Field] = &[
    ID,
    NAME,
    ACCESSOR,
    field("canonical_id", FieldKind::String, "Id of the entity that has the alias."),
    field("entity_id", FieldKind::String, "Use \"canonical_id\" instead."),
    field("custom_metadata", FieldKind::KvPairs, "Metadata the auth method does not touch."),
];
const GROUP: &[Field] = &[
    ID,
    NAME,
    METADATA,
    POLICIES,
    field("type", FieldKind::String, "\"internal\" or \"external\"."),
    field("member_entity_ids", FieldKind::CommaList, "Ids of the entities in it."),
    field("member_group_ids", FieldKind::CommaList, "Ids of the groups in it."),
];
const GROUP_ALIAS: &[Field] =
    &[ID, NAME, ACCESSOR, field("canonical_id", FieldKind::String, "Id of the group that has the alias.")];
const LOOKUP: &[Field] = &[
    ID,
    NAME,
    field("alias_id", FieldKind::String, "Id of an alias of it."),
    field("alias_name", FieldKind::String, "Name of an alias of it, with \"alias_mount_accessor\"."),
    field("alias_mount_accessor", FieldKind::String, "Accessor of the alias, with \"alias_name\"."),
];
const MERGE: &[Field] = &[
    field("from_entity_ids", FieldKind::CommaList, "Entities to merge."),
    field("to_entity_id", FieldKind::String, "The entity that stays."),
    field("force", FieldKind::Bool, "Whether secrets of a second factor that clash may be lost."),
    field("conflicting_alias_ids_to_keep", FieldKind::CommaList, "Aliases that stay where two clash."),
];
const BATCH: &[Field] = &[field("entity_ids", FieldKind::CommaList, "Entities to delete.")];
const LISTED: &[Field] = &[ID];

/// One operation kind at a path.
macro_rules! route {
    ($pattern:literal, $operations:expr, $effect:ident, $fields:expr, $run:ident, $summary:literal) => {
        Route {
            pattern: $pattern,
            access: Access::Token,
            methods: &[Method::new($operations, Effect::$effect, IdentityBackend::$run)],
            exists: None,
            fields: $fields,
            summary: $summary,
        }
    };
}

/// Read, write and delete at a path.
macro_rules! record {
    ($pattern:literal, $fields:expr, $read:ident, $write:ident, $delete:ident, $summary:literal) => {
        Route {
            pattern: $pattern,
            access: Access::Token,
            methods: &[
                Method::new(READ, Effect::Read, IdentityBackend::$read),
                Method::new(WRITE, Effect::Write, IdentityBackend::$write),
                Method::new(DELETE, Effect::Write, IdentityBackend::$delete),
            ],
            exists: None,
            fields: $fields,
            summary: $summary,
        }
    };
}

pub(super) const ROUTES: &[Route<IdentityBackend>] = &[
    route!("entity", WRITE, Write, ENTITY, write_entity, "Create or update an entity."),
    route!("entity/merge", WRITE, Write, MERGE, merge_entities, "Merge entities into one."),
    route!("entity/batch-delete", WRITE, Write, BATCH, delete_entities, "Delete entities."),
    route!("entity/id/?", LIST, Read, LISTED, list_entity_ids, "List entities by id."),
    route!("entity/name/?", LIST, Read, LISTED, list_entity_names, "List entities by name."),
    record!(
        "entity/id/{id}",
        ENTITY,
        read_entity,
        write_entity,
        delete_entity,
        "Read, update or delete an entity by its id."
    ),
    record!(
        "entity/name/{name:rest}",
        ENTITY,
        read_entity,
        write_entity,
        delete_entity,
        "Read, write or delete an entity by its name."
    ),
    route!("entity-alias", WRITE, Write, ALIAS, write_alias, "Create or update an alias of an entity."),
    route!("entity-alias/id/?", LIST, Read, LISTED, list_aliases, "List aliases of entities."),
    record!(
        "entity-alias/id/{id}",
        ALIAS,
        read_alias,
        write_alias,
        delete_alias,
        "Read, update or delete an alias of an entity."
    ),
    route!("alias", WRITE, Write, ALIAS, write_alias, "Older name of entity-alias."),
    route!("alias/id/?", LIST, Read, LISTED, list_aliases, "Older name of entity-alias/id."),
    record!("alias/id/{id}", ALIAS, read_alias, write_alias, delete_alias, "Older name of entity-alias/id."),
    route!("persona/id/?", LIST, Read, LISTED, list_aliases, "Older name of entity-alias/id."),
    record!(
        "persona/id/{id}",
        ALIAS,
        read_alias,
        write_alias,
        delete_alias,
        "Older name of entity-alias/id."
    ),
    route!("group", WRITE, Write, GROUP, write_group, "Create or update a group."),
    route!("group/id/?", LIST, Read, LISTED, list_group_ids, "List groups by id."),
    route!("group/name/?", LIST, Read, LISTED, list_group_names, "List groups by name."),
    record!(
        "group/id/{id}",
        GROUP,
        read_group,
        write_group,
        delete_group,
        "Read, update or delete a group by its id."
    ),
    record!(
        "group/name/{name:rest}",
        GROUP,
        read_group,
        write_group,
        delete_group,
        "Read, write or delete a group by its name."
    ),
    route!("group-alias", WRITE, Write, GROUP_ALIAS, write_group_alias, "Create or update a group's alias."),
    route!("group-alias/id/?", LIST, Read, LISTED, list_group_aliases, "List aliases of groups."),
    record!(
        "group-alias/id/{id}",
        GROUP_ALIAS,
        read_group_alias,
        write_group_alias,
        delete_group_alias,
        "Read, update or delete a group's alias."
    ),
    route!("lookup/entity", WRITE, Read, LOOKUP, lookup_entity, "Find an entity."),
    route!("lookup/group", WRITE, Read, LOOKUP, lookup_group, "Find a group."),
];
