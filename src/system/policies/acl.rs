//! ACL policies under both their paths. The older shows the text as `rules`, repeats its data at the top of the answer and
//! takes `rules` for `policy`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use super::PolicyEndpoints;
use crate::core::policy::{Draft, Stored, builtin, parse};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};
use crate::system::whole;

const NO_TEXT: &str = "'policy' parameter not supplied or empty";

// === impl PolicyEndpoints ===

impl PolicyEndpoints {
    pub(super) fn list(&self, call: &mut Call<'_>) -> Answer {
        Ok(Response::keys(self.names(call)?))
    }

    pub(super) fn list_old(&self, call: &mut Call<'_>) -> Answer {
        let names = self.names(call)?;
        if names.is_empty() {
            return Ok(Response::empty());
        }
        Ok(Response { injected: true, ..Response::json(json!({ "keys": names, "policies": names })) })
    }

    /// `root` is shown in every folder, as the server does here alone.
    pub(super) fn list_detailed(&self, call: &mut Call<'_>) -> Answer {
        let mut names = self.names(call)?;
        if !names.iter().any(|name| name == builtin::ROOT) {
            names.push(builtin::ROOT.to_owned());
        }
        let now = call.now;
        let mut details = Map::new();
        for name in &names {
            let Some(policy) = self.policies.get(whole(call)?, name, now)? else { continue };
            details.insert(name.clone(), Value::Object(shown(&policy, "policy")));
        }
        Ok(Response::json(json!({ "keys": names, "key_info": details })))
    }

    pub(super) fn read(&self, call: &mut Call<'_>) -> Answer {
        Ok(self.stored(call)?.map_or_else(Response::empty, |policy| Response::of(shown(&policy, "policy"))))
    }

    pub(super) fn read_old(&self, call: &mut Call<'_>) -> Answer {
        let Some(policy) = self.stored(call)? else { return Ok(Response::empty()) };
        Ok(Response { injected: true, ..Response::of(shown(&policy, "rules")) })
    }

    pub(super) fn write(&self, call: &mut Call<'_>) -> Answer {
        let text = Fields::new(&call.request.data).text("policy")?;
        self.put(call, &text.unwrap_or_default())
    }

    pub(super) fn write_old(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        if let Some(text) = fields.text("policy")?.filter(|text| !text.is_empty()) {
            return self.put(call, &text);
        }
        let rules = fields.text("rules")?.unwrap_or_default();
        Ok(self.put(call, &rules)?.with_warning("'rules' is deprecated, please use 'policy' instead"))
    }

    pub(super) fn delete(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        self.policies.delete(whole(call)?, name)?;
        Ok(Response::empty())
    }

    fn put(&self, call: &mut Call<'_>, text: &str) -> Answer {
        if text.is_empty() {
            return Err(Fault::invalid(NO_TEXT));
        }
        let (name, now) = (call.captures.get("name"), call.now);
        let draft = draft(Fields::new(&call.request.data), decoded(text)?, now)?;
        self.policies.put(whole(call)?, name, draft, now)?;
        Ok(Response::empty())
    }

    fn stored(&self, call: &mut Call<'_>) -> Result<Option<std::sync::Arc<Stored>>, Fault> {
        let (name, now) = (call.captures.get("name"), call.now);
        self.policies.get(whole(call)?, name, now)
    }

    /// Of the folder asked for, or all, and then `root`, which is stored nowhere.
    fn names(&self, call: &mut Call<'_>) -> Result<Vec<String>, Fault> {
        let folder = call.captures.get("name").trim_end_matches('/');
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let now = call.now;
        let mut names = self.policies.list(whole(call)?, &prefix, now)?;
        if prefix.is_empty() {
            names.push(builtin::ROOT.to_owned());
        }
        Ok(names)
    }
}

/// A policy may come in base64, which no policy is by chance: the language's words need a space or a brace between them.
fn decoded(text: &str) -> Result<String, Fault> {
    match STANDARD.decode(text) {
        Err(_) => Ok(text.to_owned()),
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| Fault::invalid("failed to parse policy: At 1:1: illegal char")),
    }
}

fn draft(fields: Fields<'_>, text: String, now: OffsetDateTime) -> Result<Draft, Fault> {
    Ok(Draft {
        text,
        cas: fields.int("cas")?,
        cas_required: fields.flag("cas_required")?.unwrap_or(false),
        expires_at: end(fields, now)?,
        allow_slashes_in_templates: fields.flag("allow_slashes_in_identity_templates")?.unwrap_or(false),
        allow_wildcards_in_templates: fields.flag("allow_wildcards_in_identity_templates")?.unwrap_or(false),
    })
}

fn end(fields: Fields<'_>, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Fault> {
    let ttl = fields.duration("ttl")?;
    let expiration = fields.text("expiration")?;
    match (ttl, expiration) {
        (Some(_), Some(_)) => Err(Fault::invalid("cannot supply both 'expiration' and 'ttl' for policies")),
        (Some(ttl), None) => {
            let end = Duration::try_from(ttl).ok().and_then(|ttl| now.checked_add(ttl));
            end.map(Some).ok_or_else(|| Fault::invalid("'ttl' reaches beyond the calendar"))
        }
        (None, Some(text)) => parse::moment(&text).map(Some).ok_or_else(|| {
            Fault::invalid(
                "Field validation failed: error converting input for field \"expiration\": could not parse string as \
                 date and time",
            )
        }),
        (None, None) => Ok(None),
    }
}

/// The policy with its text under `text_field`.
fn shown(policy: &Stored, text_field: &str) -> Map<String, Value> {
    let record = &policy.record;
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("name", json!(policy.name));
    put(text_field, json!(record.text));
    put("version", json!(record.version));
    put("cas_required", json!(record.cas_required));
    put("allow_slashes_in_identity_templates", json!(record.allow_slashes_in_templates));
    put("allow_wildcards_in_identity_templates", json!(record.allow_wildcards_in_templates));
    if !record.modified.is_empty() {
        put("modified", json!(record.modified));
    }
    if !record.expires_at.is_empty() {
        put("expiration", json!(record.expires_at));
    }
    shown
}
