//! Hiding values: HMAC-SHA256 under a device's own salt, so that two devices' lines cannot be joined.

use std::fmt;

use aws_lc_rs::hmac;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::entropy;

/// Shortest RFC 3339 moment: `2026-11-23T02:54:22Z`.
const SHORTEST_MOMENT: usize = 20;

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

    /// `hmac-sha256:<hex>`.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        format!("hmac-sha256:{}", hex::encode(hmac::sign(&self.0, text.as_bytes())))
    }

    /// Every text below `map` hidden but those whose nearest name is in `clear` (`audit_non_hmac_*_keys`) and moments in
    /// RFC 3339; numbers, booleans and the names of maps stay, as the real server leaves them.
    #[must_use]
    pub fn hide_map(&self, map: &Map<String, Value>, clear: &[String]) -> Map<String, Value> {
        let hide = |(name, value): (&String, &Value)| {
            (name.clone(), self.hide_value(value, clear, clear.contains(name)))
        };
        map.iter().map(hide).collect()
    }

    fn hide_value(&self, value: &Value, clear: &[String], is_clear: bool) -> Value {
        match value {
            Value::String(text) if is_clear || is_moment(text) => value.clone(),
            Value::String(text) => Value::String(self.hide(text)),
            Value::Array(members) => {
                members.iter().map(|member| self.hide_value(member, clear, is_clear)).collect()
            }
            Value::Object(map) => Value::Object(self.hide_map(map, clear)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

fn is_moment(text: &str) -> bool {
    text.len() >= SHORTEST_MOMENT
        && text.starts_with(|c: char| c.is_ascii_digit())
        && OffsetDateTime::parse(text, &Rfc3339).is_ok()
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
        let map = json!({
            "password": "hunter2", "n": 5, "l": ["x", {"y": "z"}], "b": true, "empty": "", "nothing": null,
            "at": "2020-01-01T00:00:00.5Z", "almost": "2020-01-01 00:00:00",
        });
        let hidden = salt.hide_map(map.as_object().unwrap(), &[]);
        for (pointer, shown) in [
            ("/password", json!(salt.hide("hunter2"))),
            ("/n", json!(5)),
            ("/l/0", json!(salt.hide("x"))),
            ("/l/1/y", json!(salt.hide("z"))),
            ("/b", json!(true)),
            ("/empty", json!(salt.hide(""))),
            ("/nothing", Value::Null),
            ("/at", json!("2020-01-01T00:00:00.5Z")),
            ("/almost", json!(salt.hide("2020-01-01 00:00:00"))),
        ] {
            assert_eq!(Value::Object(hidden.clone()).pointer(pointer), Some(&shown), "{pointer}");
        }
    }

    #[test]
    fn clear_names_are_those_nearest_to_the_text() {
        let salt = Salt::new(b"key");
        let map = json!({"open": "a", "deep": {"open": ["b"]}, "list": [{"open": "c"}], "over": {"x": "d"}});
        let clear = ["open".to_owned(), "over".to_owned()];
        let hidden = Value::Object(salt.hide_map(map.as_object().unwrap(), &clear));
        let expected = json!({"open": "a", "deep": {"open": ["b"]}, "list": [{"open": "c"}], "over": {"x": salt.hide("d")}});
        assert_eq!(hidden, expected);
    }

    #[test]
    fn the_hash_is_plain_hmac() {
        // HMAC-SHA256 with key "key" of "The quick brown fox jumps over the lazy dog".
        let hidden = Salt::new(b"key").hide("The quick brown fox jumps over the lazy dog");
        assert_eq!(hidden, "hmac-sha256:f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
        assert_ne!(Salt::new(b"other").hide("x"), Salt::new(b"key").hide("x"));
    }
}
