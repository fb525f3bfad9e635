//! `approle`: machines that log in with a role id and, unless bound otherwise, a secret id.
//!
//! ```text
//!   salt                              key of the HMACs below: no id is found in the store in clear
//!   role/<name>                       the role
//!   role_id/<hmac(role id)>           → its name
//!   secret_id/<name>/<hmac(secret)>   the secret id's record
//!   accessor/<hmac(accessor)>         → name and hmac of its secret id
//! ```
//!
//! One file a family of endpoints; this one is their table.

mod fields;
mod login;
mod metadata;
mod role;
mod secret_id;
mod storage;

use std::sync::Arc;

use self::fields::{
    ACCESSOR_FIELDS, LIST_FIELDS, LOGIN_FIELDS, OLD_CIDR_FIELDS, ROLE_FIELDS, SECRET_ID_FIELDS,
};
use crate::logical::{
    Access, Answer, Backend, Call, Captures, Claim, Effect, Endpoint, Fault, LeaseCall, Method, Operation,
    Renewed, Route, Routes,
};

/// One mount of the method.
#[derive(Debug)]
pub struct AppRole {
    routes: Arc<Routes<Self>>,
}

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];
const READ: &[Operation] = &[Operation::Read];
const DELETE: &[Operation] = &[Operation::Delete];
const LIST: &[Operation] = &[Operation::List];

/// A path that is only written.
macro_rules! writes {
    ($pattern:literal, $access:ident, $fields:expr, $summary:literal, $run:expr) => {
        Route {
            pattern: $pattern,
            access: Access::$access,
            methods: &[Method::new(WRITE, Effect::Write, $run)],
            exists: None,
            fields: $fields,
            summary: $summary,
        }
    };
}

/// A single parameter of a role, under a path of its own.
macro_rules! parameter {
    ($pattern:literal, $name:literal) => {
        Route {
            pattern: $pattern,
            access: Access::Token,
            methods: &[
                Method::new(READ, Effect::Read, |_, call| role::read_parameter(call, $name)),
                Method::new(WRITE, Effect::Write, |_, call| role::write_parameter(call, $name)),
                Method::new(DELETE, Effect::Write, |_, call| role::delete_parameter(call, $name)),
            ],
            exists: None,
            fields: ROLE_FIELDS,
            summary: "One parameter of the role.",
        }
    };
}

/// Looking up and destroying share their arguments; looking up is a POST that only reads.
macro_rules! lookup {
    ($pattern:literal, $fields:expr, $run:expr) => {
        Route {
            pattern: $pattern,
            access: Access::Token,
            methods: &[Method::new(WRITE, Effect::Read, $run)],
            exists: None,
            fields: $fields,
            summary: "Read the properties of an issued secret id.",
        }
    };
}

macro_rules! destroy {
    ($pattern:literal, $fields:expr, $run:expr) => {
        Route {
            pattern: $pattern,
            access: Access::Token,
            methods: &[Method::new(
                &[Operation::Create, Operation::Update, Operation::Delete],
                Effect::Write,
                $run,
            )],
            exists: None,
            fields: $fields,
            summary: "Invalidate an issued secret id.",
        }
    };
}

const ROUTES: &[Route<AppRole>] = &[
    writes!("login", Open, LOGIN_FIELDS, "Issue a token for a role id and its secret id.", |_, call| {
        login::login(call)
    }),
    Route {
        pattern: "role/?",
        access: Access::Token,
        methods: &[Method::new(LIST, Effect::Read, |_, call| role::list(call))],
        exists: None,
        fields: LIST_FIELDS,
        summary: "List the roles.",
    },
    Route {
        pattern: "role/{role_name}",
        access: Access::Token,
        methods: &[
            Method::new(READ, Effect::Read, |_, call| role::read(call)),
            Method::new(WRITE, Effect::Write, |_, call| role::write(call)),
            Method::new(DELETE, Effect::Write, |_, call| role::delete(call)),
        ],
        exists: Some(|_, call| role::exists(call)),
        fields: ROLE_FIELDS,
        summary: "Register a role.",
    },
    Route {
        pattern: "role/{role_name}/role-id",
        access: Access::Token,
        methods: &[
            Method::new(READ, Effect::Read, |_, call| role::read_id(call)),
            Method::new(WRITE, Effect::Write, |_, call| role::write_id(call)),
        ],
        exists: None,
        fields: ROLE_FIELDS,
        summary: "The role's id.",
    },
    Route {
        pattern: "role/{role_name}/secret-id/?",
        access: Access::Token,
        methods: &[
            Method::new(LIST, Effect::Read, |_, call| secret_id::list(call)),
            Method::new(WRITE, Effect::Write, |_, call| secret_id::generate(call)),
        ],
        exists: None,
        fields: SECRET_ID_FIELDS,
        summary: "Generate a secret id, or list the accessors.",
    },
    writes!(
        "role/{role_name}/custom-secret-id",
        Token,
        SECRET_ID_FIELDS,
        "Assign a chosen secret id.",
        |_, call| { secret_id::assign(call) }
    ),
    lookup!("role/{role_name}/secret-id/lookup", SECRET_ID_FIELDS, |_, call| secret_id::lookup(call)),
    destroy!("role/{role_name}/secret-id/destroy", SECRET_ID_FIELDS, |_, call| secret_id::destroy(call)),
    lookup!("role/{role_name}/secret-id-accessor/lookup", ACCESSOR_FIELDS, |_, call| {
        secret_id::lookup_accessor(call)
    }),
    destroy!("role/{role_name}/secret-id-accessor/destroy", ACCESSOR_FIELDS, |_, call| {
        secret_id::destroy_accessor(call)
    }),
    parameter!("role/{role_name}/policies", "token_policies"),
    parameter!("role/{role_name}/secret-id-num-uses", "secret_id_num_uses"),
    parameter!("role/{role_name}/secret-id-ttl", "secret_id_ttl"),
    parameter!("role/{role_name}/secret-id-bound-cidrs", "secret_id_bound_cidrs"),
    parameter!("role/{role_name}/token-ttl", "token_ttl"),
    parameter!("role/{role_name}/token-max-ttl", "token_max_ttl"),
    parameter!("role/{role_name}/token-num-uses", "token_num_uses"),
    parameter!("role/{role_name}/token-bound-cidrs", "token_bound_cidrs"),
    parameter!("role/{role_name}/period", "token_period"),
    parameter!("role/{role_name}/local-secret-ids", "local_secret_ids"),
    Route {
        pattern: "role/{role_name}/bound-cidr-list",
        access: Access::Token,
        methods: &[
            Method::new(READ, Effect::Read, |_, call| role::read_old_cidrs(call)),
            Method::new(WRITE, Effect::Write, |_, call| role::write_old_cidrs(call)),
            Method::new(DELETE, Effect::Write, |_, call| {
                role::delete_parameter(call, "secret_id_bound_cidrs")
            }),
        ],
        exists: None,
        fields: OLD_CIDR_FIELDS,
        summary: "Older name of secret-id-bound-cidrs.",
    },
    writes!("tidy/secret-id", Token, &[], "Remove what expired.", |_, call| secret_id::tidy(call)),
];

impl AppRole {
    pub(super) fn new() -> Self {
        Self { routes: Arc::new(Routes::new(ROUTES)) }
    }
}

impl Backend for AppRole {
    fn endpoints(&self) -> &[Endpoint] {
        self.routes.endpoints()
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.routes.find(path)
    }

    fn exists(&self, endpoint: usize, call: &mut Call<'_>) -> Result<Option<bool>, Fault> {
        self.routes.exists(endpoint, self, call)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        self.routes.handle(endpoint, self, call)
    }

    fn claim(&self, call: &mut Call<'_>) -> Result<Option<Claim>, Fault> {
        if call.request.path == "login" { login::claim(call) } else { Ok(None) }
    }

    fn has_login_roles(&self) -> bool {
        true
    }

    fn changed(&self, _key: Option<&str>) {
        // Nothing of the store is cached.
    }

    fn initialize(&self, call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        storage::initialize(&mut call.store)
    }

    fn renew(&self, call: &mut LeaseCall<'_>) -> Result<Renewed, Fault> {
        login::renew(call)
    }

    fn tick(&self, call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        secret_id::remove_expired(&mut call.store, call.now)
    }
}
