//! `auth/token/*`: the token store's endpoints.

mod create;
mod lookup;
mod roles;

use std::sync::Arc;

use time::OffsetDateTime;

use super::authority::Authority;
use crate::barrier::Transaction;
use crate::core::token_store::{Made, TokenEntry, TokenStore};
use crate::logical::Access::{Sudo, Token};
use crate::logical::field::Fields;
use crate::logical::{
    Access, Answer, Backend, Call, Caller, Captures, Effect, Endpoint, Fault, Field, FieldKind, Method,
    Operation, Response, Route, Routes,
};

/// See the module.
#[derive(Debug)]
pub struct TokenBackend {
    tokens: Arc<TokenStore>,
    authority: Arc<dyn Authority>,
    routes: Routes<Self>,
}

const TOKEN: Field = Field::new("token", FieldKind::String, "Token to act on");
const ACCESSOR: Field = Field::new("accessor", FieldKind::String, "Accessor of the token");
const INCREMENT: Field =
    Field::new("increment", FieldKind::DurationSecs, "The desired increment to the token expiration");

const CREATE_FIELDS: &[Field] = &[
    Field::new("id", FieldKind::String, "Value for the token"),
    Field::new("display_name", FieldKind::String, "Name to associate with this token"),
    Field::new("entity_alias", FieldKind::String, "Name of the entity alias to associate with this token"),
    Field::new("explicit_max_ttl", FieldKind::String, "Explicit max TTL of this token"),
    Field::new("lease", FieldKind::String, "Use 'ttl' instead"),
    Field::new("meta", FieldKind::KvPairs, "Arbitrary key=value metadata to associate with the token"),
    Field::new("no_default_policy", FieldKind::Bool, "Do not include default policy for this token"),
    Field::new("no_parent", FieldKind::Bool, "Create the token with no parent"),
    Field::new("num_uses", FieldKind::Int, "Max number of uses for this token"),
    Field::new("period", FieldKind::String, "Renew period"),
    Field::new("policies", FieldKind::List, "List of policies for the token"),
    Field::new(
        "renewable",
        FieldKind::Bool,
        "Allow token to be renewed past its initial TTL up to system/mount maximum TTL",
    ),
    Field::new("role_name", FieldKind::String, "Name of the role"),
    Field::new("ttl", FieldKind::String, "Time to live for this token"),
    Field::new("type", FieldKind::String, "Token type"),
];

const READ_OR_WRITE: &[Operation] = &[Operation::Read, Operation::Create, Operation::Update];

const ROUTES: &[Route<TokenBackend>] = &[
    Route::new("create", Token, &[Method::write(TokenBackend::create)], CREATE_FIELDS, "Create a token."),
    Route::new(
        "create-orphan",
        Token,
        &[Method::write(TokenBackend::create_orphan)],
        CREATE_FIELDS,
        "Create a token without a parent.",
    ),
    Route::new(
        "create/{role_name}",
        Token,
        &[Method::write(TokenBackend::create_with_role)],
        CREATE_FIELDS,
        "Create a token through a role.",
    ),
    Route::new(
        "lookup",
        Token,
        &[Method::new(READ_OR_WRITE, Effect::Read, TokenBackend::lookup)],
        &[TOKEN],
        "Look up a token.",
    ),
    Route::new(
        "lookup-self",
        Token,
        &[Method::new(READ_OR_WRITE, Effect::Read, TokenBackend::lookup_self)],
        &[TOKEN],
        "Look up the caller's token.",
    ),
    Route::new(
        "lookup-accessor",
        Token,
        &[Method::asks(TokenBackend::lookup_accessor)],
        &[ACCESSOR],
        "Look up a token by its accessor.",
    ),
    Route::new("renew", Token, &[Method::write(TokenBackend::renew)], &[TOKEN, INCREMENT], "Renew a token."),
    Route::new(
        "renew-self",
        Token,
        &[Method::write(TokenBackend::renew_self)],
        &[TOKEN, INCREMENT],
        "Renew the caller's token.",
    ),
    Route::new(
        "renew-accessor",
        Token,
        &[Method::write(TokenBackend::renew_accessor)],
        &[ACCESSOR, INCREMENT],
        "Renew a token by its accessor.",
    ),
    Route::new(
        "revoke",
        Token,
        &[Method::write(TokenBackend::revoke)],
        &[TOKEN],
        "Revoke a token and its children.",
    ),
    Route::new(
        "revoke-self",
        Token,
        &[Method::write(TokenBackend::revoke_self)],
        &[],
        "Revoke the caller's token and its children.",
    ),
    Route::new(
        "revoke-accessor",
        Token,
        &[Method::write(TokenBackend::revoke_accessor)],
        &[ACCESSOR],
        "Revoke a token by its accessor.",
    ),
    Route::new(
        "revoke-orphan",
        Token,
        &[Method::write(TokenBackend::revoke_orphan)],
        &[TOKEN],
        "Revoke a token and leave its children.",
    ),
    Route::new(
        "tidy",
        Token,
        &[Method::write(TokenBackend::tidy)],
        &[],
        "Drop token records that lead nowhere.",
    ),
    Route::new(
        "accessors/?",
        Sudo,
        &[Method::list(TokenBackend::list_accessors)],
        &[ACCESSOR],
        "List the accessors of all tokens.",
    ),
    Route::new(
        "roles/?",
        Token,
        &[Method::list(TokenBackend::list_roles)],
        roles::FIELDS,
        "List the token roles.",
    ),
    Route {
        pattern: "roles/{role_name}",
        access: Access::Token,
        methods: &[
            Method::read(TokenBackend::read_role),
            Method::write(TokenBackend::write_role),
            Method::delete(TokenBackend::delete_role),
        ],
        exists: Some(TokenBackend::role_exists),
        fields: roles::FIELDS,
        summary: "Read, write or delete a token role.",
    },
];

// === impl TokenBackend ===

impl TokenBackend {
    #[must_use]
    pub fn new(tokens: Arc<TokenStore>, authority: Arc<dyn Authority>) -> Self {
        Self { tokens, authority, routes: Routes::new(ROUTES) }
    }

    fn renew(&self, call: &mut Call<'_>) -> Answer {
        let text = required(call, "token", "missing token ID")?;
        let now = call.now;
        let entry =
            self.tokens.lookup(whole(call)?, &text, now)?.ok_or_else(|| Fault::invalid("token not found"))?;
        let mut made = self.renew_entry(call, &entry)?;
        made.granted.client_token = text.into();
        Ok(granted(made))
    }

    fn renew_self(&self, call: &mut Call<'_>) -> Answer {
        let caller = caller(call)?;
        if caller.is_batch {
            return Err(Fault::invalid("batch tokens cannot be renewed"));
        }
        let entry = self.own_entry(call, &caller)?;
        let mut made = self.renew_entry(call, &entry)?;
        if let Some(text) = &caller.token_text {
            made.granted.client_token = (**text).clone();
        }
        Ok(granted(made))
    }

    fn renew_accessor(&self, call: &mut Call<'_>) -> Answer {
        let entry = self.accessor_entry(call)?;
        Ok(granted(self.renew_entry(call, &entry)?))
    }

    fn renew_entry(&self, call: &mut Call<'_>, entry: &TokenEntry) -> Result<Made, Fault> {
        let increment = Fields::new(&call.request.data).seconds("increment")?.unwrap_or(0);
        let mount = self.authority.mount_of(&entry.path).unwrap_or_else(|| call.mount.clone());
        let now = call.now;
        let tx = whole(call)?;
        let fresh = self.authority.renew_login(tx, entry)?;
        let identity = self.authority.identity_policies(tx, entry)?;
        Ok(self.tokens.renew(tx, entry, &mount, increment, fresh, now)?.with_identity(identity))
    }

    fn revoke(&self, call: &mut Call<'_>) -> Answer {
        let text = required(call, "token", "missing token ID")?;
        let now = call.now;
        let tx = whole(call)?;
        match self.tokens.lookup(tx, &text, now)? {
            Some(entry) => self.revoke_entry(tx, &entry, now),
            None => Ok(Response::empty()),
        }
    }

    fn revoke_self(&self, call: &mut Call<'_>) -> Answer {
        let caller = caller(call)?;
        if caller.is_batch {
            return Err(Fault::invalid("batch tokens cannot be revoked"));
        }
        let now = call.now;
        self.tokens.revoke_tree(whole(call)?, &caller.token_key, now)?;
        Ok(Response::empty())
    }

    fn revoke_accessor(&self, call: &mut Call<'_>) -> Answer {
        let accessor = required(call, "accessor", MISSING_ACCESSOR)?;
        let now = call.now;
        let tx = whole(call)?;
        match self.tokens.by_accessor(tx, &accessor, now)? {
            Some(entry) => self.revoke_entry(tx, &entry, now),
            None => Ok(Response::empty().with_warning("No token found with this accessor")),
        }
    }

    fn revoke_entry(&self, tx: &mut Transaction, entry: &TokenEntry, now: OffsetDateTime) -> Answer {
        if entry.is_batch() {
            return Err(Fault::invalid("batch tokens cannot be revoked"));
        }
        self.tokens.revoke_tree(tx, &entry.key, now)?;
        Ok(Response::empty())
    }

    /// The policies that let it in need not give `sudo`; what it does does.
    fn revoke_orphan(&self, call: &mut Call<'_>) -> Answer {
        let text = required(call, "token", "missing token ID")?;
        let (now, caller) = (call.now, caller(call)?);
        let path = format!("{}{}", call.mount.path, call.request.path);
        let tx = whole(call)?;
        if !self.authority.has_sudo(tx, &caller, &path)? {
            return Err(Fault::invalid("root or sudo privileges required to revoke and orphan"));
        }
        let entry =
            self.tokens.lookup(tx, &text, now)?.ok_or_else(|| Fault::invalid("token to revoke not found"))?;
        if entry.is_batch() {
            return Err(Fault::invalid("batch tokens cannot be revoked"));
        }
        self.tokens.revoke_orphan(tx, &entry.key, now)?;
        Ok(Response::empty())
    }

    fn tidy(&self, call: &mut Call<'_>) -> Answer {
        let tidied = self.tokens.tidy(whole(call)?)?;
        tracing::info!(accessors = tidied.accessors, children = tidied.children, "tokens tidied");
        let mut response = Response::empty().with_warning(TIDY_STARTED);
        response.status = Some(202);
        Ok(response)
    }

    fn own_entry(&self, call: &mut Call<'_>, caller: &Caller) -> Result<TokenEntry, Fault> {
        self.tokens.entry(whole(call)?, &caller.token_key)?.ok_or_else(|| Fault::invalid("token not found"))
    }

    fn accessor_entry(&self, call: &mut Call<'_>) -> Result<TokenEntry, Fault> {
        let accessor = required(call, "accessor", MISSING_ACCESSOR)?;
        let now = call.now;
        let found = self.tokens.by_accessor(whole(call)?, &accessor, now)?;
        found.ok_or_else(|| Fault::invalid("1 error occurred:\n\t* invalid accessor\n\n"))
    }
}

const MISSING_ACCESSOR: &str = "1 error occurred:\n\t* missing accessor\n\n";

/// The real server's words; here the work is done when they are said.
pub(super) const TIDY_STARTED: &str = "Tidy operation successfully started. Any information from the operation will be \
                                       printed to OpenBao's server logs.";

fn granted(made: Made) -> Response {
    Response { granted: Some(Box::new(made.granted)), warnings: made.warnings, ..Response::default() }
}

fn caller(call: &Call<'_>) -> Result<Arc<Caller>, Fault> {
    call.request.caller.clone().ok_or(Fault::Denied)
}

fn required(call: &Call<'_>, name: &str, missing: &str) -> Result<String, Fault> {
    let text = Fields::new(&call.request.data).text(name)?.unwrap_or_default();
    if text.is_empty() { Err(Fault::invalid(missing)) } else { Ok(text) }
}

fn whole<'c>(call: &'c mut Call<'_>) -> Result<&'c mut Transaction, Fault> {
    call.store.whole().ok_or_else(|| Fault::Internal("the token store needs the whole store".to_owned()))
}

impl Backend for TokenBackend {
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

    /// The token store is told by the core itself.
    fn changed(&self, _key: Option<&str>) {}
}
