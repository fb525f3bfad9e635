//! `custom_metadata`: what it may hold, in the server's words.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::logical::Fault;

const MAX_KEYS: usize = 64;
const MAX_KEY_BYTES: usize = 128;
const MAX_VALUE_BYTES: usize = 512;
const FAILED: &str = "custom_metadata validation failed";

/// The whole map of a write: numbers and flags become text, `null` an empty one.
pub(super) fn whole(given: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    let texts = given.iter().map(|(key, value)| Ok((key.clone(), text(value)?)));
    let custom = texts.collect::<Result<_, Fault>>()?;
    check(&custom)?;
    Ok(custom)
}

/// What a patch adds: asked before it is known whether there is something to patch.
pub(super) fn check_patch(given: &Map<String, Value>) -> Result<(), Fault> {
    let added = given.iter().filter(|(_, value)| !value.is_null());
    let texts = added.map(|(key, value)| Ok((key.clone(), text(value)?)));
    check(&texts.collect::<Result<_, Fault>>()?)
}

/// Changes `custom` as a merge patch does: `null` removes.
///
/// # Errors
/// A value is no text. A write takes numbers for texts, a patch does not, and the server calls that its own error.
pub(super) fn patch(custom: &mut BTreeMap<String, String>, given: &Map<String, Value>) -> Result<(), Fault> {
    for (key, value) in given {
        match value {
            Value::String(text) => drop(custom.insert(key.clone(), text.clone())),
            Value::Null => drop(custom.remove(key)),
            Value::Bool(_) => return Err(no_text("bool", key)),
            Value::Number(_) => return Err(no_text("number", key)),
            Value::Array(_) | Value::Object(_) => return Err(no_text("object", key)),
        }
    }
    Ok(())
}

fn no_text(kind: &str, key: &str) -> Fault {
    Fault::Internal(format!(
        "json: cannot unmarshal {kind} into Go struct field .custom_metadata.{key} of type string"
    ))
}

fn text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(if *flag { "1" } else { "0" }.to_owned()),
        Value::Null => Ok(String::new()),
        Value::Array(_) => Err(unconvertible("[]interface {}")),
        Value::Object(_) => Err(unconvertible("map[string]interface {}")),
    }
}

fn unconvertible(kind: &str) -> Fault {
    Fault::invalid(format!("{FAILED}: '' expected type 'string', got unconvertible type '{kind}'"))
}

fn check(custom: &BTreeMap<String, String>) -> Result<(), Fault> {
    let mut errors = Vec::new();
    if custom.len() > MAX_KEYS {
        errors.push(format!("payload must contain at most {MAX_KEYS} keys, provided {}", custom.len()));
    } else {
        custom.iter().for_each(|(key, value)| check_pair(key, value, &mut errors));
    }
    match errors.len() {
        0 => Ok(()),
        1 => Err(Fault::invalid(format!("1 error occurred:\n{}\n", lines(&errors)))),
        count => Err(Fault::invalid(format!("{count} errors occurred:\n{}\n", lines(&errors)))),
    }
}

fn lines(errors: &[String]) -> String {
    errors.iter().fold(String::new(), |mut text, error| {
        writeln!(text, "\t* {FAILED}: {error}").expect("a String takes text");
        text
    })
}

fn check_pair(key: &str, value: &str, errors: &mut Vec<String>) {
    let quoted = go_quoted(key);
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        errors.push(format!(
            "length of key {quoted} is {} but must be 0 < len(key) <= {MAX_KEY_BYTES}",
            key.len()
        ));
    }
    if value.is_empty() || value.len() > MAX_VALUE_BYTES {
        errors.push(format!(
            "length of value for key {quoted} is {} but must be 0 < len(value) <= {MAX_VALUE_BYTES}",
            value.len()
        ));
    }
    if !key.chars().all(is_printable) {
        errors.push(format!("key {quoted} ({key}) contains unprintable characters"));
    }
    if !value.chars().all(is_printable) {
        errors.push(format!("value for key {quoted} contains unprintable characters"));
    }
}

/// Of all blanks only the plain one is.
fn is_printable(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace())
}

/// As Go's `%q`, for what a key may hold.
fn go_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if u32::from(c) < 0x80 && c.is_control() => {
                write!(quoted, "\\x{:02x}", u32::from(c)).expect("a String takes text");
            }
            c if !is_printable(c) => write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes text"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(given: Value) -> String {
        whole(given.as_object().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn bounds_are_told_in_the_servers_words() {
        let long = |length| "k".repeat(length);
        for (given, texts) in [
            (json!({"": "x"}), vec!["length of key \"\" is 0 but must be 0 < len(key) <= 128".to_owned()]),
            (
                json!({"c": null}),
                vec!["length of value for key \"c\" is 0 but must be 0 < len(value) <= 512".into()],
            ),
            (
                json!({"x": long(513)}),
                vec!["length of value for key \"x\" is 513 but must be 0 < len(value) <= 512".into()],
            ),
            (
                json!({long(129): "v"}),
                vec![format!("length of key \"{}\" is 129 but must be 0 < len(key) <= 128", long(129))],
            ),
            (
                json!({"\u{2}z": "1", "y": "a\u{1}b"}),
                vec![
                    "key \"\\x02z\" (\u{2}z) contains unprintable characters".into(),
                    "value for key \"y\" contains unprintable characters".into(),
                ],
            ),
        ] {
            let count =
                if texts.len() == 1 { "1 error".to_owned() } else { format!("{} errors", texts.len()) };
            assert_eq!(refusal(given), format!("{count} occurred:\n{}\n", lines(&texts)));
        }
        let many: Map<String, Value> = (0..65).map(|n| (n.to_string(), json!("v"))).collect();
        assert!(refusal(Value::Object(many)).contains("payload must contain at most 64 keys, provided 65"));
        assert_eq!(
            refusal(json!({"a": {"nested": 1}})),
            "custom_metadata validation failed: '' expected type 'string', got unconvertible type \
             'map[string]interface {}'"
        );
    }

    #[test]
    fn a_patch_adds_removes_and_takes_texts_only() {
        let mut custom = whole(json!({"a": 1, "b": true}).as_object().unwrap()).unwrap();
        patch(&mut custom, json!({"a": null, "c": "3"}).as_object().unwrap()).unwrap();
        assert_eq!(custom, [("b", "1"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        let fault = patch(&mut custom, json!({"a": 1}).as_object().unwrap()).unwrap_err();
        assert!(
            matches!(fault, Fault::Internal(text) if text.contains("number into Go struct field .custom_metadata.a"))
        );
    }
}
