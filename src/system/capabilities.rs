//! `sys/capabilities`, `-self` and `-accessor`: what a token may do at some paths; `sys/internal/ui/resultant-acl`: all its
//! rules.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::whole;
use crate::core::policy::parameter::ParameterValue;
use crate::core::policy::rule::Permissions;
use crate::core::policy::{AccessError, Holder, PolicyStore};
use crate::core::token_store::{TokenEntry, TokenStore};
use crate::logical::Access::Token;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct CapabilityEndpoints {
    policies: Arc<PolicyStore>,
    tokens: Arc<TokenStore>,
    routes: Routes<Self>,
}

/// Most paths of one question.
const MAX_PATHS: usize = 10_000;

const TOKEN: Field =
    Field::new("token", FieldKind::String, "Token for which capabilities are being queried.");
const ACCESSOR: Field = Field::new("accessor", FieldKind::String, "Accessor of the token.");
const PATH: Field = Field::new("path", FieldKind::CommaList, "Use 'paths' instead.");
const PATHS: Field =
    Field::new("paths", FieldKind::CommaList, "Paths at which the capabilities are asked for.");

const ROUTES: &[Route<CapabilityEndpoints>] = &[
    Route::new(
        "capabilities",
        Token,
        &[Method::asks(CapabilityEndpoints::of_token)],
        &[TOKEN, PATH, PATHS],
        "Fetch the capabilities of the given token at the given paths.",
    ),
    Route::new(
        "capabilities-accessor",
        Token,
        &[Method::asks(CapabilityEndpoints::of_accessor)],
        &[ACCESSOR, PATH, PATHS],
        "Fetch the capabilities of the token of the given accessor at the given paths.",
    ),
    Route::new(
        "capabilities-self",
        Token,
        &[Method::asks(CapabilityEndpoints::of_caller)],
        &[TOKEN, PATH, PATHS],
        "Fetch the capabilities of the calling token at the given paths.",
    ),
    Route::new(
        "internal/ui/resultant-acl",
        Token,
        &[Method::read(CapabilityEndpoints::rules)],
        &[],
        "Show all rules of the calling token.",
    ),
];

// === impl CapabilityEndpoints ===

impl CapabilityEndpoints {
    #[must_use]
    pub fn new(policies: Arc<PolicyStore>, tokens: Arc<TokenStore>) -> Self {
        Self { policies, tokens, routes: Routes::new(ROUTES) }
    }

    fn of_token(&self, call: &mut Call<'_>) -> Answer {
        let text = Fields::new(&call.request.data).text("token")?.unwrap_or_default();
        let paths = paths(call)?;
        if text.is_empty() {
            return Err(one_error(500, "no token found"));
        }
        let now = call.now;
        let entry = self.tokens.lookup(whole(call)?, &text, now)?;
        self.answer(call, entry.as_deref(), &paths, "invalid token")
    }

    fn of_accessor(&self, call: &mut Call<'_>) -> Answer {
        let accessor = Fields::new(&call.request.data).text("accessor")?.unwrap_or_default();
        if accessor.is_empty() {
            return Err(Fault::invalid("missing accessor"));
        }
        let (paths, now) = (paths(call)?, call.now);
        let entry = self.tokens.by_accessor(whole(call)?, &accessor, now)?;
        self.answer(call, entry.as_ref(), &paths, "invalid accessor")
    }

    /// The caller's own rules, though its only use was just taken.
    fn of_caller(&self, call: &mut Call<'_>) -> Answer {
        let (paths, now) = (paths(call)?, call.now);
        let caller = call.request.caller.clone().ok_or(Fault::Denied)?;
        self.show(call, &Holder::from(&*caller), &paths, now)
    }

    /// Without the rules that have a segment wildcard, which the answer has no place for.
    fn rules(&self, call: &mut Call<'_>) -> Answer {
        let caller = call.request.caller.clone().ok_or(Fault::Denied)?;
        let now = call.now;
        let compiled = self.policies.access(whole(call)?, &Holder::from(&*caller), now).map_err(told)?;
        if compiled.acl.is_root() {
            return Ok(Response::json(json!({ "root": true })));
        }
        let exact: Map<String, Value> =
            compiled.acl.exact_rules().map(|(path, rule)| (path.to_owned(), shown(rule))).collect();
        let glob: Map<String, Value> =
            compiled.acl.prefix_rules().map(|(path, rule)| (path.to_owned(), shown(rule))).collect();
        Ok(Response::json(json!({ "root": false, "exact_paths": exact, "glob_paths": glob })))
    }

    fn answer(
        &self,
        call: &mut Call<'_>,
        entry: Option<&TokenEntry>,
        paths: &[String],
        none: &str,
    ) -> Answer {
        let entry = entry.ok_or_else(|| one_error(400, none))?;
        let now = call.now;
        self.show(call, &Holder::from(entry), paths, now)
    }

    fn show(
        &self,
        call: &mut Call<'_>,
        holder: &Holder<'_>,
        paths: &[String],
        now: time::OffsetDateTime,
    ) -> Answer {
        let compiled = self.policies.access(whole(call)?, holder, now).map_err(told)?;
        let mut shown = Map::new();
        for path in paths {
            shown.insert(path.clone(), json!(compiled.acl.capabilities(path)));
        }
        if let [path] = paths {
            let only = shown.get(path).cloned().unwrap_or(Value::Null);
            shown.insert("capabilities".to_owned(), only);
        }
        Ok(Response { injected: true, ..Response::of(shown) })
    }
}

fn shown(rule: &Permissions) -> Value {
    let mut shown = Map::from_iter([("capabilities".to_owned(), json!(rule.capabilities.names()))]);
    for (name, parameters) in [("allowed_parameters", &rule.allowed), ("denied_parameters", &rule.denied)] {
        if !parameters.is_empty() {
            let values = |list: &Vec<ParameterValue>| list.iter().map(ParameterValue::to_json).collect();
            let parameters = parameters.iter().map(|(name, list)| (name.clone(), values(list))).collect();
            shown.insert(name.to_owned(), Value::Object(parameters));
        }
    }
    if !rule.required.is_empty() {
        shown.insert("required_parameters".to_owned(), json!(rule.required));
    }
    Value::Object(shown)
}

fn paths(call: &Call<'_>) -> Result<Vec<String>, Fault> {
    let fields = Fields::new(&call.request.data);
    // An empty path is not dropped but refused.
    if let Some(Value::Array(given)) = fields.raw("paths")
        && given.iter().any(|path| path.as_str() == Some(""))
    {
        return Err(one_error(400, "missing path"));
    }
    let given = match fields.list("paths")? {
        Some(paths) if !paths.is_empty() => paths,
        Some(_) | None => fields.list("path")?.unwrap_or_default(),
    };
    if given.is_empty() {
        return Err(Fault::invalid("paths must be supplied"));
    }
    if given.len() > MAX_PATHS {
        return Err(Fault::invalid(format!("at most {MAX_PATHS} paths may be supplied")));
    }
    Ok(given)
}

/// Who asks about a token is told what is wrong with its policies; who only uses it is not.
fn told(error: AccessError) -> Fault {
    match error {
        AccessError::Compile(why @ crate::core::policy::CompileError::Forbidden { .. }) => {
            one_error(403, &why.to_string())
        }
        AccessError::Compile(why) => one_error(500, &why.to_string()),
        AccessError::NoSubject | AccessError::Fault(_) => error.into(),
    }
}

fn one_error(status: u16, text: &str) -> Fault {
    Fault::Status { status, text: format!("1 error occurred:\n\t* {text}\n\n") }
}

impl super::Tabled for CapabilityEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
