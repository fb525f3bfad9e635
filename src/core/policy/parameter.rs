//! Parameters of a request against the parameters a path allows, denies and requires. Pure.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::rule::{Parameters, Permissions};

/// A value in a policy's list of values.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    /// With a `*` at either end: a glob.
    Text(String),
    Flag(bool),
    List(Vec<Self>),
    /// A number or an object, kept to be shown. The server compares them as types of its own that no request can have:
    /// they match nothing.
    Unmatched(Value),
}

/// Whether the parameters in `data` pass.
#[must_use]
pub fn pass(permissions: &Permissions, data: &Map<String, Value>) -> bool {
    permissions.required.iter().all(|name| data.contains_key(name))
        && (data.is_empty() || (!denied(&permissions.denied, data) && allowed(&permissions.allowed, data)))
}

fn denied(denied: &Parameters, data: &Map<String, Value>) -> bool {
    !denied.is_empty()
        && (denied.contains_key("*")
            || data.iter().any(|(name, value)| {
                denied.get(lower(name).as_ref()).is_some_and(|values| is_among(value, values))
            }))
}

fn allowed(allowed: &Parameters, data: &Map<String, Value>) -> bool {
    let any_name = allowed.contains_key("*");
    if allowed.is_empty() || (any_name && allowed.len() == 1) {
        return true;
    }
    data.iter().all(|(name, value)| match allowed.get(lower(name).as_ref()) {
        Some(values) => is_among(value, values),
        None => any_name,
    })
}

/// No values listed: any is.
fn is_among(value: &Value, values: &[ParameterValue]) -> bool {
    values.is_empty() || values.iter().any(|listed| listed.matches(value))
}

/// Nearly every name is in lower case already and costs no copy.
fn lower(name: &str) -> Cow<'_, str> {
    if name.chars().any(char::is_uppercase) { Cow::Owned(name.to_lowercase()) } else { Cow::Borrowed(name) }
}

// === impl ParameterValue ===

impl ParameterValue {
    /// As it was written.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Flag(flag) => Value::from(*flag),
            Self::List(members) => members.iter().map(Self::to_json).collect(),
            Self::Unmatched(value) => value.clone(),
        }
    }

    fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(glob), Value::String(text)) => glob_matches(glob, text),
            (Self::Text(_) | Self::Flag(_) | Self::List(_) | Self::Unmatched(_), _) => self.equals(value),
        }
    }

    /// Inside lists a text is itself, not a glob.
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(own), Value::String(text)) => own == text,
            (Self::Flag(own), Value::Bool(flag)) => own == flag,
            (Self::List(own), Value::Array(members)) => {
                own.len() == members.len() && own.iter().zip(members).all(|(own, member)| own.equals(member))
            }
            (Self::Text(_) | Self::Flag(_) | Self::List(_) | Self::Unmatched(_), _) => false,
        }
    }
}

/// A `*` at the start, the end or both stands for anything; elsewhere, or alone, for itself.
fn glob_matches(glob: &str, text: &str) -> bool {
    if glob.len() < 2 {
        return glob == text;
    }
    match (glob.strip_prefix('*'), glob.strip_suffix('*')) {
        (Some(rest), Some(_)) => text.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => glob == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn globs_are_stars_at_the_ends() {
        for (glob, text, matches) in [
            ("x*", "xx", true),
            ("*y", "qy", true),
            ("*z*", "qzq", true),
            ("m*n", "m*n", true),
            ("m*n", "mxn", false),
            ("*", "x", false),
            ("*", "*", true),
            ("**", "x", true),
            ("**", "", true),
            ("", "x", false),
            ("", "", true),
        ] {
            assert_eq!(glob_matches(glob, text), matches, "{glob} on {text}");
        }
    }

    fn values(value: &Value) -> Vec<ParameterValue> {
        value.as_array().unwrap().iter().map(of_json).collect()
    }

    fn of_json(value: &Value) -> ParameterValue {
        match value {
            Value::String(text) => ParameterValue::Text(text.clone()),
            Value::Bool(flag) => ParameterValue::Flag(*flag),
            Value::Array(_) => ParameterValue::List(values(value)),
            Value::Null | Value::Number(_) | Value::Object(_) => ParameterValue::Unmatched(value.clone()),
        }
    }

    fn parameters(value: &Value) -> Parameters {
        value.as_object().unwrap().iter().map(|(name, list)| (name.clone(), values(list))).collect()
    }

    /// Each row was asked of the real server.
    #[test]
    fn parameters_pass_as_with_the_real_server() {
        let any = json!({"a": [1, "x", true, 1.5, ["y", "z"], {"b": 1}]});
        for (allowed, denied, required, data, passes) in [
            (&any, json!({}), "", json!({"a": 1}), false),
            (&any, json!({}), "", json!({"a": "1"}), false),
            (&any, json!({}), "", json!({"a": "x"}), true),
            (&any, json!({}), "", json!({"A": "x"}), true),
            (&any, json!({}), "", json!({"a": true}), true),
            (&any, json!({}), "", json!({"a": 1.5}), false),
            (&any, json!({}), "", json!({"a": ["y", "z"]}), true),
            (&any, json!({}), "", json!({"a": ["y"]}), false),
            (&any, json!({}), "", json!({"a": {"b": 1}}), false),
            (&any, json!({}), "", json!({"a": null}), false),
            (&any, json!({}), "", json!({"b": "x"}), false),
            (&any, json!({}), "", json!({}), true),
            (&json!({"*": []}), json!({"b": []}), "", json!({"a": "x"}), true),
            (&json!({"*": []}), json!({"b": []}), "", json!({"B": null}), false),
            (&json!({"*": ["q"], "a": ["x"]}), json!({}), "", json!({"a": "y"}), false),
            (&json!({"*": ["q"], "a": ["x"]}), json!({}), "", json!({"b": "x"}), true),
            (&json!({"*": ["q"], "a": ["x"]}), json!({}), "", json!({"*": "z"}), false),
            (&json!({"*": ["q"]}), json!({}), "", json!({"a": "x"}), true),
            (&json!({}), json!({"*": ["q"]}), "", json!({"a": "x"}), false),
            (&json!({}), json!({"*": ["q"]}), "", json!({}), true),
            (&json!({"a": ["x"]}), json!({"a": ["x"]}), "", json!({"a": "x"}), false),
            (&json!({}), json!({}), "foo", json!({"foo": null}), true),
            (&json!({}), json!({}), "foo", json!({"Foo": "x"}), false),
            (&json!({}), json!({}), "foo", json!({}), false),
        ] {
            let required = if required.is_empty() { vec![] } else { vec![required.to_owned()] };
            let permissions = Permissions {
                allowed: parameters(allowed),
                denied: parameters(&denied),
                required,
                ..Permissions::default()
            };
            let got = pass(&permissions, data.as_object().unwrap());
            assert_eq!(got, passes, "{allowed} {denied} {data}");
        }
    }
}
