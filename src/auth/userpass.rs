//! `userpass`: names and passwords, stored as bcrypt hashes at `user/<name>`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::token_params::{TokenParams, clean_policies};
use crate::logical::field::Fields;
use crate::logical::{
    Access, Alias, Answer, Auth, Backend, Call, Captures, Claim, Effect, Endpoint, Fault, Field, FieldKind,
    LeaseCall, Method, Operation, Renewed, Response, Route, Routes,
};

/// bcrypt's work factor, Vault's (Go's default).
const COST: u32 = 10;
/// bcrypt reads no more; a longer password would be cut silently.
const MAX_PASSWORD_BYTES: usize = 72;
const USERS: &str = "user/";

/// One mount of the method.
#[derive(Debug)]
pub struct Userpass {
    routes: Arc<Routes<Self>>,
}

/// A stored user.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct User {
    password_hash: String,
    token: TokenParams,
    /// Whether the older names (`policies`, `ttl`, `max_ttl`) were used: they are shown again.
    old_policies: bool,
    old_ttl: bool,
    old_max_ttl: bool,
}

const USER_FIELDS: &[Field] = &[
    Field::new("username", FieldKind::String, "Username for this user."),
    Field::new("password", FieldKind::String, "Password for this user."),
    Field::new("password_hash", FieldKind::String, "Pre-hashed password in bcrypt format for this user."),
    Field::new("policies", FieldKind::CommaList, "Use \"token_policies\" instead."),
    Field::new("ttl", FieldKind::DurationSecs, "Use \"token_ttl\" instead."),
    Field::new("max_ttl", FieldKind::DurationSecs, "Use \"token_max_ttl\" instead."),
    Field::new("token_bound_cidrs", FieldKind::CommaList, "Networks the login and the token are bound to."),
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

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

const ROUTES: &[Route<Userpass>] = &[
    Route {
        pattern: "login/{username:segment}",
        access: Access::Open,
        methods: &[Method::heavy(WRITE, Effect::Write, Userpass::login)],
        exists: None,
        fields: &[
            Field::new("username", FieldKind::LowerString, "Username of the user."),
            Field::new("password", FieldKind::String, "Password for this user."),
        ],
        summary: "Log in with a username and password.",
    },
    Route {
        pattern: "users/?",
        access: Access::Token,
        methods: &[Method::new(&[Operation::List], Effect::Read, Userpass::list)],
        exists: None,
        fields: &[
            Field::new("after", FieldKind::String, "List entries after this one."),
            Field::new("limit", FieldKind::Int, "How many entries to list."),
        ],
        summary: "List the users.",
    },
    Route {
        pattern: "users/{username:segment}",
        access: Access::Token,
        methods: &[
            Method::new(&[Operation::Read], Effect::Read, Userpass::read),
            Method::heavy(WRITE, Effect::Write, Userpass::write),
            Method::new(&[Operation::Delete], Effect::Write, Userpass::delete),
        ],
        exists: Some(Userpass::user_exists),
        fields: USER_FIELDS,
        summary: "Manage users allowed to authenticate.",
    },
    Route {
        pattern: "users/{username:segment}/password",
        access: Access::Token,
        methods: &[Method::heavy(WRITE, Effect::Write, Userpass::set_password)],
        exists: None,
        fields: USER_FIELDS,
        summary: "Reset a user's password.",
    },
    Route {
        pattern: "users/{username:segment}/policies",
        access: Access::Token,
        methods: &[Method::new(WRITE, Effect::Write, Userpass::set_policies)],
        exists: None,
        fields: USER_FIELDS,
        summary: "Update the policies of a user.",
    },
];

// === impl Userpass ===

impl Userpass {
    pub(super) fn new() -> Self {
        Self { routes: Arc::new(Routes::new(ROUTES)) }
    }

    fn login(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("username").to_lowercase();
        let password =
            Fields::new(&call.request.data).text("password")?.filter(|password| !password.is_empty());
        let password =
            password.ok_or_else(|| Fault::Status { status: 500, text: "missing password".to_owned() })?;
        let user = load(call, &name)?;
        let known = user.as_ref().map(|user| user.password_hash.clone()).unwrap_or_else(nobody_hash);
        let right = bcrypt::verify(password.as_bytes(), &known).unwrap_or(false);
        let Some(user) = user.filter(|_| right) else {
            return Err(Fault::WrongCredentials("invalid username or password".to_owned()));
        };
        if !user.token.admits(&call.request.client) {
            return Err(Fault::Status { status: 403, text: "permission denied".to_owned() });
        }
        Ok(logged_in(&name, &user, call))
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let after = fields.text("after")?.unwrap_or_default();
        let limit =
            fields.int("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        Ok(Response::keys(call.store.list(USERS, &after, limit.unwrap_or(usize::MAX))?))
    }

    fn user_exists(&self, call: &mut Call<'_>) -> Result<bool, Fault> {
        Fields::of_existence_check(&call.request.data).check(USER_FIELDS)?;
        let name = call.captures.get("username").to_lowercase();
        Ok(load(call, &name)?.is_some())
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("username").to_lowercase();
        Ok(load(call, &name)?.map_or_else(Response::empty, |user| Response::of(user.shown())))
    }

    fn write(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("username").to_lowercase();
        let known = load(call, &name)?;
        let is_new = known.is_none();
        let mut user = known.unwrap_or_default();
        let fields = Fields::new(&call.request.data);
        if is_new || fields.has("password") || fields.has("password_hash") {
            user.password_hash = new_hash(&fields)?;
        }
        user.update(&fields)?;
        store(call, &name, &user)
    }

    fn delete(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("username").to_lowercase();
        call.store.delete(&key(&name))?;
        Ok(Response::empty())
    }

    fn set_password(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("username").to_lowercase();
        let mut user = load(call, &name)?.ok_or_else(no_such_user)?;
        user.password_hash = new_hash(&Fields::new(&call.request.data))?;
        store(call, &name, &user)
    }

    fn set_policies(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("username").to_lowercase();
        let mut user = load(call, &name)?.ok_or_else(no_such_user)?;
        let fields = Fields::new(&call.request.data);
        let old = fields.list("policies")?;
        user.old_policies = old.is_some() && !fields.has("token_policies");
        if let Some(policies) = fields.list("token_policies")?.or(old) {
            user.token.policies = clean_policies(policies);
        }
        store(call, &name, &user)
    }
}

fn key(name: &str) -> String {
    format!("{USERS}{name}")
}

fn load(call: &mut Call<'_>, name: &str) -> Result<Option<User>, Fault> {
    Ok(call.store.get_record(&key(name))?)
}

fn store(call: &mut Call<'_>, name: &str, user: &User) -> Answer {
    call.store.put_record(&key(name), user)?;
    Ok(Response::empty())
}

fn no_such_user() -> Fault {
    Fault::Internal("username does not exist".to_owned())
}

/// A hash no password has: an unknown name takes as long as a known one.
fn nobody_hash() -> String {
    "$2b$10$C6UzMDM.H6dfI/f/IKcEeO7ZmNv3nA5Jr3dXDM7tEJi6qOTnmZ2Oa".to_owned()
}

fn new_hash(fields: &Fields<'_>) -> Result<String, Fault> {
    let given = |name: &str| fields.text(name).map(|text| text.filter(|text| !text.is_empty()));
    match (given("password")?, given("password_hash")?) {
        (Some(_), Some(_)) => Err(Fault::invalid("only one of password or password_hash can be specified")),
        (Some(password), None) if password.len() > MAX_PASSWORD_BYTES => Err(Fault::invalid(format!(
            "password is longer than {MAX_PASSWORD_BYTES} bytes, the most bcrypt reads"
        ))),
        (Some(password), None) => {
            bcrypt::hash(password.as_bytes(), COST).map_err(|error| Fault::Internal(error.to_string()))
        }
        (None, Some(hash)) if is_bcrypt(&hash) => Ok(hash),
        (None, Some(_)) => Err(Fault::invalid("password_hash is not a valid bcrypt hash")),
        (None, None) => Err(Fault::invalid("must provide either password or password_hash")),
    }
}

fn is_bcrypt(hash: &str) -> bool {
    hash.len() == 60 && hash.parse::<bcrypt::HashParts>().is_ok()
}

fn logged_in(name: &str, user: &User, call: &Call<'_>) -> Response {
    let mut auth = Auth {
        display_name: name.to_owned(),
        metadata: [("username".to_owned(), name.to_owned())].into(),
        alias: Some(Alias { name: name.to_owned(), ..Alias::default() }),
        internal: Map::from_iter([("username".to_owned(), json!(name))]),
        ..Auth::default()
    };
    user.token.fill(&mut auth, &call.request.client);
    Response { auth: Some(Box::new(auth)), ..Response::empty() }
}

// === impl User ===

impl User {
    /// The older names first, so that the newer win.
    fn update(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        if let Some(policies) = fields.list("policies")? {
            self.token.policies = clean_policies(policies);
            self.old_policies = true;
        }
        if let Some(ttl) = fields.seconds("ttl")? {
            self.token.ttl = ttl;
            self.old_ttl = true;
        }
        if let Some(max_ttl) = fields.seconds("max_ttl")? {
            self.token.max_ttl = max_ttl;
            self.old_max_ttl = true;
        }
        self.token.update(fields)
    }

    fn shown(&self) -> Map<String, Value> {
        let mut data = Map::new();
        self.token.show(&mut data);
        for (shown, name, value) in [
            (self.old_policies, "policies", json!(self.token.policies)),
            (self.old_ttl, "ttl", json!(self.token.ttl)),
            (self.old_max_ttl, "max_ttl", json!(self.token.max_ttl)),
        ] {
            if shown {
                data.insert(name.to_owned(), value);
            }
        }
        data
    }
}

impl Backend for Userpass {
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

    /// Any name: whether somebody has it is nobody's business.
    fn claim(&self, call: &mut Call<'_>) -> Result<Option<Claim>, Fault> {
        let is_login = call.request.path.starts_with("login/");
        let alias = call.captures.get("username").to_lowercase();
        Ok(is_login.then_some(Claim { alias, role: None }))
    }

    fn changed(&self, _key: Option<&str>) {
        // Nothing of the store is cached.
    }

    /// A login is renewed while its user exists and grants the same policies.
    fn renew(&self, call: &mut LeaseCall<'_>) -> Result<Renewed, Fault> {
        let name = call.internal.get("username").and_then(Value::as_str).unwrap_or_default();
        let user: Option<User> = call.store.get_record(&key(name))?;
        let user =
            user.ok_or_else(|| Fault::invalid("user no longer exists; the token cannot be renewed"))?;
        Ok(Renewed {
            ttl_secs: user.token.ttl,
            max_ttl_secs: user.token.max_ttl,
            period_secs: user.token.period,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_made_or_checked() {
        let hash = |data: Value| new_hash(&Fields::new(data.as_object().unwrap()));
        assert!(bcrypt::verify("pw", &hash(json!({"password": "pw"})).unwrap()).unwrap());
        assert!(hash(json!({"password_hash": nobody_hash()})).is_ok());
        for (data, text) in [
            (json!({}), "must provide either password or password_hash"),
            (json!({"password_hash": "$2a$10$abc"}), "password_hash is not a valid bcrypt hash"),
            (
                json!({"password": "a", "password_hash": "b"}),
                "only one of password or password_hash can be specified",
            ),
            (json!({"password": "x".repeat(73)}), "password is longer than 72 bytes, the most bcrypt reads"),
        ] {
            assert_eq!(hash(data).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn older_names_are_shown_again() {
        let mut user = User::default();
        let data = json!({"policies": "a,B", "ttl": "1h", "token_max_ttl": "2h"});
        user.update(&Fields::new(data.as_object().unwrap())).unwrap();
        let shown = user.shown();
        assert_eq!((&shown["policies"], &shown["token_policies"]), (&json!(["a", "b"]), &json!(["a", "b"])));
        assert_eq!(
            (&shown["ttl"], &shown["token_ttl"], shown.get("max_ttl")),
            (&json!(3600), &json!(3600), None)
        );
    }

    #[test]
    fn the_stand_in_hash_is_a_real_one() {
        assert!(is_bcrypt(&nobody_hash()));
        assert!(!bcrypt::verify("", &nobody_hash()).unwrap());
    }
}
