//! Parameters out of a request's data, with Vault's coercions: a number may come as text, a list as text with commas.
//!
//! The texts of the errors are the framework's of the real server: `Field validation failed: error converting input for
//! field "ttl": ...`.

use std::collections::BTreeMap;
use std::num::{IntErrorKind, ParseIntError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::response::Fault;
use super::route::{Field, FieldKind};

/// Typed access to the data of a request.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'d> {
    data: &'d Map<String, Value>,
    /// Before the text of every error.
    prefix: &'static str,
}

impl<'d> Fields<'d> {
    #[must_use]
    pub fn new(data: &'d Map<String, Value>) -> Self {
        Self { data, prefix: "Field validation failed: " }
    }

    /// For the question whether something exists: there the server says what is wrong without the first words.
    #[must_use]
    pub fn of_existence_check(data: &'d Map<String, Value>) -> Self {
        Self { data, prefix: "" }
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
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err(self.convert(name, &unconvertible("string", value)))
            }
        }
    }

    /// # Errors
    /// Not a boolean: `true`, `1`, `"t"`, `"TRUE"` and their opposites are.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let parsed = match value {
            Value::Bool(flag) => Ok(*flag),
            Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
            Value::String(text) => go_bool(text).ok_or_else(|| {
                "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax".to_owned()
            }),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(unconvertible("bool", value)),
        };
        parsed.map(Some).map_err(|why| self.convert(name, &why))
    }

    /// # Errors
    /// Not a whole number of 64 bits.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        go_int(value).map(Some).map_err(|why| self.convert(name, &format!("'' {why}")))
    }

    /// A number, or its text.
    ///
    /// # Errors
    /// It is none.
    pub fn float(&self, name: &str) -> Result<Option<f64>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let parsed = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        parsed.map(Some).ok_or_else(|| {
            let why = "'' cannot parse value as 'float64': strconv.ParseFloat: invalid syntax";
            self.convert(name, why)
        })
    }

    /// A list of whole numbers, or one text with commas between them, or a single number.
    ///
    /// # Errors
    /// One of them is none; the text names the first.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let split = |text: &str| text.split(',').map(Value::from).collect();
        let members = match value {
            Value::Array(members) => members.clone(),
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) => split(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.clone()],
        };
        let parsed = members.iter().enumerate().map(|(at, member)| {
            go_int(member).map_err(|why| {
                self.convert(
                    name,
                    &format!("decoding failed due to the following error(s):\n\n'[{at}]' {why}"),
                )
            })
        });
        parsed.collect::<Result<_, _>>().map(Some)
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
        let parsed = go_duration(value).and_then(|(negative, duration)| match negative {
            true => Err(format!("cannot provide negative value '-{}'", duration.as_secs())),
            false => Ok(duration),
        });
        parsed.map(Some).map_err(|why| self.convert(name, &why))
    }

    /// A duration that may be negative, in whole seconds.
    ///
    /// # Errors
    /// Not a duration.
    pub fn signed_seconds(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let (negative, duration) = go_duration(value).map_err(|why| self.convert(name, &why))?;
        let secs = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Ok(Some(if negative { -secs } else { secs }))
    }

    /// Looks at every declared field that was given, as the framework does before a handler runs.
    ///
    /// # Errors
    /// A number, flag, duration or map is none.
    pub fn check(&self, declared: &[Field]) -> Result<(), Fault> {
        let given = |field: &&Field| self.has(field.name);
        if self.data.is_empty() {
            return Ok(());
        }
        declared.iter().filter(given).try_for_each(|field| match field.kind {
            FieldKind::Int => self.int(field.name).map(drop),
            FieldKind::Bool => self.flag(field.name).map(drop),
            FieldKind::DurationSecs => self.duration(field.name).map(drop),
            FieldKind::Map => self.map(field.name).map(drop),
            FieldKind::Float => self.float(field.name).map(drop),
            FieldKind::String
            | FieldKind::LowerString
            | FieldKind::Name
            | FieldKind::CommaList
            | FieldKind::List
            | FieldKind::KvPairs
            | FieldKind::Time
            | FieldKind::Any
            | FieldKind::Rest => Ok(()),
        })
    }

    /// A list of text, or one text with commas; blanks around are dropped, empty members too.
    ///
    /// # Errors
    /// A map was given.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let Some(value) = self.data.get(name) else { return Ok(None) };
        let members = match value {
            Value::Array(members) => members.iter().map(plain_text).collect::<Option<Vec<_>>>(),
            Value::String(text) => Some(text.split(',').map(str::to_owned).collect()),
            Value::Number(_) | Value::Bool(_) => plain_text(value).map(|text| vec![text]),
            Value::Null => Some(Vec::new()),
            Value::Object(_) => None,
        };
        let members = members.ok_or_else(|| self.convert(name, "expected a list of strings"))?;
        Ok(Some(
            members
                .iter()
                .map(|member| member.trim().to_owned())
                .filter(|member| !member.is_empty())
                .collect(),
        ))
    }

    /// A list of text, or one text as it is, commas and all; blanks around are dropped.
    ///
    /// # Errors
    /// A map was given.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        match self.raw(name) {
            Some(Value::String(text)) => Ok(Some(vec![text.trim().to_owned()])),
            _ => self.list(name),
        }
    }

    /// # Errors
    /// Not a map.
    pub fn map(&self, name: &str) -> Result<Option<&'d Map<String, Value>>, Fault> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(self.convert(name, &not_a_map(other))),
        }
    }

    /// A map of text to text, a list of `key=value`, or one such.
    ///
    /// # Errors
    /// Neither.
    pub fn pairs(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let one = |at: usize, pair: &Value| {
            split_pair(pair).ok_or_else(|| {
                self.convert(name, &format!("invalid key pair at index {at} in field \"{name}\""))
            })
        };
        let pairs: Result<_, Fault> = match value {
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| Some((key.clone(), plain_text(value)?)))
                .collect::<Option<_>>()
                .ok_or_else(|| self.convert(name, "expected a map of strings")),
            Value::Array(members) => members.iter().enumerate().map(|(at, pair)| one(at, pair)).collect(),
            Value::String(text) if text.is_empty() => Ok(BTreeMap::new()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                one(0, value).map(|pair| BTreeMap::from([pair]))
            }
        };
        pairs.map(Some)
    }

    fn convert(&self, name: &str, why: &str) -> Fault {
        Fault::Invalid(format!("{}error converting input for field \"{name}\": {why}", self.prefix))
    }
}

/// `key=value`, with whatever stands around the first `=`.
fn split_pair(pair: &Value) -> Option<(String, String)> {
    pair.as_str()?.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(if *flag { "1" } else { "0" }.to_owned()),
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

/// A duration and whether it is below zero, or what is wrong with it.
fn go_duration(value: &Value) -> Result<(bool, Duration), String> {
    let vague = || "could not parse duration from input".to_owned();
    match value {
        Value::Number(number) => {
            let secs = number.as_f64().ok_or_else(vague)?;
            let length = Duration::try_from_secs_f64(secs.abs()).map_err(|_| vague())?;
            Ok((secs < 0.0, length))
        }
        Value::String(text) if text.is_empty() => Ok((false, Duration::ZERO)),
        Value::String(text) => {
            let (negative, length) = text.strip_prefix('-').map_or((false, &**text), |length| (true, length));
            let length =
                crate::duration::parse(length).map_err(|_| format!("time: invalid duration {text:?}"))?;
            Ok((negative && !length.is_zero(), length))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(vague()),
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

fn unconvertible(wanted: &str, value: &Value) -> String {
    format!("'' expected type '{wanted}', got unconvertible type '{}'", go_type(value))
}

/// A list is tried member by member, so it is its first member that is no map.
fn not_a_map(value: &Value) -> String {
    const MAP: &str = "map[string]interface {}";
    match value {
        Value::Array(members) => match members.first() {
            Some(first) => unconvertible(MAP, first).replacen("''", "'[0]'", 1),
            None => unconvertible(MAP, value),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            unconvertible(MAP, value)
        }
    }
}

/// A whole number the way the server's decoder takes one, or what is wrong with it.
fn go_int(value: &Value) -> Result<i64, String> {
    let syntax = || "cannot parse value as 'int': strconv.ParseInt: invalid syntax".to_owned();
    let parsed = |text: &str| {
        text.parse().map_err(|error: ParseIntError| {
            let beyond = matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow);
            if beyond {
                "cannot parse value as 'int': strconv.ParseInt: value out of range".to_owned()
            } else {
                syntax()
            }
        })
    };
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)).ok_or_else(syntax),
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => parsed(text),
        Value::Bool(flag) => Ok(i64::from(*flag)),
        Value::Null => Ok(0),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("expected type 'int', got unconvertible type '{}'", go_type(value)))
        }
    }
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

    #[test]
    fn errors_are_in_the_servers_words() {
        let data = json!({"t": "x", "n": 1, "l": [1], "o": {}, "big": "99999999999999999999", "v": ["1", "x"],
            "neg": "-5s"});
        let declared = Field { name: "t", kind: FieldKind::Int, description: "" };
        let fields = Fields::new(data.as_object().unwrap());
        let syntax = "cannot parse value as 'int': strconv.ParseInt: invalid syntax";
        for (fault, text) in [
            (fields.int("t").unwrap_err(), format!("\"t\": '' {syntax}")),
            (fields.int("big").unwrap_err(), "\"big\": '' cannot parse value as 'int': strconv.ParseInt: value out of range".into()),
            (fields.int("l").unwrap_err(), "\"l\": '' expected type 'int', got unconvertible type '[]interface {}'".into()),
            (fields.ints("v").unwrap_err(), format!("\"v\": decoding failed due to the following error(s):\n\n'[1]' {syntax}")),
            (fields.ints("o").unwrap_err(), "\"o\": decoding failed due to the following error(s):\n\n'[0]' expected type 'int', got unconvertible type 'map[string]interface {}'".into()),
            (fields.flag("t").unwrap_err(), "\"t\": '' cannot parse value as 'bool': strconv.ParseBool: invalid syntax".into()),
            (fields.seconds("t").unwrap_err(), "\"t\": time: invalid duration \"x\"".into()),
            (fields.seconds("l").unwrap_err(), "\"l\": could not parse duration from input".into()),
            (fields.seconds("neg").unwrap_err(), "\"neg\": cannot provide negative value '-5'".into()),
            (fields.check(&[declared]).unwrap_err(), format!("\"t\": '' {syntax}")),
            (fields.map("t").unwrap_err(), "\"t\": '' expected type 'map[string]interface {}', got unconvertible type 'string'".into()),
            (fields.map("l").unwrap_err(), "\"l\": '[0]' expected type 'map[string]interface {}', got unconvertible type 'json.Number'".into()),
        ] {
            assert_eq!(fault.to_string(), format!("Field validation failed: error converting input for field {text}"));
        }
        assert_eq!(fields.signed_seconds("neg").unwrap(), Some(-5));
        let plain = Fields::of_existence_check(data.as_object().unwrap()).int("t").unwrap_err();
        assert_eq!(plain.to_string(), format!("error converting input for field \"t\": '' {syntax}"));
    }

    #[test]
    fn whole_numbers_come_in_lists() {
        let data = json!({"a": [1, "2", 3.0], "t": "4,5", "n": 6, "e": [], "s": ""});
        let fields = Fields::new(data.as_object().unwrap());
        for (name, numbers) in
            [("a", vec![1, 2, 3]), ("t", vec![4, 5]), ("n", vec![6]), ("e", vec![]), ("s", vec![])]
        {
            assert_eq!(fields.ints(name).unwrap().unwrap(), numbers, "{name}");
        }
    }
}
