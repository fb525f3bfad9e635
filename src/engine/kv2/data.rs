//! `data/`: reading, writing, patching and deleting the newest version.

use bytes::Bytes;
use serde_json::Value;
use zeroize::Zeroizing;

use super::config::Config;
use super::key::{self, Key, Record};
use super::meta::{Meta, Version};
use super::{Kv2, PATH};
use crate::engine::record::{self, nanos};
use crate::json_text::Node;
use crate::logical::field::Fields;
use crate::logical::{Answer, Body, Call, Effect, Fault, Field, FieldKind, Method, Operation, Raw, Response};

pub(super) const SUMMARY: &str = "Write, patch, read and delete data of a key.";

pub(super) const FIELDS: &[Field] = &[
    PATH,
    Field::new("version", FieldKind::Int, "Which version to read; the newest when it is not given."),
    Field::new(
        "options",
        FieldKind::Map,
        "Of a write: `cas`, the version that must be the newest; 0: none may be.",
    ),
    Field::new("data", FieldKind::Map, "What is stored and read again."),
];

pub(super) const METHODS: &[Method<Kv2>] = &[
    Method::new(&[Operation::Read], Effect::Read, read),
    Method::new(super::WRITE, Effect::Write, write),
    Method::new(&[Operation::Patch], Effect::Write, patch),
    Method::new(&[Operation::Delete], Effect::Write, delete),
];

pub(super) fn exists(_: &Kv2, call: &mut Call<'_>) -> Result<bool, Fault> {
    Fields::of_existence_check(&call.request.data).check(FIELDS)?;
    Ok(Key::is_there(&mut call.store, call.captures.get("path"))?)
}

fn read(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    fields.check(FIELDS)?;
    let number = fields.int("version")?.unwrap_or_default();
    let (name, now) = (call.captures.get("path"), nanos(call.now));
    let mut record = Record::load(&mut call.store, name)?;
    if let (Some(loaded), true) = (record.take_if(|_| number <= 0), number <= 0) {
        match loaded.answer(now) {
            Ok(answer) => return Ok(encoded(answer)),
            Err(other) => record = Some(other),
        }
    }
    let Some(key) = Key::of(record, &mut call.store, name)? else { return Ok(Response::empty()) };
    let Some((number, version)) = key.meta.version(number) else { return Ok(Response::empty()) };
    let shown = key.meta.shown_version(number, version);
    if !version.is_readable(now) {
        return Err(gone(key::answer(b"null", &shown)));
    }
    Ok(encoded(key::answer(&key.data(&mut call.store, number)?, &shown)))
}

fn write(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    fields.check(FIELDS)?;
    let (name, now) = (call.captures.get("path"), nanos(call.now));
    if name.is_empty() {
        return Err(Fault::invalid("missing path"));
    }
    let sent = record::sent(call.request);
    let body = Node::first(&sent).map_err(|_| no_data())?;
    let data = record::text(body.get("data").ok_or_else(no_data)?, sent.len());
    let config = Config::load(&mut call.store)?;
    let key = Key::load(&mut call.store, name)?.unwrap_or_else(|| Key::new(name, now));
    check_and_set(&fields, &config, &key.meta)?;
    put(call, key, &config, data, now)
}

fn patch(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    fields.check(FIELDS)?;
    let (name, now) = (call.captures.get("path"), nanos(call.now));
    let sent = record::sent(call.request);
    let change = Node::first(&sent).map_err(|_| no_data())?;
    let change = change.get("data").ok_or_else(no_data)?;
    let Some(key) = Key::load(&mut call.store, name)? else { return Ok(nothing_to_patch()) };
    let config = Config::load(&mut call.store)?;
    check_and_set(&fields, &config, &key.meta)?;
    let Some((number, version)) = key.meta.version(0) else { return Ok(nothing_to_patch()) };
    if !version.is_readable(now) {
        return Err(gone(key.meta.shown_version(number, version)));
    }
    let stored = key.data(&mut call.store, number)?;
    let data = patched(&stored, change)?;
    put(call, key, &config, data, now)
}

fn delete(_: &Kv2, call: &mut Call<'_>) -> Answer {
    Fields::new(&call.request.data).check(FIELDS)?;
    let Some(mut key) = Key::load(&mut call.store, call.captures.get("path"))? else {
        return Ok(Response::empty());
    };
    let before = key.meta.version(0);
    key.meta.delete(key.meta.current, nanos(call.now));
    if key.meta.version(0) != before {
        key.save(&mut call.store)?;
    }
    Ok(Response::empty())
}

fn put(call: &mut Call<'_>, mut key: Key, config: &Config, data: Zeroizing<Vec<u8>>, now: i64) -> Answer {
    let version: Version = key.meta.next(config, now);
    key.put(&mut call.store, version, data, config.max_versions)?;
    let shown = key.meta.shown_version(key.meta.current, version);
    key.save(&mut call.store)?;
    Ok(encoded(shown))
}

fn patched(stored: &[u8], change: &Node<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let base = Node::parse(stored).map_err(|error| Fault::Internal(error.to_string()))?;
    if base.is_null() {
        return Err(Fault::Internal("resource does not exist".to_owned()));
    }
    Ok(record::text(&base.merged(change.clone()), stored.len()))
}

/// The write was made for the version that is the newest.
fn check_and_set(fields: &Fields<'_>, config: &Config, meta: &Meta) -> Result<(), Fault> {
    let Some(cas) = fields.map("options")?.and_then(|options| options.get("cas")) else {
        if config.cas_required || meta.cas_required {
            return Err(Fault::invalid("check-and-set parameter required for this call"));
        }
        return Ok(());
    };
    let wanted = cas_number(cas).ok_or_else(|| Fault::invalid("error parsing check-and-set parameter"))?;
    if u64::try_from(wanted) == Ok(meta.current) {
        return Ok(());
    }
    Err(Fault::invalid("check-and-set parameter did not match the current version"))
}

fn cas_number(value: &Value) -> Option<i64> {
    match value {
        Value::Null => Some(0),
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.is_empty() => Some(0),
        Value::String(text) => text.parse().ok(),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn encoded(json: Zeroizing<Vec<u8>>) -> Response {
    Response { body: Body::Encoded(json), ..Response::empty() }
}

/// 404 that says why.
pub(super) fn gone(json: Zeroizing<Vec<u8>>) -> Fault {
    Fault::NotFoundWith(Box::new(encoded(json)))
}

fn no_data() -> Fault {
    Fault::invalid("no data provided")
}

/// 404 without a word, not even an empty list of errors.
pub(super) fn nothing_to_patch() -> Response {
    let raw = Raw { status: 404, content_type: "application/json", body: Bytes::new() };
    Response { body: Body::Raw(raw), ..Response::empty() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cas_comes_in_the_forms_the_server_takes() {
        for (value, number) in [
            (json!(null), Some(0)),
            (json!(3), Some(3)),
            (json!("4"), Some(4)),
            (json!(""), Some(0)),
            (json!(true), Some(1)),
            (json!(-1), Some(-1)),
            (json!(6.0), None),
            (json!("x"), None),
            (json!([1]), None),
        ] {
            assert_eq!(cas_number(&value), number, "{value}");
        }
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let change = Node::parse(b"{\"b\":null,\"c\":1.50}").unwrap();
        assert_eq!(patched(b"{\"a\":1.10,\"b\":2}", &change).unwrap().as_slice(), b"{\"a\":1.10,\"c\":1.50}");
        assert_eq!(patched(b"null", &change).unwrap_err().to_string(), "resource does not exist");
    }
}
