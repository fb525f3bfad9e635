//! A JSON value whose maps keep the order they are printed in: fields of an envelope as Vault orders them, everything
//! a server sent by name. It holds secrets, so its `Debug` shows the shape only.

use std::fmt;

use serde_json::{Number, Value};

/// A JSON value with ordered maps.
#[derive(Clone, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

// === impl Tree ===

impl Tree {
    /// The entry of a map; `None` for a missing one and for anything that is no map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Follows `keys` inwards.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |tree, key| tree.get(key))
    }

    /// The entries of a map; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            Self::Null | Self::Number(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text at `key`, empty where there is none.
    #[must_use]
    pub fn text_at(&self, key: &str) -> &str {
        self.get(key).and_then(Self::text).unwrap_or_default()
    }

    /// The integer at `key`, 0 where there is none.
    #[must_use]
    pub fn integer_at(&self, key: &str) -> i64 {
        self.get(key).and_then(Self::integer).unwrap_or_default()
    }

    /// The truth at `key`, false where there is none.
    #[must_use]
    pub fn truth_at(&self, key: &str) -> bool {
        self.get(key).and_then(Self::truth).unwrap_or_default()
    }

    /// The value at `key` or what a Go struct would hold instead.
    #[must_use]
    pub fn or(&self, key: &str, otherwise: Self) -> Self {
        self.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(otherwise)
    }

    /// A map in the order given.
    #[must_use]
    pub fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The same value for `serde_json`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Map(entries) => {
                Value::Object(entries.iter().map(|(name, value)| (name.clone(), value.to_value())).collect())
            }
        }
    }
}

impl From<Value> for Tree {
    /// Maps become sorted by name, as Go prints them.
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(object) => {
                let mut entries: Vec<_> =
                    object.into_iter().map(|(name, value)| (name, Self::from(value))).collect();
                entries.sort_by(|left, right| left.0.cmp(&right.0));
                Self::Map(entries)
            }
        }
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Tree {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Tree {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Number(_) => f.write_str("Number"),
            Self::Text(_) => f.write_str("Text"),
            Self::List(items) => write!(f, "List of {}", items.len()),
            Self::Map(entries) => write!(f, "Map of {}", entries.len()),
        }
    }
}
