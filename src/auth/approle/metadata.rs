//! Metadata of secret ids: a text that holds pairs in one of three ways.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Pairs of `text`: a JSON object of texts, that in base64, or `key=value` with commas between them.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let text = text.trim();
    let decoded = || STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match serde_json::from_str(text).ok().or_else(decoded) {
        Some(pairs) => Ok(pairs),
        None => text.split(',').filter(|pair| !pair.is_empty()).map(pair).collect(),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "invalid <key,value> format".to_owned())?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || value.is_empty() {
        return Err(format!("invalid <key,value> pair: key: {key:?} value: {value:?}"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_in_three_ways() {
        for text in ["{\"a\":\"b\"}", "eyJhIjoiYiJ9", "a=b", " a = b ,"] {
            assert_eq!(parse(text), Ok([("a".to_owned(), "b".to_owned())].into()), "{text}");
        }
        assert_eq!(parse(""), Ok(BTreeMap::new()));
        for (text, why) in [
            ("notjson", "invalid <key,value> format"),
            ("{\"a\":1}", "invalid <key,value> format"),
            ("[1]", "invalid <key,value> format"),
            ("a=", "invalid <key,value> pair: key: \"a\" value: \"\""),
            ("=b", "invalid <key,value> pair: key: \"\" value: \"b\""),
        ] {
            assert_eq!(parse(text).unwrap_err(), why, "{text}");
        }
    }
}
