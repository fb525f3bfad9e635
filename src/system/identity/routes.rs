//! The table of `identity/*`.

use super::IdentityBackend;
use crate::logical::Access::Token;
use crate::logical::{Field, FieldKind, Method, Route};

const ID: Field = Field::new("id", FieldKind::String, "The id; when given, what it names is updated.");
const NAME: Field = Field::new("name", FieldKind::String, "The name.");
const METADATA: Field = Field::new("metadata", FieldKind::KvPairs, "Metadata to keep beside it.");
const POLICIES: Field = Field::new("policies", FieldKind::CommaList, "Policies it gives.");
const ACCESSOR: Field = Field::new("mount_accessor", FieldKind::String, "Accessor of the auth mount.");

const ENTITY: &[Field] = &[
    ID,
    NAME,
    METADATA,
    POLICIES,
    Field::new("disabled", FieldKind::Bool, "Whether its tokens open nothing; they are not revoked."),
];
const ALIAS: &[Field] = &[
    ID,
    NAME,
    ACCESSOR,
    Field::new("canonical_id", FieldKind::String, "Id of the entity that has the alias."),
    Field::new("entity_id", FieldKind::String, "Use \"canonical_id\" instead."),
    Field::new("custom_metadata", FieldKind::KvPairs, "Metadata the auth method does not touch."),
];
const GROUP: &[Field] = &[
    ID,
    NAME,
    METADATA,
    POLICIES,
    Field::new("type", FieldKind::String, "\"internal\" or \"external\"."),
    Field::new("member_entity_ids", FieldKind::CommaList, "Ids of the entities in it."),
    Field::new("member_group_ids", FieldKind::CommaList, "Ids of the groups in it."),
];
const GROUP_ALIAS: &[Field] = &[
    ID,
    NAME,
    ACCESSOR,
    Field::new("canonical_id", FieldKind::String, "Id of the group that has the alias."),
];
const LOOKUP: &[Field] = &[
    ID,
    NAME,
    Field::new("alias_id", FieldKind::String, "Id of an alias of it."),
    Field::new("alias_name", FieldKind::String, "Name of an alias of it, with \"alias_mount_accessor\"."),
    Field::new("alias_mount_accessor", FieldKind::String, "Accessor of the alias, with \"alias_name\"."),
];
const MERGE: &[Field] = &[
    Field::new("from_entity_ids", FieldKind::CommaList, "Entities to merge."),
    Field::new("to_entity_id", FieldKind::String, "The entity that stays."),
    Field::new("force", FieldKind::Bool, "Whether secrets of a second factor that clash may be lost."),
    Field::new("conflicting_alias_ids_to_keep", FieldKind::CommaList, "Aliases that stay where two clash."),
];
const BATCH: &[Field] = &[Field::new("entity_ids", FieldKind::CommaList, "Entities to delete.")];
const LISTED: &[Field] = &[ID];

pub(super) const ROUTES: &[Route<IdentityBackend>] = &[
    Route::new(
        "entity",
        Token,
        &[Method::write(IdentityBackend::write_entity)],
        ENTITY,
        "Create or update an entity.",
    ),
    Route::new(
        "entity/merge",
        Token,
        &[Method::write(IdentityBackend::merge_entities)],
        MERGE,
        "Merge entities into one.",
    ),
    Route::new(
        "entity/batch-delete",
        Token,
        &[Method::write(IdentityBackend::delete_entities)],
        BATCH,
        "Delete entities.",
    ),
    Route::new(
        "entity/id/?",
        Token,
        &[Method::list(IdentityBackend::list_entity_ids)],
        LISTED,
        "List entities by id.",
    ),
    Route::new(
        "entity/name/?",
        Token,
        &[Method::list(IdentityBackend::list_entity_names)],
        LISTED,
        "List entities by name.",
    ),
    Route::new(
        "entity/id/{id}",
        Token,
        &[
            Method::read(IdentityBackend::read_entity),
            Method::write(IdentityBackend::write_entity),
            Method::delete(IdentityBackend::delete_entity),
        ],
        ENTITY,
        "Read, update or delete an entity by its id.",
    ),
    Route::new(
        "entity/name/{name:rest}",
        Token,
        &[
            Method::read(IdentityBackend::read_entity),
            Method::write(IdentityBackend::write_entity),
            Method::delete(IdentityBackend::delete_entity),
        ],
        ENTITY,
        "Read, write or delete an entity by its name.",
    ),
    Route::new(
        "entity-alias",
        Token,
        &[Method::write(IdentityBackend::write_alias)],
        ALIAS,
        "Create or update an alias of an entity.",
    ),
    Route::new(
        "entity-alias/id/?",
        Token,
        &[Method::list(IdentityBackend::list_aliases)],
        LISTED,
        "List aliases of entities.",
    ),
    Route::new(
        "entity-alias/id/{id}",
        Token,
        &[
            Method::read(IdentityBackend::read_alias),
            Method::write(IdentityBackend::write_alias),
            Method::delete(IdentityBackend::delete_alias),
        ],
        ALIAS,
        "Read, update or delete an alias of an entity.",
    ),
    Route::new(
        "alias",
        Token,
        &[Method::write(IdentityBackend::write_alias)],
        ALIAS,
        "Older name of entity-alias.",
    ),
    Route::new(
        "alias/id/?",
        Token,
        &[Method::list(IdentityBackend::list_aliases)],
        LISTED,
        "Older name of entity-alias/id.",
    ),
    Route::new(
        "alias/id/{id}",
        Token,
        &[
            Method::read(IdentityBackend::read_alias),
            Method::write(IdentityBackend::write_alias),
            Method::delete(IdentityBackend::delete_alias),
        ],
        ALIAS,
        "Older name of entity-alias/id.",
    ),
    Route::new(
        "persona/id/?",
        Token,
        &[Method::list(IdentityBackend::list_aliases)],
        LISTED,
        "Older name of entity-alias/id.",
    ),
    Route::new(
        "persona/id/{id}",
        Token,
        &[
            Method::read(IdentityBackend::read_alias),
            Method::write(IdentityBackend::write_alias),
            Method::delete(IdentityBackend::delete_alias),
        ],
        ALIAS,
        "Older name of entity-alias/id.",
    ),
    Route::new(
        "group",
        Token,
        &[Method::write(IdentityBackend::write_group)],
        GROUP,
        "Create or update a group.",
    ),
    Route::new(
        "group/id/?",
        Token,
        &[Method::list(IdentityBackend::list_group_ids)],
        LISTED,
        "List groups by id.",
    ),
    Route::new(
        "group/name/?",
        Token,
        &[Method::list(IdentityBackend::list_group_names)],
        LISTED,
        "List groups by name.",
    ),
    Route::new(
        "group/id/{id}",
        Token,
        &[
            Method::read(IdentityBackend::read_group),
            Method::write(IdentityBackend::write_group),
            Method::delete(IdentityBackend::delete_group),
        ],
        GROUP,
        "Read, update or delete a group by its id.",
    ),
    Route::new(
        "group/name/{name:rest}",
        Token,
        &[
            Method::read(IdentityBackend::read_group),
            Method::write(IdentityBackend::write_group),
            Method::delete(IdentityBackend::delete_group),
        ],
        GROUP,
        "Read, write or delete a group by its name.",
    ),
    Route::new(
        "group-alias",
        Token,
        &[Method::write(IdentityBackend::write_group_alias)],
        GROUP_ALIAS,
        "Create or update a group's alias.",
    ),
    Route::new(
        "group-alias/id/?",
        Token,
        &[Method::list(IdentityBackend::list_group_aliases)],
        LISTED,
        "List aliases of groups.",
    ),
    Route::new(
        "group-alias/id/{id}",
        Token,
        &[
            Method::read(IdentityBackend::read_group_alias),
            Method::write(IdentityBackend::write_group_alias),
            Method::delete(IdentityBackend::delete_group_alias),
        ],
        GROUP_ALIAS,
        "Read, update or delete a group's alias.",
    ),
    Route::new(
        "lookup/entity",
        Token,
        &[Method::asks(IdentityBackend::lookup_entity)],
        LOOKUP,
        "Find an entity.",
    ),
    Route::new(
        "lookup/group",
        Token,
        &[Method::asks(IdentityBackend::lookup_group)],
        LOOKUP,
        "Find a group.",
    ),
];
