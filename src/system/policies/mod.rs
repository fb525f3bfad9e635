//! `sys/policy`, `sys/policies/acl`, `sys/policies/detailed/acl` and `sys/policies/password`.

mod acl;
mod password;

use std::sync::Arc;

use crate::core::policy::PolicyStore;
use crate::logical::Access::Token;
use crate::logical::{Effect, Field, FieldKind, Method, Operation, Route, Routes};

/// The endpoints over the policies.
#[derive(Debug)]
pub struct PolicyEndpoints {
    policies: Arc<PolicyStore>,
    routes: Routes<Self>,
}

const NAME: Field = Field::new("name", FieldKind::String, "The name of the policy.");

const ACL_FIELDS: &[Field] = &[
    NAME,
    Field::new("policy", FieldKind::String, "The rules of the policy, as text or base64 of it."),
    Field::new("rules", FieldKind::String, "The older name of policy."),
    Field::new("cas", FieldKind::Int, "The version to replace; -1: the policy must not exist yet."),
    Field::new("cas_required", FieldKind::Bool, "Whether changes must name the version they replace."),
    Field::new("expiration", FieldKind::Time, "When the policy ends."),
    Field::new("ttl", FieldKind::DurationSecs, "How long the policy lasts."),
    Field::new(
        "allow_slashes_in_identity_templates",
        FieldKind::Bool,
        "Whether what templates are filled with may hold slashes.",
    ),
    Field::new(
        "allow_wildcards_in_identity_templates",
        FieldKind::Bool,
        "Whether what templates are filled with may hold wildcards.",
    ),
];

const PASSWORD_FIELDS: &[Field] = &[NAME, Field::new("policy", FieldKind::String, "The password policy.")];

const ROUTES: &[Route<PolicyEndpoints>] = &[
    Route::new(
        "policy/?",
        Token,
        &[Method::new(&[Operation::Read, Operation::List], Effect::Read, PolicyEndpoints::list_old)],
        &[NAME],
        "List the configured access control policies.",
    ),
    Route::new(
        "policy/{name:rest}",
        Token,
        &[
            Method::read(PolicyEndpoints::read_old),
            Method::write(PolicyEndpoints::write_old),
            Method::delete(PolicyEndpoints::delete),
            Method::list(PolicyEndpoints::list_old),
        ],
        ACL_FIELDS,
        "Read, change or delete an access control policy.",
    ),
    Route::new(
        "policies/acl/?",
        Token,
        &[Method::list(PolicyEndpoints::list)],
        &[NAME],
        "List the configured access control policies.",
    ),
    Route::new(
        "policies/acl/{name:rest}",
        Token,
        &[
            Method::read(PolicyEndpoints::read),
            Method::write(PolicyEndpoints::write),
            Method::delete(PolicyEndpoints::delete),
            Method::list(PolicyEndpoints::list),
        ],
        ACL_FIELDS,
        "Read, change or delete an access control policy.",
    ),
    Route::new(
        "policies/detailed/acl/?",
        Token,
        &[Method::list(PolicyEndpoints::list_detailed)],
        &[NAME],
        "List the configured access control policies with what they say.",
    ),
    Route::new(
        "policies/detailed/acl/{name:rest}",
        Token,
        &[Method::list(PolicyEndpoints::list_detailed)],
        &[NAME],
        "List the access control policies of a folder with what they say.",
    ),
    Route::new(
        "policies/password/?",
        Token,
        &[Method::list(PolicyEndpoints::list_passwords)],
        &[NAME],
        "List the existing password policies.",
    ),
    Route::new(
        "policies/password/{name:rest}",
        Token,
        &[
            Method::read(PolicyEndpoints::read_password),
            Method::write(PolicyEndpoints::write_password),
            Method::delete(PolicyEndpoints::delete_password),
        ],
        PASSWORD_FIELDS,
        "Read, change or delete a password policy, or generate a password from it.",
    ),
];

// === impl PolicyEndpoints ===

impl PolicyEndpoints {
    #[must_use]
    pub fn new(policies: Arc<PolicyStore>) -> Self {
        Self { policies, routes: Routes::new(ROUTES) }
    }
}

impl super::Tabled for PolicyEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
