//! `sys/policy`, `sys/policies/acl`, `sys/policies/detailed/acl` and `sys/policies/password`.

mod acl;
mod password;

use std::sync::Arc;

use crate::core::policy::PolicyStore;
use crate::logical::{
    Access, Answer, Call, Captures, Effect, Endpoint, Field, FieldKind, Method, Operation, Route, Routes,
};

/// The endpoints over the policies.
#[derive(Debug)]
pub struct PolicyEndpoints {
    policies: Arc<PolicyStore>,
    routes: Routes<Self>,
}

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

const fn field(name: &'static str, kind: FieldKind, description: &'static str) -> Field {
    Field { name, kind, description }
}

const NAME: Field = field("name", FieldKind::String, "The name of the policy.");

const ACL_FIELDS: &[Field] = &[
    NAME,
    field("policy", FieldKind::String, "The rules of the policy, as text or base64 of it."),
    field("rules", FieldKind::String, "The older name of policy."),
    field("cas", FieldKind::Int, "The version to replace; -1: the policy must not exist yet."),
    field("cas_required", FieldKind::Bool, "Whether changes must name the version they replace."),
    field("expiration", FieldKind::Time, "When the policy ends."),
    field("ttl", FieldKind::DurationSecs, "How long the policy lasts."),
    field(
        "allow_slashes_in_identity_templates",
        FieldKind::Bool,
        "Whether what templates are filled with may hold slashes.",
    ),
    field(
        "allow_wildcards_in_identity_templates",
        FieldKind::Bool,
        "Whether what templates are filled with may hold wildcards.",
    ),
];

const PASSWORD_FIELDS: &[Field] = &[NAME, field("policy", FieldKind::String, "The password policy.")];

/// Lists what is at a path with or without a slash.
macro_rules! lists {
    ($pattern:literal, [$($operation:ident),+], $run:expr, $summary:literal) => {
        Route {
            pattern: $pattern,
            access: Access::Token,
            methods: &[Method::new(&[$(Operation::$operation),+], Effect::Read, $run)],
            exists: None,
            fields: &[NAME],
            summary: $summary,
        }
    };
}

/// A policy by its name, and the folder of that name.
macro_rules! named {
    ($pattern:literal, $fields:expr, $summary:literal, $read:expr, $write:expr, $delete:expr $(, $list:expr)?) => {
        Route {
            pattern: $pattern,
            access: Access::Token,
            methods: &[
                Method::new(&[Operation::Read], Effect::Read, $read),
                Method::new(WRITE, Effect::Write, $write),
                Method::new(&[Operation::Delete], Effect::Write, $delete),
                $(Method::new(&[Operation::List], Effect::Read, $list),)?
            ],
            exists: None,
            fields: $fields,
            summary: $summary,
        }
    };
}

const ROUTES: &[Route<PolicyEndpoints>] = &[
    lists!(
        "policy/?",
        [Read, List],
        PolicyEndpoints::list_old,
        "List the configured access control policies."
    ),
    named!(
        "policy/{name:rest}",
        ACL_FIELDS,
        "Read, change or delete an access control policy.",
        PolicyEndpoints::read_old,
        PolicyEndpoints::write_old,
        PolicyEndpoints::delete,
        PolicyEndpoints::list_old
    ),
    lists!("policies/acl/?", [List], PolicyEndpoints::list, "List the configured access control policies."),
    named!(
        "policies/acl/{name:rest}",
        ACL_FIELDS,
        "Read, change or delete an access control policy.",
        PolicyEndpoints::read,
        PolicyEndpoints::write,
        PolicyEndpoints::delete,
        PolicyEndpoints::list
    ),
    lists!(
        "policies/detailed/acl/?",
        [List],
        PolicyEndpoints::list_detailed,
        "List the configured access control policies with what they say."
    ),
    lists!(
        "policies/detailed/acl/{name:rest}",
        [List],
        PolicyEndpoints::list_detailed,
        "List the access control policies of a folder with what they say."
    ),
    lists!(
        "policies/password/?",
        [List],
        PolicyEndpoints::list_passwords,
        "List the existing password policies."
    ),
    named!(
        "policies/password/{name:rest}",
        PASSWORD_FIELDS,
        "Read, change or delete a password policy, or generate a password from it.",
        PolicyEndpoints::read_password,
        PolicyEndpoints::write_password,
        PolicyEndpoints::delete_password
    ),
];

// === impl PolicyEndpoints ===

impl PolicyEndpoints {
    #[must_use]
    pub fn new(policies: Arc<PolicyStore>) -> Self {
        Self { policies, routes: Routes::new(ROUTES) }
    }
}

impl super::Endpoints for PolicyEndpoints {
    fn endpoints(&self) -> &[Endpoint] {
        self.routes.endpoints()
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.routes.find(path)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        self.routes.handle(endpoint, self, call)
    }
}
