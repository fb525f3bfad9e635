//! The parameters of approle's endpoints.

use crate::logical::{Field, FieldKind};

const fn field(name: &'static str, kind: FieldKind, description: &'static str) -> Field {
    Field { name, kind, description }
}

pub(super) const LOGIN_FIELDS: &[Field] = &[
    field("role_id", FieldKind::String, "Unique identifier of the role."),
    field("secret_id", FieldKind::String, "The secret id, where the role is bound to one."),
];

pub(super) const LIST_FIELDS: &[Field] = &[
    field("after", FieldKind::String, "List entries after this one."),
    field("limit", FieldKind::Int, "How many entries to list."),
];

pub(super) const ROLE_FIELDS: &[Field] = &[
    field("role_name", FieldKind::String, "Name of the role."),
    field("role_id", FieldKind::String, "Identifier of the role."),
    field("bind_secret_id", FieldKind::Bool, "Whether a login needs a secret id."),
    field("policies", FieldKind::CommaList, "Use \"token_policies\" instead."),
    field("period", FieldKind::DurationSecs, "Use \"token_period\" instead."),
    field("secret_id_bound_cidrs", FieldKind::CommaList, "Networks a login may come from."),
    field("secret_id_num_uses", FieldKind::Int, "How often a secret id may be used; 0 is unlimited."),
    field("secret_id_ttl", FieldKind::DurationSecs, "How long a secret id lives; 0 is for ever."),
    field("local_secret_ids", FieldKind::Bool, "Whether secret ids stay in this cluster."),
    field("token_bound_cidrs", FieldKind::CommaList, "Networks the token is bound to."),
    field("token_explicit_max_ttl", FieldKind::DurationSecs, "A hard limit of the token's life."),
    field("token_max_ttl", FieldKind::DurationSecs, "The maximum lifetime of the generated token."),
    field("token_no_default_policy", FieldKind::Bool, "Leave the default policy out."),
    field("token_num_uses", FieldKind::Int, "How often a token may be used; 0 is unlimited."),
    field("token_period", FieldKind::DurationSecs, "Renewals go on for ever, each by this much."),
    field("token_policies", FieldKind::CommaList, "Policies of the token."),
    field("token_strictly_bind_ip", FieldKind::Bool, "Bind the token to the address of its login."),
    field("token_ttl", FieldKind::DurationSecs, "The initial ttl of the token."),
    field(
        "token_type",
        FieldKind::String,
        "The type of token: service, batch, default-service, default-batch.",
    ),
];

pub(super) const SECRET_ID_FIELDS: &[Field] = &[
    field("role_name", FieldKind::String, "Name of the role."),
    field("secret_id", FieldKind::String, "The secret id."),
    field(
        "metadata",
        FieldKind::String,
        "A JSON object of text, shown in audit logs and given to the token.",
    ),
    field("cidr_list", FieldKind::CommaList, "Networks a login with this secret id may come from."),
    field("token_bound_cidrs", FieldKind::CommaList, "Networks the token is bound to."),
    field("num_uses", FieldKind::Int, "How often it may be used; the role's when not given."),
    field("ttl", FieldKind::DurationSecs, "How long it lives; the role's when not given."),
    field("after", FieldKind::String, "List entries after this one."),
    field("limit", FieldKind::Int, "How many entries to list."),
];

pub(super) const ACCESSOR_FIELDS: &[Field] = &[
    field("role_name", FieldKind::String, "Name of the role."),
    field("secret_id_accessor", FieldKind::String, "Accessor of the secret id."),
];

pub(super) const OLD_CIDR_FIELDS: &[Field] = &[
    field("role_name", FieldKind::String, "Name of the role."),
    field("bound_cidr_list", FieldKind::CommaList, "Use \"secret_id_bound_cidrs\" instead."),
];
