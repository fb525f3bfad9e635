//! Values with Vault's coercions: a number may be written as text, a time as seconds or as `1h30m`, a list as one text
//! with commas. What is refused is not quoted when it could be a secret.

use std::time::Duration;

use crate::duration;
use crate::hcl::{Kind, Value};

/// What the value is, after the setting's name, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: String,
}

fn wrong<T>(value: &Value, wanted: &str, help: &str) -> Result<T, Wrong> {
    Err(Wrong { message: format!("{}, not {wanted}", value.is_a()), help: help.to_owned() })
}

pub(super) fn text(value: &Value) -> Result<String, Wrong> {
    match &value.kind {
        Kind::Text(text) => Ok(text.to_string()),
        Kind::Integer(number) => Ok(number.to_string()),
        Kind::Bool(truth) => Ok(truth.to_string()),
        Kind::Null | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => {
            wrong(value, "a string", "write it in quotes")
        }
    }
}

pub(super) fn flag(value: &Value) -> Result<bool, Wrong> {
    let known = match &value.kind {
        Kind::Bool(truth) => Some(*truth),
        Kind::Integer(number) => Some(*number != 0),
        Kind::Text(text) => truth(text),
        Kind::Null | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => None,
    };
    known.map_or_else(|| wrong(value, "a truth value", "write true or false"), Ok)
}

/// Go's words for it.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => Some(false),
        _ => None,
    }
}

pub(super) fn integer(value: &Value) -> Result<i64, Wrong> {
    let number = match &value.kind {
        Kind::Integer(number) => Some(*number),
        Kind::Text(text) => text.trim().parse().ok(),
        Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => None,
    };
    number.map_or_else(|| wrong(value, "a whole number", "write it in digits"), Ok)
}

pub(super) fn time(value: &Value) -> Result<Duration, Wrong> {
    let time = match &value.kind {
        Kind::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Kind::Text(text) if text.is_empty() => Some(Duration::ZERO),
        Kind::Text(text) => duration::parse(text).ok(),
        Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => None,
    };
    time.map_or_else(
        || wrong(value, "a duration", "write seconds or a text such as \"30s\", \"12h\" or \"7d\""),
        Ok,
    )
}

pub(super) fn list(value: &Value) -> Result<Vec<String>, Wrong> {
    match &value.kind {
        Kind::List(values) => values.iter().map(text).collect(),
        Kind::Text(text) => {
            Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
        Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Object(_) => {
            wrong(value, "a list of strings", "write [\"a\", \"b\"]")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hcl;

    fn value(text: &str) -> Value {
        hcl::parse(&format!("a = {text}")).unwrap().attribute("a").unwrap().clone()
    }

    #[test]
    fn truth_has_many_words() {
        for (text, expected) in [
            ("true", Some(true)),
            ("\"TRUE\"", Some(true)),
            ("\"1\"", Some(true)),
            ("1", Some(true)),
            ("0", Some(false)),
            ("\"false\"", Some(false)),
            ("\"yes\"", None),
            ("[]", None),
            ("1.0", None),
        ] {
            assert_eq!(flag(&value(text)).ok(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_seconds_or_text() {
        for (text, expected) in [
            ("90", Some(90_000)),
            ("\"90\"", Some(90_000)),
            ("\"1m30s\"", Some(90_000)),
            ("\"250ms\"", Some(250)),
            ("\"\"", Some(0)),
            ("-1", None),
            ("\"-1s\"", None),
            ("\"soon\"", None),
            ("true", None),
        ] {
            let millis = time(&value(text)).ok().map(|time| time.as_millis());
            assert_eq!(millis, expected, "{text}");
        }
    }

    #[test]
    fn a_list_may_be_a_text() {
        assert_eq!(list(&value("\"a, b,\"")).unwrap(), ["a", "b"]);
        assert_eq!(list(&value("[\"a\", 1]")).unwrap(), ["a", "1"]);
        assert!(list(&value("[[]]")).is_err());
    }

    #[test]
    fn numbers_may_be_texts() {
        assert_eq!(integer(&value("\"0\"")).unwrap(), 0);
        assert_eq!(integer(&value("-1")).unwrap(), -1);
        assert!(integer(&value("1.5")).is_err());
        assert_eq!(text(&value("8200")).unwrap(), "8200");
        assert_eq!(text(&value("{}")).unwrap_err().message, "a block, not a string");
    }
}
