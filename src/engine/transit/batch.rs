//! Many items in one request: how they are read, and what status the answer has when some of them failed.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::refusal::Refusal;
use crate::logical::field::Fields;
use crate::logical::{Fault, Response};

/// Most items of a request; its body is bounded too.
const MAX_ITEMS: usize = 100_000;

/// One text to encrypt or decrypt, as it was given.
#[derive(Default)]
pub(super) struct Item {
    /// Plaintext or ciphertext.
    pub(super) text: Zeroizing<String>,
    pub(super) context: String,
    pub(super) key_version: i64,
    pub(super) associated: String,
    pub(super) reference: String,
}

/// What failed among the items.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    pub(super) succeeded: bool,
    user: bool,
    internal: bool,
}

// === impl Outcome ===

impl Outcome {
    pub(super) fn note(&mut self, refusal: &Refusal) {
        if refusal.is_internal() { self.internal = true } else { self.user = true }
    }

    /// Errors of the caller come first: trying again does not help against them. The caller may ask for another status
    /// where some items succeeded.
    pub(super) fn answer(self, data: Value, fields: &Fields<'_>) -> Result<Response, Fault> {
        let mut response = Response::json(data);
        let status = match (self.user, self.internal) {
            (true, _) => 400,
            (false, true) => 500,
            (false, false) => return Ok(response),
        };
        response.status = Some(status);
        if let (Some(asked), true) = (fields.int("partial_failure_response_code")?, self.succeeded) {
            match u16::try_from(asked).ok().filter(|code| (1..=599).contains(code)) {
                Some(code) => response.status = Some(code),
                None => response.warnings.push(format!(
                    "invalid HTTP response code override from partial_failure_response_code, reverting to {status}"
                )),
            }
        }
        Ok(response)
    }
}

/// The members of `batch_input`; `None`: the request is of one item.
///
/// # Errors
/// It is no list, an empty one or too long.
pub(super) fn members<'d>(fields: &Fields<'d>, prefix: &str) -> Result<Option<&'d [Value]>, Fault> {
    let Some(given) = fields.raw("batch_input") else { return Ok(None) };
    let Value::Array(members) = given else {
        let kind = go_type(given);
        return Err(unparsed(&format!("{prefix}source data must be an array or slice, got {kind}")));
    };
    match members.len() {
        0 => Err(Fault::invalid("missing batch input to process")),
        length if length > MAX_ITEMS => {
            Err(Fault::invalid(format!("batch_input has {length} items; the most is {MAX_ITEMS}")))
        }
        _ => Ok(Some(members)),
    }
}

/// The items of `batch_input`, whose texts are named `name`; `deed` is what a missing one is missing for.
///
/// # Errors
/// Every member that is not as it should be is named.
pub(super) fn items(members: &[Value], name: &str, deed: &str) -> Result<Vec<Item>, Fault> {
    let (mut items, mut wrong) = (Vec::with_capacity(members.len()), Vec::new());
    for (at, member) in members.iter().enumerate() {
        let Value::Object(member) = member else {
            return Err(unparsed(&format!("[{at}] expected a map, got '{}'", go_type(member))));
        };
        if !member.contains_key(name) {
            wrong.push(format!("'[{at}].{name}' missing {name} to {deed}"));
        }
        items.push(item(member, name, at, &mut wrong));
    }
    if wrong.is_empty() { Ok(items) } else { Err(unparsed(&wrong.join("\n"))) }
}

fn item(member: &Map<String, Value>, name: &str, at: usize, wrong: &mut Vec<String>) -> Item {
    let mut text = |field: &str| match member.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            let kind = go_type(other);
            wrong.push(format!("'[{at}].{field}' expected type 'string', got unconvertible type '{kind}'"));
            String::new()
        }
    };
    let (context, text_of, associated, reference) =
        (text("context"), Zeroizing::new(text(name)), text("associated_data"), text("reference"));
    let key_version = match member.get("key_version") {
        None | Some(Value::Null) => 0,
        Some(value) => value.as_i64().unwrap_or_else(|| {
            let kind = go_type(value);
            wrong.push(format!("'[{at}].key_version' expected type 'int', got unconvertible type '{kind}'"));
            0
        }),
    };
    Item { text: text_of, context, key_version, associated, reference }
}

/// The members as maps of texts, as signing takes them; `what` is the server's name for such a map.
///
/// # Errors
/// A member is no map.
pub(super) fn text_maps(members: &[Value], what: &str) -> Result<Vec<Map<String, Value>>, Fault> {
    let map = |(at, member): (usize, &Value)| {
        member.as_object().cloned().ok_or_else(|| {
            let kind = go_type(member);
            unparsed(&format!(
                "decoding failed due to the following error(s):\n\n'[{at}]' expected type 'transit.{what}', got \
                 unconvertible type '{kind}'"
            ))
        })
    };
    members.iter().enumerate().map(map).collect()
}

fn unparsed(why: &str) -> Fault {
    Fault::Internal(format!("failed to parse batch input: {why}"))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "json.Number",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `batch_results`, each with the reference its item had.
pub(super) fn results(results: Vec<Map<String, Value>>) -> Value {
    json!({ "batch_results": results })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_members_are_all_named() {
        for (batch, error) in [
            (json!("x"), "failed to parse batch input: source data must be an array or slice, got string"),
            (json!([]), "missing batch input to process"),
            (json!([5]), "failed to parse batch input: [0] expected a map, got 'json.Number'"),
            (json!([{}]), "failed to parse batch input: '[0].plaintext' missing plaintext to encrypt"),
            (
                json!([{"plaintext": "", "key_version": "1"}, {"plaintext": 5}]),
                "failed to parse batch input: '[0].key_version' expected type 'int', got unconvertible type \
                 'string'\n'[1].plaintext' expected type 'string', got unconvertible type 'json.Number'",
            ),
        ] {
            let data = json!({ "batch_input": batch });
            let fields = Fields::new(data.as_object().unwrap());
            let read =
                members(&fields, "").and_then(|members| items(members.unwrap(), "plaintext", "encrypt"));
            assert_eq!(read.err().unwrap().to_string(), error);
        }
    }

    #[test]
    fn the_status_follows_the_failures() {
        for (user, internal, succeeded, asked, status) in [
            (false, false, true, Value::Null, None),
            (true, true, true, Value::Null, Some(400)),
            (false, true, true, Value::Null, Some(500)),
            (true, false, true, json!(200), Some(200)),
            (true, false, false, json!(200), Some(400)),
            (true, false, true, json!(600), Some(400)),
        ] {
            let data = json!({ "partial_failure_response_code": asked });
            let fields = Fields::new(data.as_object().unwrap());
            let response = Outcome { succeeded, user, internal }.answer(json!({}), &fields).unwrap();
            assert_eq!(response.status, status);
            assert_eq!(response.warnings.len(), usize::from(asked == json!(600)));
        }
    }
}
