//! `subkeys/`: the shape of a secret without its values.

use super::data::gone;
use super::key::Key;
use super::{Kv2, PATH};
use crate::engine::record::nanos;
use crate::json_text::Node;
use crate::logical::field::Fields;
use crate::logical::{Answer, Body, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response};
use zeroize::Zeroizing;

pub(super) const SUMMARY: &str = "The names inside a secret, without their values.";

pub(super) const FIELDS: &[Field] = &[
    PATH,
    Field::new("version", FieldKind::Int, "Which version to look at; the newest when it is not given."),
    Field::new("depth", FieldKind::Int, "How deep to look; 0 is to the end."),
];

pub(super) const METHODS: &[Method<Kv2>] = &[Method::new(&[Operation::Read], Effect::Read, read)];

fn read(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    let (number, depth) = (fields.int("version")?, fields.int("depth")?);
    let Some(key) = Key::load(&mut call.store, call.captures.get("path"))? else {
        return Ok(Response::empty());
    };
    let Some((number, version)) = key.meta.version(number.unwrap_or_default()) else {
        return Ok(Response::empty());
    };
    let shown = key.meta.shown_version(number, version);
    if !version.is_readable(nanos(call.now)) {
        return Err(gone(answer(&shown, b"null")));
    }
    let data = key.data(&mut call.store, number)?;
    let node = Node::parse(&data).map_err(|error| Fault::Internal(error.to_string()))?;
    let mut names = Zeroizing::new(Vec::new());
    without_values(node, levels(depth.unwrap_or_default())).write(&mut names);
    Ok(Response { body: Body::Encoded(answer(&shown, &names)), ..Response::empty() })
}

fn answer(metadata: &[u8], subkeys: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([b"{\"metadata\":", metadata, b",\"subkeys\":", subkeys, b"}"].concat())
}

/// Levels to go down: a depth below zero is the first only, 0 is all.
fn levels(depth: i64) -> usize {
    match usize::try_from(depth) {
        Ok(0) => usize::MAX,
        Ok(depth) => depth,
        Err(_) => 1,
    }
}

/// Maps stay while there are levels left; everything else, empty maps too, is `null`.
fn without_values(node: Node<'_>, levels: usize) -> Node<'_> {
    match node {
        Node::Object(members) if levels > 0 && !members.is_empty() => Node::Object(
            members.into_iter().map(|(key, value)| (key, without_values(value, levels - 1))).collect(),
        ),
        Node::Object(_) | Node::List(_) | Node::Text(_) | Node::Word(_) => Node::NULL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_shown_to_a_depth() {
        let text = br#"{"a":{"b":{"c":1}},"d":[1,{"e":2}],"f":{},"g":null}"#;
        for (depth, expected) in [
            (0, r#"{"a":{"b":{"c":null}},"d":null,"f":null,"g":null}"#),
            (1, r#"{"a":null,"d":null,"f":null,"g":null}"#),
            (2, r#"{"a":{"b":null},"d":null,"f":null,"g":null}"#),
            (-1, r#"{"a":null,"d":null,"f":null,"g":null}"#),
        ] {
            let mut out = Vec::new();
            without_values(Node::parse(text).unwrap(), levels(depth)).write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{depth}");
        }
    }
}
