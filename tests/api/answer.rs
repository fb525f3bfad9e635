//! One answer as it is kept and compared: status, the headers that matter, the masked body.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mask;
use crate::scenario::Saved;
use crate::wire::Got;

/// The headers clients act on.
const HEADERS: &[&str] = &[
    "content-type",
    "cache-control",
    "strict-transport-security",
    "location",
    "retry-after",
    "allow",
    "x-vault-namespace",
    "x-ratelimit-limit",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
    "vary",
    "content-disposition",
    "www-authenticate",
];

/// An answer to one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) step: String,
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn new(step: &str, got: &Got, saved: &Saved) -> Self {
        let headers = HEADERS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), mask::text(got.header(name)?, saved))))
            .collect();
        Self { step: step.to_owned(), status: got.status, headers, body: masked(got, saved) }
    }

    /// The outer fields by type: the values belong to one machine.
    pub(crate) fn shape(self) -> Self {
        Self { body: shape(&self.body, 2), ..self }
    }
}

fn masked(got: &Got, saved: &Saved) -> Value {
    if got.body.is_empty() {
        return Value::Null;
    }
    match serde_json::from_slice(&got.body) {
        Ok(json) => mask::body(json, saved),
        Err(_) => Value::String(mask::text(&String::from_utf8_lossy(&got.body), saved)),
    }
}

fn shape(value: &Value, depth: u8) -> Value {
    match value {
        Value::Object(fields) if depth > 0 => {
            fields.iter().map(|(name, value)| (name.clone(), shape(value, depth - 1))).collect()
        }
        Value::Object(_) => "<object>".into(),
        Value::Array(_) => "<list>".into(),
        Value::String(_) => "<text>".into(),
        Value::Number(_) => "<number>".into(),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}
