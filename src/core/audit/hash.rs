//! Hiding values: HMAC-SHA256 under a device's own salt, so that two devices' lines cannot be joined.

use std::fmt;

use aws_lc_rs::hmac;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::entropy;

/// A device's key.
pub struct Salt(hmac::Key);

impl Salt {
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A fresh key, to be stored with the device.
    #[must_use]
    pub fn generate() -> Zeroizing<Vec<u8>> {
        Zeroizing::new(entropy::bytes::<32>().to_vec())
    }

    /// `hmac-sha256:<hex>`; the empty text stays empty.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        format!("hmac-sha256:{}", hex::encode(hmac::sign(&self.0, text.as_bytes())))
    }

    /// Every text in `value` hidden; numbers, booleans and the names of maps stay, as the real server leaves them.
    #[must_use]
    pub fn hide_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.hide(text)),
            Value::Array(members) => {
                Value::Array(members.iter().map(|member| self.hide_value(member)).collect())
            }
            Value::Object(map) => Value::Object(self.hide_map(map, &[])),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// As [`hide_value`](Self::hide_value), but the top-level names in `clear` (`audit_non_hmac_*_keys`) stay readable.
    #[must_use]
    pub fn hide_map(&self, map: &Map<String, Value>, clear: &[String]) -> Map<String, Value> {
        let hide = |(name, value): (&String, &Value)| {
            let shown = if clear.contains(name) { value.clone() } else { self.hide_value(value) };
            (name.clone(), shown)
        };
        map.iter().map(hide).collect()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_hidden_and_shapes_stay() {
        let salt = Salt::new(b"key");
        let map = json!({"password": "hunter2", "n": 5, "l": ["x", {"y": "z"}], "open": "seen", "b": true});
        let hidden = salt.hide_map(map.as_object().unwrap(), &["open".to_owned()]);
        assert_eq!((&hidden["n"], &hidden["b"], &hidden["open"]), (&json!(5), &json!(true), &json!("seen")));
        assert_eq!(hidden["password"], json!(salt.hide("hunter2")));
        assert_eq!(hidden["l"][1]["y"], json!(salt.hide("z")));
        let text = Value::Object(hidden).to_string();
        assert!(!text.contains("hunter2") && !text.contains("\"x\""));
    }

    #[test]
    fn the_hash_is_plain_hmac() {
        // HMAC-SHA256 with key "key" of "The quick brown fox jumps over the lazy dog".
        let hidden = Salt::new(b"key").hide("The quick brown fox jumps over the lazy dog");
        assert_eq!(hidden, "hmac-sha256:f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
        assert_ne!(Salt::new(b"other").hide("x"), Salt::new(b"key").hide("x"));
        assert_eq!(Salt::new(b"key").hide(""), "");
    }
}
