//! The parameters of approle's endpoints.

use crate::logical::{Field, FieldKind};

pub(super) const LOGIN_FIELDS: &[Field] = &[
    Field::new("role_id", FieldKind::String, "Unique identifier of the role."),
    Field::new("secret_id", FieldKind::String, "The secret id, where the role is bound to one."),
];

pub(super) const LIST_FIELDS: &[Field] = &[
    Field::new("after", FieldKind::String, "List entries after this one."),
    Field::new("limit", FieldKind::Int, "How many entries to list."),
];

pub(super) const ROLE_FIELDS: &[Field] = &[
    Field::new("role_name", FieldKind::String, "Name of the role."),
    Field::new("role_id", FieldKind::String, "Identifier of the role."),
    Field::new("bind_secret_id", FieldKind::Bool, "Whether a login needs a secret id."),
    Field::new("policies", FieldKind::CommaList, "Use \"token_policies\" instead."),
    Field::new("period", FieldKind::DurationSecs, "Use \"token_period\" instead."),
    Field::new("secret_id_bound_cidrs", FieldKind::CommaList, "Networks a login may come from."),
    Field::new("secret_id_num_uses", FieldKind::Int, "How often a secret id may be used; 0 is unlimited."),
    Field::new("secret_id_ttl", FieldKind::DurationSecs, "How long a secret id lives; 0 is for ever."),
    Field::new("local_secret_ids", FieldKind::Bool, "Whether secret ids stay in this cluster."),
    Field::new("token_bound_cidrs", FieldKind::CommaList, "Networks the token is bound to."),
    Field::new("token_explicit_max_ttl", FieldKind::DurationSecs, "A hard limit of the token's life."),
    Field::new("token_max_ttl", FieldKind::DurationSecs, "The maximum lifetime of the generated token."),
    Field::new("token_no_default_policy", FieldKind::Bool, "Leave the default policy out."),
    Field::new("token_num_uses", FieldKind::Int, "How often a token may be used; 0 is unlimited."),
    Field::new("token_period", FieldKind::DurationSecs, "Renewals go on for ever, each by this much."),
    Field::new("token_policies", FieldKind::CommaList, "Policies of the token."),
    Field::new("token_strictly_bind_ip", FieldKind::Bool, "Bind the token to the address of its login."),
    Field::new("token_ttl", FieldKind::DurationSecs, "The initial ttl of the token."),
    Field::new(
        "token_type",
        FieldKind::String,
        "The type of token: service, batch, default-service, default-batch.",
    ),
];

pub(super) const SECRET_ID_FIELDS: &[Field] = &[
    Field::new("role_name", FieldKind::String, "Name of the role."),
    Field::new("secret_id", FieldKind::String, "The secret id."),
    Field::new(
        "metadata",
        FieldKind::String,
        "A JSON object of text, shown in audit logs and given to the token.",
    ),
    Field::new("cidr_list", FieldKind::CommaList, "Networks a login with this secret id may come from."),
    Field::new("token_bound_cidrs", FieldKind::CommaList, "Networks the token is bound to."),
    Field::new("num_uses", FieldKind::Int, "How often it may be used; the role's when not given."),
    Field::new("ttl", FieldKind::DurationSecs, "How long it lives; the role's when not given."),
    Field::new("after", FieldKind::String, "List entries after this one."),
    Field::new("limit", FieldKind::Int, "How many entries to list."),
];

pub(super) const ACCESSOR_FIELDS: &[Field] = &[
    Field::new("role_name", FieldKind::String, "Name of the role."),
    Field::new("secret_id_accessor", FieldKind::String, "Accessor of the secret id."),
];

pub(super) const OLD_CIDR_FIELDS: &[Field] = &[
    Field::new("role_name", FieldKind::String, "Name of the role."),
    Field::new("bound_cidr_list", FieldKind::CommaList, "Use \"secret_id_bound_cidrs\" instead."),
];
