//! Bodies of requests as data: JSON with the tolerance and the words of the server's decoder, or a form.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::http::query_pairs;
use super::json_syntax::{check, check_behind};
use crate::core::answer::Answered;
use crate::json_text::Node;

/// Most nesting of a JSON body; serde's own bound, stated.
pub const MAX_JSON_DEPTH: usize = 128;

/// A body, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Data {
    pub map: Map<String, Value>,
    /// The text the map was read from.
    pub text: Bytes,
}

/// The data of a body; an empty one is an empty object.
///
/// # Errors
/// 400 with the server's words.
pub fn data(headers: &HeaderMap, body: Bytes) -> Result<Data, Answered> {
    if is_form(headers, &body) { form(&body) } else { json(body) }
}

/// The JSON object of a body; an empty one is an empty object.
///
/// # Errors
/// 400 with the server's words.
pub fn json_object(body: &[u8]) -> Result<Map<String, Value>, Answered> {
    json(Bytes::copy_from_slice(body)).map(|data| data.map)
}

fn refused(why: impl std::fmt::Display) -> Answered {
    Answered::errors(400, &format!("failed to decode JSON input: {why}"))
}

fn json(body: Bytes) -> Result<Data, Answered> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Data { map: Map::new(), text: Bytes::new() });
    }
    match first_value(&body) {
        Some((value, behind)) => {
            check_behind(body.get(behind..).unwrap_or_default()).map_err(refused)?;
            Ok(Data { map: object(value)?, text: body })
        }
        None => repaired(&body),
    }
}

/// The first value, and where it ends.
fn first_value(body: &[u8]) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

fn object(value: Value) -> Result<Map<String, Value>, Answered> {
    let kind = match value {
        Value::Object(map) => return Ok(map),
        Value::Null => return Ok(Map::new()),
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
    };
    Err(refused(format_args!(
        "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    )))
}

/// What our parser does not take: most often a mistake; else what the server's decoder takes in its own way.
fn repaired(body: &[u8]) -> Result<Data, Answered> {
    check(body).map_err(refused)?;
    if let Some(number) = number_beyond(body) {
        return Err(refused(format_args!(
            "json: cannot unmarshal number {number} into Go value of type float64"
        )));
    }
    let text = Bytes::from(with_characters(body));
    let too_deep = || refused(format_args!("exceeded max depth of {MAX_JSON_DEPTH}"));
    let (value, _) = first_value(&text).ok_or_else(too_deep)?;
    Ok(Data { map: object(value)?, text })
}

/// The first number that is larger than any `f64`.
fn number_beyond(body: &[u8]) -> Option<String> {
    fn within<'n>(node: &Node<'n>) -> Option<&'n str> {
        match node {
            Node::Object(members) => members.iter().find_map(|(_, value)| within(value)),
            Node::List(items) => items.iter().find_map(within),
            Node::Word(word) => word.parse().is_ok_and(f64::is_infinite).then_some(word),
            Node::Text(_) => None,
        }
    }
    within(&Node::first(body).ok()?).map(str::to_owned)
}

/// The text with U+FFFD for each byte that is no character and each half of a surrogate pair: what the server reads.
fn with_characters(body: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some(first) = rest.first() {
        let length = if *first == b'\\' { escape_length(rest) } else { Some(1) };
        let (taken, left) = rest.split_at_checked(length.unwrap_or(6)).unwrap_or((rest, &[]));
        out.extend_from_slice(if length.is_some() { taken } else { b"\\ufffd" });
        rest = left;
    }
    out
}

/// Bytes of the escape at the beginning of `rest`, of a surrogate pair both; `None`: half of one.
fn escape_length(rest: &[u8]) -> Option<usize> {
    let Some(unit) = escaped_unit(rest) else { return Some(2) };
    let low = || rest.get(6..).and_then(escaped_unit).filter(|low| (0xdc00..0xe000).contains(low));
    match unit {
        0xd800..0xdc00 => low().map(|_| 12),
        0xdc00..0xe000 => None,
        _ => Some(6),
    }
}

/// The number of a `\u` and its four digits.
fn escaped_unit(rest: &[u8]) -> Option<u32> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A form says so, and does not begin like JSON: what command-line tools send has the type of a form, too.
fn is_form(headers: &HeaderMap, body: &[u8]) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (media, parameters) = given.split_once(';').unwrap_or((given, ""));
    let well_formed =
        parameters.split(';').all(|parameter| parameter.trim().is_empty() || parameter.contains('='));
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    media.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && well_formed
        && first.is_some_and(|byte| !matches!(byte, b'{' | b'['))
}

/// Values of one name are joined by commas.
fn form(body: &[u8]) -> Result<Data, Answered> {
    let refused = || Answered::errors(400, "error parsing form data");
    let text = std::str::from_utf8(body).map_err(|_| refused())?;
    if text.contains(';') || !is_escaped_well(text) {
        return Err(refused());
    }
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in query_pairs(text.trim()) {
        match fields.get_mut(&name) {
            Some(known) => {
                known.push(',');
                known.push_str(&value);
            }
            None => drop(fields.insert(name, value)),
        }
    }
    let map: Map<String, Value> = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
    let text = serde_json::to_vec(&map).map_err(|_| refused())?;
    Ok(Data { map, text: Bytes::from(text) })
}

fn is_escaped_well(text: &str) -> bool {
    let is_hex = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    text.split('%').skip(1).all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn read(media: &str, body: &[u8]) -> Result<Value, Answered> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, media.parse().unwrap())]);
        data(&headers, Bytes::copy_from_slice(body)).map(|data| {
            let text: Value = serde_json::from_slice(&data.text).unwrap_or(Value::Object(Map::new()));
            let map = Value::Object(data.map);
            assert!(text == map || text.is_null(), "text and map are the same data");
            map
        })
    }

    #[test]
    fn bodies_are_objects() {
        for (body, value) in [
            (&b" "[..], r#"{}"#),
            (b"null", r#"{}"#),
            (b"{\"a\":1}\n", r#"{"a":1}"#),
            (b"{\"a\":\"\xff\xc3\"}", r#"{"a":"\ufffd\ufffd"}"#),
            (b"{\"a\":\"\\ud800x\\\\\\ud83d\\ude00\\udc00\"}", r#"{"a":"\ufffdx\\\ud83d\ude00\ufffd"}"#),
        ] {
            let value: Value = serde_json::from_str(value).unwrap();
            assert_eq!(read("application/json", body), Ok(value));
        }
        for (body, text) in [
            ("[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
            ("[] x", "invalid character 'x' looking for beginning of value"),
            ("{", "unexpected EOF"),
            ("{bad", "invalid character 'b' looking for beginning of value"),
            ("{}garbage", "invalid character 'g' looking for beginning of value"),
            ("{\"n\":[1e400]}", "json: cannot unmarshal number 1e400 into Go value of type float64"),
        ] {
            let refusal = json_object(body.as_bytes()).unwrap_err();
            assert_eq!(
                refusal,
                Answered::errors(400, &format!("failed to decode JSON input: {text}")),
                "{body}"
            );
        }
        let deep = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(json_object(deep(MAX_JSON_DEPTH - 2).as_bytes()).is_ok());
        assert!(json_object(deep(MAX_JSON_DEPTH).as_bytes()).is_err());
    }

    #[test]
    fn what_follows_the_first_object_may_begin_another() {
        for body in ["{\"a\":1}{\"b\"", "{\"a\":1} []", "{\"a\":1}1"] {
            assert_eq!(json_object(body.as_bytes()).unwrap().len(), 1, "{body}");
        }
    }

    #[test]
    fn forms_are_told_from_json_that_says_it_is_one() {
        for (media, body, value) in [
            (FORM, "a=b&c=d&c=e&x=%20y+z&q", r#"{"a":"b","c":"d,e","x":" y z","q":""}"#),
            (FORM, "null", r#"{"null":""}"#),
            (FORM, " {\"a\":1}", r#"{"a":1}"#),
            (FORM, "", "{}"),
            ("APPLICATION/X-www-form-urlencoded; charset=utf-8", "a=1", r#"{"a":"1"}"#),
        ] {
            assert_eq!(read(media, body.as_bytes()), Ok(serde_json::from_str(value).unwrap()), "{body}");
        }
        for body in ["a=%zz", "a;b=c"] {
            assert_eq!(read(FORM, body.as_bytes()), Err(Answered::errors(400, "error parsing form data")));
        }
        for media in ["text/plain", "", "application/x-www-form-urlencoded;bad"] {
            assert!(read(media, b"a=1").is_err(), "{media}");
        }
    }
}
