//! A list's answer without the keys its caller may do nothing with: where a rule has a key filter.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::acl::Asked;
use super::compile::Compiled;
use super::key_filter::KeyTemplate;
use crate::logical::{Body, Fault, Operation};

/// A filter and the rules it asks.
#[derive(Clone)]
pub struct KeyFilter {
    pub(super) compiled: Arc<Compiled>,
    pub(super) template: Arc<KeyTemplate>,
}

// === impl KeyFilter ===

impl KeyFilter {
    /// Drops from the answer to the list of `path` (with or without its slash) what may not be read (or, for a folder, listed). `needs_sudo` tells of
    /// a path whether it takes more than a capability.
    ///
    /// # Errors
    /// The answer is not a plain list: showing it unfiltered would show too much.
    pub fn apply(&self, path: &str, body: &mut Body, needs_sudo: impl Fn(&str) -> bool) -> Result<(), Fault> {
        let data = match body {
            Body::None => return Ok(()),
            Body::Map(data) => data,
            Body::Encoded(_) | Body::Raw(_) | Body::Stream(_) => return Err(not_a_list()),
        };
        if data.keys().any(|name| name != "keys" && name != "key_info") {
            return Err(not_a_list());
        }
        let folder = if path.ends_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("{path}/")) };
        let keys = data.get_mut("keys").and_then(Value::as_array_mut).ok_or_else(not_a_list)?;
        keys.retain(|key| key.as_str().is_some_and(|key| self.shows(&folder, key, &needs_sudo)));
        let shown: Vec<String> = keys.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if shown.is_empty() {
            // No keys are no list: a 404.
            *body = Body::None;
            return Ok(());
        }
        if let Some(info) = data.get_mut("key_info") {
            let info = info.as_object_mut().ok_or_else(not_a_list)?;
            info.retain(|key, _| shown.contains(key));
        }
        Ok(())
    }

    fn shows(&self, path: &str, key: &str, needs_sudo: impl Fn(&str) -> bool) -> bool {
        let path = self.template.path(path, key);
        let operation = if key.ends_with('/') { Operation::List } else { Operation::Read };
        let data = Map::new();
        let asked = Asked { operation, path: &path, data: &data, wrap_ttl: None };
        let decision = self.compiled.acl.decide(&asked);
        decision.allowed && (decision.sudo || !needs_sudo(&path))
    }
}

fn not_a_list() -> Fault {
    Fault::Status { status: 500, text: "internal error".to_owned() }
}

impl fmt::Debug for KeyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFilter({:?})", self.template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::policy::acl::Builder;
    use crate::core::policy::capability::Capabilities;
    use crate::core::policy::rule::Permissions;
    use crate::core::policy::scope::Scope;
    use serde_json::json;

    fn filter() -> KeyFilter {
        let mut builder = Builder::default();
        for (key, capabilities) in [
            ("kv/a", Capabilities::READ),
            ("kv/c", Capabilities::LIST),
            ("kv/s", Capabilities::READ),
            ("kv/sub/*", Capabilities::LIST),
        ] {
            let permissions = Permissions { capabilities, ..Permissions::default() };
            builder.add(&"p".into(), Scope::of(key).unwrap(), &Arc::new(permissions));
        }
        let template = Arc::new(KeyTemplate::parse("{{ .path }}{{ .key }}").unwrap());
        KeyFilter { compiled: Arc::new(Compiled { acl: builder.build(), expires_at: None }), template }
    }

    fn filtered(data: &Value) -> Result<Value, u16> {
        let mut body = Body::Map(data.as_object().unwrap().clone());
        match filter().apply("kv/", &mut body, |path| path == "kv/s") {
            Ok(()) => match body {
                Body::Map(data) => Ok(Value::Object(data)),
                Body::None | Body::Encoded(_) | Body::Raw(_) | Body::Stream(_) => Ok(Value::Null),
            },
            Err(Fault::Status { status, .. }) => Err(status),
            Err(_) => Err(0),
        }
    }

    #[test]
    fn keys_are_shown_to_who_may_use_them() {
        for (data, shown) in [
            (json!({"keys": ["a", "b", "c", "s", "sub/"]}), Ok(json!({"keys": ["a", "sub/"]}))),
            (
                json!({"keys": ["a", "b"], "key_info": {"a": 1, "b": 2}}),
                Ok(json!({"keys": ["a"], "key_info": {"a": 1}})),
            ),
            (json!({"keys": ["b"]}), Ok(Value::Null)),
            (json!({"keys": ["a"], "policies": ["a"]}), Err(500)),
            (json!({"other": 1}), Err(500)),
        ] {
            assert_eq!(filtered(&data), shown, "{data}");
        }
    }
}
