//! The JSON bodies of these endpoints, which the server reads into its own structs: names in any case, kinds exact.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::core::answer::Answered;
use crate::node::json_body::json_object;

/// A body's fields.
pub(super) struct Fields {
    /// The name of the server's struct, for its errors.
    form: &'static str,
    fields: Map<String, Value>,
}

// === impl Fields ===

impl Fields {
    /// # Errors
    /// 400: not a JSON object.
    pub(super) fn read(body: &[u8], form: &'static str) -> Result<Self, Answered> {
        Ok(Self { form, fields: json_object(body)? })
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// Empty when it is not there.
    ///
    /// # Errors
    /// 400: not a text.
    pub(super) fn text(&self, name: &str) -> Result<Zeroizing<String>, Answered> {
        match self.get(name) {
            None => Ok(Zeroizing::default()),
            Some(Value::String(text)) => Ok(Zeroizing::new(text.clone())),
            Some(other) => Err(self.wrong(name, other, "string")),
        }
    }

    /// # Errors
    /// 400: not a boolean.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Answered> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, other, "bool")),
        }
    }

    /// # Errors
    /// 400: not a whole number.
    pub(super) fn int(&self, name: &str) -> Result<i64, Answered> {
        match self.get(name) {
            None => Ok(0),
            Some(value) => value.as_i64().ok_or_else(|| self.wrong(name, value, "int")),
        }
    }

    /// How many members a list has.
    ///
    /// # Errors
    /// 400: not a list.
    pub(super) fn count(&self, name: &str) -> Result<usize, Answered> {
        match self.get(name) {
            None => Ok(0),
            Some(Value::Array(members)) => Ok(members.len()),
            Some(other) => Err(self.wrong(name, other, "[]string")),
        }
    }

    fn wrong(&self, name: &str, value: &Value, wanted: &str) -> Answered {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let text = format!(
            "failed to decode JSON input: json: cannot unmarshal {kind} into Go struct field {}.{name} of type {wanted}",
            self.form
        );
        Answered::errors(400, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_server_reads_them() {
        let body = br#"{"KEY":"k","n":3,"b":true,"l":["a"],"nothing":null,"bad":1}"#;
        let fields = Fields::read(body, "UnsealRequest").unwrap();
        assert_eq!(fields.text("key").unwrap().as_str(), "k");
        assert_eq!(
            (fields.int("n").unwrap(), fields.flag("b").unwrap(), fields.count("l").unwrap()),
            (3, true, 1)
        );
        assert_eq!((fields.text("nothing").unwrap().as_str(), fields.int("absent").unwrap()), ("", 0));
        let refused = Answered::errors(
            400,
            "failed to decode JSON input: json: cannot unmarshal number into Go struct field UnsealRequest.bad of type string",
        );
        assert_eq!(fields.text("bad").unwrap_err(), refused);
        assert!(Fields::read(b"[]", "UnsealRequest").is_err());
    }
}
