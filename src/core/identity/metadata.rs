//! Bounds of what operators may write beside an entity, a group or an alias: the server's, in its words, and with its
//! status: it calls these errors its own.

use std::collections::BTreeMap;

use crate::logical::Fault;

/// Most pairs.
const MAX_PAIRS: usize = 64;
/// Longest key, in bytes.
const MAX_KEY: usize = 128;
/// Longest value, in bytes.
const MAX_VALUE: usize = 512;

pub(super) type Pairs = BTreeMap<String, String>;

/// Metadata of an entity or a group; `whose` is one of them.
///
/// # Errors
/// Too many pairs, or one that is not allowed.
pub(super) fn check(whose: &str, pairs: &Pairs) -> Result<(), Fault> {
    if pairs.len() > MAX_PAIRS {
        let text = format!("metadata cannot contain more than {MAX_PAIRS} key/value pairs");
        return Err(Fault::Internal(format!("invalid {whose} metadata: {text}")));
    }
    let wrong = pairs.iter().find_map(|(key, value)| Some((key, value, wrong_pair(key, value)?)));
    match wrong {
        None => Ok(()),
        Some((key, value, why)) => Err(Fault::Internal(format!(
            "invalid {whose} metadata: failed to load metadata pair ({key:?}, {value:?}): {why}"
        ))),
    }
}

fn wrong_pair(key: &str, value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"=/+_-".contains(&byte);
    match () {
        () if key.is_empty() => Some("key cannot be blank".to_owned()),
        () if !key.bytes().all(allowed) => Some("key contains invalid characters".to_owned()),
        () if key.len() > MAX_KEY => Some(format!("key is too long (limit: {MAX_KEY} characters)")),
        () if value.len() > MAX_VALUE => Some(format!("value is too long (limit: {MAX_VALUE} characters)")),
        () => None,
    }
}

/// Custom metadata of an alias.
///
/// # Errors
/// Too many pairs, or one that is not allowed.
pub(super) fn check_custom(pairs: &Pairs) -> Result<(), Fault> {
    let wrong = if pairs.len() > MAX_PAIRS {
        Some(format!("payload must contain at most {MAX_PAIRS} keys, provided {}", pairs.len()))
    } else {
        pairs.iter().find_map(|(key, value)| wrong_custom(key, value))
    };
    match wrong {
        None => Ok(()),
        Some(why) => Err(Fault::Internal(format!("custom_metadata validation failed: {why}"))),
    }
}

fn wrong_custom(key: &str, value: &str) -> Option<String> {
    let printable = |text: &str| !text.chars().any(char::is_control);
    match () {
        () if key.is_empty() || key.len() > MAX_KEY => {
            Some(format!("length of key {key:?} is {} but must be 0 < len(key) <= {MAX_KEY}", key.len()))
        }
        () if value.is_empty() || value.len() > MAX_VALUE => Some(format!(
            "length of value for key {key:?} is {} but must be 0 < len(value) <= {MAX_VALUE}",
            value.len()
        )),
        () if !printable(key) => Some(format!("key {key:?} ({key}) contains unprintable characters")),
        () if !printable(value) => Some(format!("value for key {key:?} contains unprintable characters")),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(key: &str, value: &str) -> Pairs {
        [(key.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn metadata_is_bounded() {
        for (key, value, why) in [
            ("", "v", Some("(\"\", \"v\"): key cannot be blank")),
            ("a b", "v", Some("(\"a b\", \"v\"): key contains invalid characters")),
            ("a=b/c+_-9", "any é", None),
        ] {
            let text = check("entity", &pairs(key, value)).err().map(|fault| fault.to_string());
            let wanted =
                why.map(|why| format!("invalid entity metadata: failed to load metadata pair {why}"));
            assert_eq!(text, wanted, "{key}");
        }
        assert!(check("group", &pairs(&"k".repeat(129), "v")).is_err());
        assert!(check("group", &pairs("k", &"v".repeat(513))).is_err());
        assert!(check("group", &(0..65).map(|n| (n.to_string(), String::new())).collect()).is_err());
    }

    #[test]
    fn custom_metadata_is_bounded() {
        for (key, value, why) in [
            ("x", "", "length of value for key \"x\" is 0 but must be 0 < len(value) <= 512"),
            ("", "b", "length of key \"\" is 0 but must be 0 < len(key) <= 128"),
            ("k", "a\u{1}b", "value for key \"k\" contains unprintable characters"),
        ] {
            let text = check_custom(&pairs(key, value)).unwrap_err().to_string();
            assert_eq!(text, format!("custom_metadata validation failed: {why}"));
        }
        assert!(check_custom(&pairs("a b", "b")).is_ok());
    }
}
