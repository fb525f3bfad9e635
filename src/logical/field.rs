//! Parameters out of a request's data, with Vault's coercions: a number may come as text, a list as text with commas.
//!
//! The texts of the errors are the framework's of the real server: `Field validation failed: error converting input for
//! field "ttl": ...`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::response::Fault;

/// Typed access to the data of a request.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'d> {
    data: &'d Map<String, Value>,
}

impl<'d> Fields<'d> {
    #[must_use]
    pub fn new(data: &'d Map<String, Value>) -> Self {
        Self { data }
    }

    /// Whether the field was given, and not as `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'d Value> {
        self.data.get(name).filter(|value| !value.is_null())
    }

    /// Text; numbers and booleans are taken as their text.
    ///
    /// # Errors
    /// A list or map was given.
    pub fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        match value {
            Value::String(text) => Ok(Some(text.clone())),
            Value::Number(number) => Ok(Some(number.to_string())),
            Value::Bool(flag) => Ok(Some(if *flag { "1" } else { "0" }.to_owned())),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(convert(
                name,
                &format!("'' expected type 'string', got unconvertible type '{}'", go_type(value)),
            )),
        }
    }

    /// # Errors
    /// Not a boolean: `true`, `1`, `"t"`, `"TRUE"` and their opposites are.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let parsed = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_f64().map(|number| number != 0.0),
            Value::String(text) => go_bool(text),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        parsed.map(Some).ok_or_else(|| convert(name, "cannot parse '' as bool"))
    }

    /// # Errors
    /// Not a whole number.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let parsed = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) if text.is_empty() => Some(0),
            Value::String(text) => text.parse().ok(),
            Value::Bool(flag) => Some(i64::from(*flag)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        parsed.map(Some).ok_or_else(|| convert(name, "cannot parse '' as int"))
    }

    /// A duration in whole seconds: a number of seconds, or Go's or Vault's text (`1h30m`, `7d`).
    ///
    /// # Errors
    /// Not a duration, or negative.
    pub fn seconds(&self, name: &str) -> Result<Option<u64>, Fault> {
        Ok(self.duration(name)?.map(|duration| duration.as_secs()))
    }

    /// As [`seconds`](Self::seconds), in full.
    ///
    /// # Errors
    /// Not a duration, or negative.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let parsed = match value {
            Value::Number(number) => number.as_f64().and_then(|secs| Duration::try_from_secs_f64(secs).ok()),
            Value::String(text) if text.is_empty() => Some(Duration::ZERO),
            Value::String(text) => crate::duration::parse(text).ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        parsed.map(Some).ok_or_else(|| convert(name, "could not parse duration"))
    }

    /// A list of text, or one text with commas; blanks around are dropped, empty members too.
    ///
    /// # Errors
    /// A map was given.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let members = match value {
            Value::Array(members) => members.iter().map(plain_text).collect::<Option<Vec<_>>>(),
            Value::String(text) => Some(text.split(',').map(str::to_owned).collect()),
            Value::Number(_) | Value::Bool(_) => plain_text(value).map(|text| vec![text]),
            Value::Null | Value::Object(_) => None,
        };
        let members = members.ok_or_else(|| convert(name, "expected a list of strings"))?;
        Ok(Some(
            members
                .iter()
                .map(|member| member.trim().to_owned())
                .filter(|member| !member.is_empty())
                .collect(),
        ))
    }

    /// # Errors
    /// Not a map.
    pub fn map(&self, name: &str) -> Result<Option<&'d Map<String, Value>>, Fault> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(convert(name, &format!("'' expected a map, got '{}'", go_kind(other)))),
        }
    }

    /// A map of text to text, or a list of `key=value`.
    ///
    /// # Errors
    /// Neither.
    pub fn pairs(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let pairs = match value {
            Value::Object(map) => {
                map.iter().map(|(key, value)| Some((key.clone(), plain_text(value)?))).collect()
            }
            Value::Array(members) => members.iter().map(|member| split_pair(member.as_str()?)).collect(),
            Value::String(text) => text.split(',').filter(|pair| !pair.is_empty()).map(split_pair).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        };
        pairs.map(Some).ok_or_else(|| convert(name, "expected a map of strings"))
    }
}

fn split_pair(pair: &str) -> Option<(String, String)> {
    pair.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within the exact range of f64")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// `strconv.ParseBool`.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => Some(false),
        _ => None,
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "json.Number",
        Value::String(_) => "string",
    }
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(_) | Value::String(_) => "string",
    }
}

fn convert(name: &str, why: &str) -> Fault {
    Fault::Invalid(format!("Field validation failed: error converting input for field \"{name}\": {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_taken_in_every_form_the_server_takes() {
        let data = json!({"n": "7", "f": 2.0, "b": "true", "d": "1h", "s": 90, "l": "a, b,", "a": ["x", 1], "m": {"k": "v"},
            "p": ["a=b"], "t": 5, "null": null});
        let fields = Fields::new(data.as_object().unwrap());
        assert_eq!(fields.int("n").unwrap(), Some(7));
        assert_eq!(fields.int("f").unwrap(), Some(2));
        assert_eq!(fields.flag("b").unwrap(), Some(true));
        assert_eq!(fields.seconds("d").unwrap(), Some(3600));
        assert_eq!(fields.seconds("s").unwrap(), Some(90));
        assert_eq!(fields.list("l").unwrap().unwrap(), ["a", "b"]);
        assert_eq!(fields.list("a").unwrap().unwrap(), ["x", "1"]);
        assert_eq!(fields.pairs("m").unwrap().unwrap().get("k").unwrap(), "v");
        assert_eq!(fields.pairs("p").unwrap().unwrap().get("a").unwrap(), "b");
        assert_eq!(fields.text("t").unwrap().unwrap(), "5");
        assert!(!fields.has("null") && fields.text("absent").unwrap().is_none());
        assert!(fields.int("d").is_err() && fields.map("n").is_err() && fields.seconds("l").is_err());
    }
}
