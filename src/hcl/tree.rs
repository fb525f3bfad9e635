//! What a document says: bodies of items, each with its keys, its value and its place.
//!
//! Keys may repeat and every item is kept, in order: whether a second one adds or replaces is the reader's rule.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::Error;

/// Deepest nesting of objects and lists.
pub const DEPTH_MAX: usize = 64;

/// A stretch of one line. Lines and columns count from 1, in characters; line 0 is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub line: usize,
    pub column: usize,
    /// Characters meant, at least 1; what goes on over several lines is shown by its beginning.
    pub width: usize,
}

/// The inside of an object, or a whole document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body {
    pub items: Vec<Item>,
}

/// `key = value`, or `key "label" ... { ... }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The key, then the labels. Invariant: never empty.
    keys: Vec<Key>,
    /// Where the `=` (JSON: the `:`) stands; none where a block follows its keys at once.
    pub assign: Option<Span>,
    pub value: Value,
}

/// A key or a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub text: Arc<str>,
    pub span: Span,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub kind: Kind,
    pub span: Span,
}

/// What a value is. `Debug` shows no text: it may be a key.
#[derive(Clone, PartialEq)]
pub enum Kind {
    /// JSON only.
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// Wiped when dropped, as a configuration may hold key material. `${...}` is kept as it is written.
    Text(Zeroizing<String>),
    List(Vec<Value>),
    Object(Body),
}

// === impl Span ===

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl Body ===

impl Body {
    /// The items whose first key is `key`, in order: blocks and attributes alike.
    pub fn named<'b>(&'b self, key: &'b str) -> impl DoubleEndedIterator<Item = &'b Item> {
        self.items.iter().filter(move |item| &*item.key().text == key)
    }

    /// The last value of `key` that has no labels: of repeated attributes the last one counts.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        let unlabelled = |item: &&Item| &*item.key().text == key && item.labels().is_empty();
        self.items.iter().rfind(unlabelled).map(|item| &item.value)
    }
}

// === impl Item ===

impl Item {
    pub(super) fn new(
        key: Key,
        labels: impl IntoIterator<Item = Key>,
        assign: Option<Span>,
        value: Value,
    ) -> Self {
        let keys = std::iter::once(key).chain(labels).collect();
        Self { keys, assign, value }
    }

    /// The same key and labels, `further` labels and another value.
    pub(super) fn with(&self, further: &[Key], value: Value) -> Self {
        let keys = self.keys.iter().chain(further).cloned().collect();
        Self { keys, assign: self.assign, value }
    }

    pub(super) fn into_parts(self) -> (Vec<Key>, Value) {
        (self.keys, self.value)
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The first key: what the item is called.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.keys.first().expect("an item is built with its key")
    }

    /// What is inside below the first `labels` labels: further ones are keys in there, so `a "b" "c" {}` is what
    /// `a "b" { c {} }` is. `None`: there are fewer labels, or the value is no object.
    #[must_use]
    pub fn inside(&self, labels: usize) -> Option<Cow<'_, Body>> {
        let body = self.value.as_body()?;
        let mut further = self.labels().get(labels..)?.iter().cloned();
        let Some(key) = further.next() else { return Some(Cow::Borrowed(body)) };
        let item = Self::new(key, further, self.assign, self.value.clone());
        Some(Cow::Owned(Body { items: vec![item] }))
    }

    /// The keys after the first: `"tcp"` of `listener "tcp" {}`.
    #[must_use]
    pub fn labels(&self) -> &[Key] {
        self.keys.get(1..).unwrap_or_default()
    }
}

// === impl Value ===

impl Value {
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind { Some(text.as_str()) } else { None }
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Kind::Bool(value) = self.kind { Some(value) } else { None }
    }

    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        if let Kind::Integer(value) = self.kind { Some(value) } else { None }
    }

    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Kind::List(values) = &self.kind { Some(values) } else { None }
    }

    #[must_use]
    pub fn as_body(&self) -> Option<&Body> {
        if let Kind::Object(body) = &self.kind { Some(body) } else { None }
    }

    /// What it is, for a message: `a string`, `a list`, ...
    #[must_use]
    pub fn is_a(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a truth value",
            Kind::Integer(_) | Kind::Float(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Object(_) => "a block",
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(value) => write!(f, "Bool({value})"),
            Self::Integer(value) => write!(f, "Integer({value})"),
            Self::Float(value) => write!(f, "Float({value})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::List(values) => f.debug_tuple("List").field(values).finish(),
            Self::Object(body) => f.debug_tuple("Object").field(body).finish(),
        }
    }
}

/// # Errors
/// `depth` is one level too many.
pub(super) fn bounded(at: Span, depth: usize) -> Result<(), Error> {
    if depth < DEPTH_MAX {
        return Ok(());
    }
    Err(Error::new(at, format!("nested deeper than {DEPTH_MAX} levels")))
}
