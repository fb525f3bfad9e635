//! The tree → the raw types, as a serde deserializer that reports every mistake in its place and goes on.
//!
//! serde stops at the first error. Two things make it go on: unknown keys are reported here, before serde sees
//! them, and every setting is a [`Field`](super::field::Field) that turns a bad value into `Bad` instead of an
//! error. It leaves the meaning of values to the types and the sections.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer as _, IntoDeserializer, Visitor};

use super::report::{Report, join};
use super::tree::{Entry, Kind, Node};
use super::vocabulary;

/// Newtype name by which [`Field`](super::field::Field) asks to survive a bad value.
pub(crate) const FIELD: &str = "$field";
/// Newtype name for "one value or a list of them".
pub(crate) const ONE_OR_MANY: &str = "$one_or_many";
/// Enum name for "plain text or a mapping"; its variants are `text` and `map`.
pub(crate) const TEXT_OR_MAP: &str = "$text_or_map";

/// The settings where `${VARIABLE}` and `file:` are followed.
const SECRET_SETTING: &str = ".sha256";

/// Reads `node` as a `T`, reporting to `report`; `None` when the whole was unusable.
pub(crate) fn decode<'n, T: Deserialize<'n>>(node: &'n Node, report: &'n Report) -> Option<T> {
    let value = ValueDecoder { node, path: String::new(), report };
    value.attempt(std::marker::PhantomData)
}

/// A mistake on its way to the node it concerns.
#[derive(Debug)]
pub(crate) enum Mistake {
    Message(String),
    /// Already in the report.
    Reported,
}

#[derive(Debug)]
struct ValueDecoder<'n> {
    node: &'n Node,
    path: String,
    report: &'n Report,
}

// === impl Mistake ===

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => f.write_str(message),
            Self::Reported => f.write_str("already reported"),
        }
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }
}

// === impl ValueDecoder ===

impl<'n> ValueDecoder<'n> {
    /// `None` after a mistake, which is then in the report.
    fn attempt<S: DeserializeSeed<'n>>(self, seed: S) -> Option<S::Value> {
        let (path, report) = (self.path.clone(), self.report);
        match seed.deserialize(self) {
            Ok(value) => Some(value),
            Err(Mistake::Reported) => None,
            Err(Mistake::Message(text)) => {
                let (message, help) = text.split_once(HELP).unwrap_or((&text, ""));
                if help.is_empty() {
                    report.error(&path, "bad-value", message);
                } else {
                    report.error_help(&path, "bad-value", message, help);
                }
                None
            }
        }
    }

    fn child(&self, node: &'n Node, path: String) -> Self {
        Self { node, path, report: self.report }
    }

    fn wrong_type<T>(&self, expected: &str) -> Result<T, Mistake> {
        let found = match &self.node.kind {
            Kind::Nothing => "nothing",
            Kind::Scalar { plain: true, .. } => "a single value",
            Kind::Scalar { plain: false, .. } => "text in quotes",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        };
        Err(Mistake::Message(format!("expected {expected}, found {found}")))
    }

    fn text(&self, expected: &str) -> Result<&'n str, Mistake> {
        let Kind::Scalar { text, .. } = &self.node.kind else { return self.wrong_type(expected) };
        if text.contains("${") && !self.path.ends_with(SECRET_SETTING) {
            let message = "variables (`${NAME}`) are followed in secret settings only";
            return Err(Mistake::Message(format!(
                "{message}{HELP}write the value; secret is admin.tokens[].sha256"
            )));
        }
        Ok(text)
    }

    fn plain(&self, expected: &str) -> Result<&'n str, Mistake> {
        match &self.node.kind {
            Kind::Scalar { text, plain: true } => Ok(text),
            Kind::Nothing | Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => self.wrong_type(expected),
        }
    }

    fn items(&self) -> Result<Items<'n>, Mistake> {
        let Kind::List(items) = &self.node.kind else { return self.wrong_type("a list (`[a, b]`)") };
        let nodes = items.iter().map(AsRef::as_ref).enumerate();
        let nodes = nodes.map(|(number, node)| (node, format!("{}[{number}]", self.path))).collect();
        Ok(Items { nodes, report: self.report })
    }

    /// This very value as a list of one.
    fn alone(self) -> Items<'n> {
        Items { nodes: [(self.node, self.path)].into(), report: self.report }
    }

    fn entries(self, known: Option<&'static [&'static str]>) -> Result<Entries<'n>, Mistake> {
        let Kind::Map(entries) = &self.node.kind else {
            return self.wrong_type("a mapping of settings");
        };
        let mut kept = Vec::new();
        for entry in entries {
            if known.is_none_or(|known| known.contains(&entry.key.as_str())) {
                kept.push(entry);
            } else {
                vocabulary::unknown_key(&self.path, &entry.key, known.unwrap_or_default(), self.report);
            }
        }
        Ok(Entries { entries: kept.into_iter(), value: None, within: self })
    }

    fn number<T: std::str::FromStr>(&self, expected: &str) -> Result<T, Mistake> {
        let text = self.plain(expected)?;
        text.parse().map_err(|_| Mistake::Message(format!("expected {expected}, found `{text}`")))
    }
}

/// Separates a message from its help inside one serde error text, which is all serde carries.
pub(crate) const HELP: char = '\u{1F}';

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            let expected = format!("a whole number, at most {}", <$type>::MAX);
            visitor.$visit(self.number::<$type>(&expected)?)
        }
    )*};
}

macro_rules! as_text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            visitor.visit_borrowed_str(self.text("text")?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for ValueDecoder<'de> {
    type Error = Mistake;

    whole_numbers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64
    }

    as_text! {
        deserialize_str deserialize_string deserialize_char deserialize_identifier deserialize_bytes
        deserialize_byte_buf
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.plain("true or false")? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(Mistake::Message(format!("expected true or false, found `{other}`"))),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let number: f64 = self.number("a number")?;
        if number.is_finite() { visitor.visit_f64(number) } else { self.wrong_type("a finite number") }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match (name, &self.node.kind) {
            (ONE_OR_MANY, Kind::List(_)) => visitor.visit_seq(self.items()?),
            (FIELD | ONE_OR_MANY, _) => visitor.visit_seq(self.alone()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_seq(self.items()?)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_map(self.entries(None)?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_map(self.entries(Some(fields))?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        if name == TEXT_OR_MAP {
            return visitor.visit_enum(TextOrMap { value: self });
        }
        let word = self.text(&format!("one of {}", variants.join(", ")))?;
        if variants.contains(&word) {
            return visitor.visit_enum(IntoDeserializer::<Mistake>::into_deserializer(word));
        }
        vocabulary::unknown_word(&self.path, word, variants, self.report);
        Err(Mistake::Reported)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.kind {
            Kind::Nothing => visitor.visit_unit(),
            Kind::Scalar { text, .. } => visitor.visit_borrowed_str(text),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
        }
    }

    serde::forward_to_deserialize_any! { i8 i16 i32 i64 unit unit_struct tuple tuple_struct ignored_any }
}

/// The elements of a list. A bad one is reported and left out.
#[derive(Debug)]
struct Items<'n> {
    nodes: std::collections::VecDeque<(&'n Node, String)>,
    report: &'n Report,
}

impl<'n> de::SeqAccess<'n> for Items<'n> {
    type Error = Mistake;

    fn next_element_seed<S: DeserializeSeed<'n> + Sized>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Mistake> {
        // A seed can be used once only, so after a bad element the rest is left alone as well: `Field` elements
        // never fail, and for the others one mistake a list is enough.
        let Some((node, path)) = self.nodes.pop_front() else { return Ok(None) };
        Ok(ValueDecoder { node, path, report: self.report }.attempt(seed))
    }
}

/// The settings of a mapping, unknown ones already taken out.
#[derive(Debug)]
struct Entries<'n> {
    entries: std::vec::IntoIter<&'n Entry>,
    value: Option<&'n Entry>,
    within: ValueDecoder<'n>,
}

impl<'n> de::MapAccess<'n> for Entries<'n> {
    type Error = Mistake;

    fn next_key_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Mistake> {
        self.value = self.entries.next();
        let Some(entry) = self.value else { return Ok(None) };
        seed.deserialize(entry.key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, Mistake> {
        let Some(entry) = self.value else { return Err(Mistake::Reported) };
        let path = join(&self.within.path, &entry.key);
        self.within.child(&entry.value, path).attempt(seed).ok_or(Mistake::Reported)
    }
}

/// Chooses between the two variants of a [`TEXT_OR_MAP`] enum by what is written.
#[derive(Debug)]
struct TextOrMap<'n> {
    value: ValueDecoder<'n>,
}

impl<'n> de::EnumAccess<'n> for TextOrMap<'n> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'n>>(self, seed: S) -> Result<(S::Value, Self), Mistake> {
        let variant = match self.value.node.kind {
            Kind::Map(_) => "map",
            Kind::Scalar { .. } => "text",
            Kind::List(_) | Kind::Nothing => return self.value.wrong_type("text or a mapping"),
        };
        let choice = seed.deserialize(IntoDeserializer::<Mistake>::into_deserializer(variant))?;
        Ok((choice, self))
    }
}

impl<'n> de::VariantAccess<'n> for TextOrMap<'n> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        self.value.wrong_type("nothing")
    }

    fn newtype_variant_seed<S: DeserializeSeed<'n>>(self, seed: S) -> Result<S::Value, Mistake> {
        seed.deserialize(self.value)
    }

    fn tuple_variant<V: Visitor<'n>>(self, _len: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.value.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'n>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.value.deserialize_any(visitor)
    }
}
