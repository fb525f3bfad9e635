//! JSON that keeps its text: a tree whose numbers and strings are the bytes somebody wrote.
//!
//! A secret may hold a number no `f64` can (`123456789012345678901234567890`, `1.10`); it comes back as it was written.
//! What is written out again has its keys sorted, the last of equal keys, and no blanks: the form the API shows.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// Deepest nesting, as of request bodies.
pub const MAX_DEPTH: usize = 128;

/// The text is not JSON, or nested deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not JSON, or nested too deeply")]
pub struct Malformed;

/// A value of a text. Debug shows no content.
#[derive(Clone, PartialEq, Eq)]
pub enum Node<'t> {
    /// Sorted by key, each key once.
    Object(Vec<(Cow<'t, str>, Self)>),
    List(Vec<Self>),
    /// What stands between the quotes, escapes included.
    Text(&'t str),
    /// A number, `true`, `false` or `null`.
    Word(&'t str),
}

// === impl Node ===

impl<'t> Node<'t> {
    pub const NULL: Self = Node::Word("null");

    /// Reads one value and nothing behind it but blanks.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(text: &'t [u8]) -> Result<Self, Malformed> {
        let (node, mut reader) = Reader::first(text)?;
        reader.skip_blanks();
        if reader.at == text.len() { Ok(node) } else { Err(Malformed) }
    }

    /// Reads the first value and leaves what follows, as the API does with request bodies.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn first(text: &'t [u8]) -> Result<Self, Malformed> {
        Reader::first(text).map(|(node, _)| node)
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Self::NULL
    }

    /// The member of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let members = self.members()?;
        let at = members.binary_search_by(|(known, _)| known.as_ref().cmp(key)).ok()?;
        members.get(at).map(|(_, value)| value)
    }

    /// The members of an object, sorted by key; `None` for anything else.
    #[must_use]
    pub fn members(&self) -> Option<&[(Cow<'t, str>, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            Self::List(_) | Self::Text(_) | Self::Word(_) => None,
        }
    }

    /// Appends the value's text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Object(members) => write_members(members, out),
            Self::List(items) => write_items(items, out),
            Self::Text(inside) => quoted(inside, out),
            Self::Word(word) => out.extend_from_slice(word.as_bytes()),
        }
    }

    /// The value after a JSON merge patch (RFC 7396): `null` removes, objects are merged, all else replaces.
    #[must_use]
    pub fn merged(self, patch: Self) -> Self {
        let Self::Object(changes) = patch else { return patch };
        let mut members = match self {
            Self::Object(members) => members,
            Self::List(_) | Self::Text(_) | Self::Word(_) => Vec::new(),
        };
        for (key, change) in changes {
            match members.binary_search_by(|(known, _)| known.cmp(&key)) {
                Ok(at) if change.is_null() => drop(members.remove(at)),
                Ok(at) => {
                    if let Some((_, slot)) = members.get_mut(at) {
                        *slot = std::mem::replace(slot, Self::NULL).merged(change);
                    }
                }
                Err(_) if change.is_null() => {}
                Err(at) => members.insert(at, (key, Self::NULL.merged(change))),
            }
        }
        Self::Object(members)
    }
}

fn write_members(members: &[(Cow<'_, str>, Node<'_>)], out: &mut Vec<u8>) {
    out.push(b'{');
    for (n, (key, value)) in members.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_key(key, out);
        out.push(b':');
        value.write(out);
    }
    out.push(b'}');
}

fn write_items(items: &[Node<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        item.write(out);
    }
    out.push(b']');
}

fn write_key(key: &str, out: &mut Vec<u8>) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if key.bytes().all(is_plain) {
        return quoted(key, out);
    }
    serde_json::to_writer(out, key).expect("a text has a JSON form and a Vec takes it");
}

fn quoted(inside: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(inside.as_bytes());
    out.push(b'"');
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(members) => write!(f, "Object({} members)", members.len()),
            Self::List(items) => write!(f, "List({} items)", items.len()),
            Self::Text(_) => f.write_str("Text"),
            Self::Word(_) => f.write_str("Word"),
        }
    }
}

/// Reads a text from the left.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

// === impl Reader ===

impl<'t> Reader<'t> {
    fn first(text: &'t [u8]) -> Result<(Node<'t>, Self), Malformed> {
        let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
        let mut reader = Self { text, at: 0 };
        Ok((reader.value(MAX_DEPTH)?, reader))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `wanted`, with blanks before it, if it comes next.
    fn takes(&mut self, wanted: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.takes(wanted) { Ok(()) } else { Err(Malformed) }
    }

    fn since(&self, start: usize) -> Result<&'t str, Malformed> {
        self.text.get(start..self.at).ok_or(Malformed)
    }

    fn value(&mut self, depth: usize) -> Result<Node<'t>, Malformed> {
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(depth.checked_sub(1).ok_or(Malformed)?),
            Some(b'[') => self.list(depth.checked_sub(1).ok_or(Malformed)?),
            Some(b'"') => Ok(Node::Text(self.string()?.0)),
            Some(_) => self.word(),
            None => Err(Malformed),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'t>, Malformed> {
        self.expect(b'{')?;
        let mut members = Vec::new();
        if self.takes(b'}') {
            return Ok(Node::Object(members));
        }
        loop {
            let key = self.key()?;
            self.expect(b':')?;
            members.push((key, self.value(depth)?));
            if self.takes(b'}') {
                return Ok(Node::Object(sorted(members)));
            }
            self.expect(b',')?;
        }
    }

    fn key(&mut self) -> Result<Cow<'t, str>, Malformed> {
        self.skip_blanks();
        let start = self.at;
        match self.string()? {
            (plain, false) => Ok(Cow::Borrowed(plain)),
            (_, true) => serde_json::from_str(self.since(start)?).map(Cow::Owned).map_err(|_| Malformed),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node<'t>, Malformed> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.takes(b']') {
                return Ok(Node::List(items));
            }
            self.expect(b',')?;
        }
    }

    /// What is between the quotes, and whether there are escapes in it.
    fn string(&mut self) -> Result<(&'t str, bool), Malformed> {
        let opening = self.at;
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        self.at += 1;
        let (start, mut escaped) = (self.at, false);
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                0..0x20 => return Err(Malformed),
                _ => self.at += 1,
            }
        }
        let inside = self.since(start)?;
        self.at += 1;
        if escaped {
            check(self.since(opening)?)?;
        }
        Ok((inside, escaped))
    }

    fn word(&mut self) -> Result<Node<'t>, Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'0'..=b'9' | b'E' | b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let word = self.since(start)?;
        check(word)?;
        Ok(Node::Word(word))
    }
}

/// Whether serde_json takes the text; its value is not looked at.
fn check(text: &str) -> Result<(), Malformed> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(drop).map_err(|_| Malformed)
}

/// By key; of equal keys the last, as Go's parser takes them.
fn sorted<'t>(mut members: Vec<(Cow<'t, str>, Node<'t>)>) -> Vec<(Cow<'t, str>, Node<'t>)> {
    if members.is_sorted_by(|(a, _), (b, _)| a < b) {
        return members;
    }
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut kept: Vec<(Cow<'t, str>, Node<'t>)> = Vec::with_capacity(members.len());
    for (key, value) in members {
        match kept.last_mut() {
            Some((last, slot)) if *last == key => *slot = value,
            Some(_) | None => kept.push((key, value)),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn rewritten(text: &str) -> Result<String, Malformed> {
        let mut out = Vec::new();
        Node::parse(text.as_bytes())?.write(&mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn texts_stay_and_keys_are_sorted() {
        for (text, expected) in [
            (r#"{"b":1.10,"a":1E5}"#, r#"{"a":1E5,"b":1.10}"#),
            (
                r#" { "n" : 123456789012345678901234567890 , "z" : -0 } "#,
                r#"{"n":123456789012345678901234567890,"z":-0}"#,
            ),
            (r#"{"a":1,"a":{"y":[1.0, "\u00e9\/"],"x":null}}"#, r#"{"a":{"x":null,"y":[1.0,"\u00e9\/"]}}"#),
            (r#"{"\u0062":1,"a\"":2,"b":3}"#, r#"{"a\"":2,"b":3}"#),
            ("[]", "[]"),
            ("true", "true"),
            (r#""text""#, r#""text""#),
        ] {
            assert_eq!(rewritten(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        for text in [
            "",
            "{",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "[1,]",
            "01",
            "1.",
            "tru",
            "nulll",
            "\"\\x\"",
            "\"a\nb\"",
            "\"open",
            "{\"a\":1,}",
            "+1",
            "--1",
            "\"\\u12\"",
            &deep,
        ] {
            assert_eq!(rewritten(text), Err(Malformed), "{text}");
        }
        assert_eq!(Node::parse(b"\"\xff\""), Err(Malformed));
        assert_eq!(Node::first(b"[1]{\"b\":2}").unwrap(), Node::parse(b"[1]").unwrap());
    }

    #[test]
    fn a_merge_patch_removes_merges_and_replaces() {
        for (base, patch, expected) in [
            (
                r#"{"a":1,"b":{"c":2,"d":3}}"#,
                r#"{"a":null,"b":{"c":null,"e":1.50}}"#,
                r#"{"b":{"d":3,"e":1.50}}"#,
            ),
            (r#"{"k":1}"#, r#"{"n":{"x":null}}"#, r#"{"k":1,"n":{}}"#),
            (r#"{"k":1}"#, "null", "null"),
            ("null", r#"{"a":[null]}"#, r#"{"a":[null]}"#),
            (r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
        ] {
            let (base, patch) =
                (Node::parse(base.as_bytes()).unwrap(), Node::parse(patch.as_bytes()).unwrap());
            let mut out = Vec::new();
            base.merged(patch).write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_is_serde_json_s_own(value in values()) {
            prop_assert_eq!(rewritten(&value.to_string()).unwrap(), value.to_string());
            prop_assert_eq!(rewritten(&format!("{value:#}")).unwrap(), value.to_string());
        }

        #[test]
        fn whatever_is_taken_is_json(text in "[\\[\\]{}:,\"\\\\ua-f0-9.eE+\\- nulltrfs]{0,24}") {
            let taken = rewritten(&text);
            let known = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            prop_assert_eq!(taken.is_ok(), known.is_ok(), "{}", text);
        }
    }
}
