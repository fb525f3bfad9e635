//! Endpoints that encrypt and decrypt: `encrypt`, `decrypt`, `rewrap`, `datakey`.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::backend::Transit;
use super::batch::{self, Item, Outcome};
use super::encoding;
use super::encrypting::{Beside, takes_associated};
use super::key::Key;
use super::keys;
use super::kind::{Family, Kind};
use super::record::Settings;
use super::refusal::{Refusable, Refusal};
use super::settings;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Operation};

// === impl Transit ===

impl Transit {
    pub(super) fn encrypt_key_exists(&self, call: &mut Call<'_>) -> Result<bool, Fault> {
        let name = call.captures.get("name");
        Ok(self.keys.load(&mut call.store, name)?.is_some())
    }

    /// Makes the key where there is none: the only time it writes.
    pub(super) fn encrypt(&self, call: &mut Call<'_>) -> Answer {
        let request = call.request;
        let fields = Fields::new(&request.data);
        let members = batch::members(&fields, "")?;
        let items = match members {
            Some(members) => batch::items(members, "plaintext", "encrypt")?,
            None => vec![single(&fields, "plaintext")?],
        };
        let decoded = decode_all(&items)?;
        let key = match (request.operation, self.keys.load(&mut call.store, call.captures.get("name"))?) {
            (_, Some(key)) => key,
            (Operation::Create, None) => self.upsert(call, &fields, has_context(&items))?,
            (_, None) => return Err(no_key()),
        };
        let encrypt = |at: usize, item: &Item, (text, context): &Decoded| {
            check_associated(key.kind(), at, item)?;
            let beside = Beside { context, associated: &item.associated };
            let (ciphertext, version) = key.encrypt(item.key_version, beside, text)?;
            Ok(object(json!({ "ciphertext": ciphertext, "key_version": version })))
        };
        let results = items.iter().zip(decoded).enumerate();
        let results = results.map(|(at, (item, decoded))| encrypt(at, item, &decoded?)).collect();
        answer(results, &items, members.is_some(), &fields, None)
    }

    fn upsert(&self, call: &mut Call<'_>, fields: &Fields<'_>, derived: bool) -> Result<Arc<Key>, Fault> {
        let convergent = fields.flag("convergent_encryption")?.unwrap_or(false);
        if convergent && !derived {
            return Err(Fault::invalid(
                "convergent encryption requires derivation to be enabled, so context is required",
            ));
        }
        let name = fields.text("type")?.unwrap_or_else(|| Kind::Aes256.name().to_owned());
        let kind = upserted_kind(&name)?;
        if settings::upsert_disabled(&mut call.store)? {
            return Err(no_key());
        }
        let settings = Settings { derived, convergent, ..Settings::default() };
        let record = keys::create(call, kind, settings)?;
        Ok(Arc::new(Key::new(record)))
    }

    pub(super) fn decrypt(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let members = batch::members(&fields, "")?;
        let items = match members {
            Some(members) => batch::items(members, "ciphertext", "decrypt")?,
            None => vec![single(&fields, "ciphertext")?],
        };
        let contexts = contexts(&items)?;
        let key = self.keys.load(&mut call.store, call.captures.get("name"))?.ok_or_else(no_key)?;
        let decrypt = |at: usize, item: &Item, context: &[u8]| {
            check_ciphertext(&item.text)?;
            check_associated(key.kind(), at, item)?;
            let plaintext = key.decrypt(Beside { context, associated: &item.associated }, &item.text)?;
            Ok(object(json!({ "plaintext": encoding::encode(&plaintext) })))
        };
        let results = items.iter().zip(contexts).enumerate();
        let results = results.map(|(at, (item, context))| decrypt(at, item, &context?)).collect();
        answer(results, &items, members.is_some(), &fields, Some("plaintext"))
    }

    /// A failed item does not change the status, as in the server.
    pub(super) fn rewrap(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let members = batch::members(&fields, "'' ")?;
        let items = match members {
            Some(members) => loose_items(members)?,
            None => vec![single(&fields, "ciphertext")?],
        };
        let contexts = contexts(&items)?;
        let key = self.keys.load(&mut call.store, call.captures.get("name"))?.ok_or_else(no_key)?;
        let rewrap = |item: &Item, context: &[u8]| {
            check_ciphertext(&item.text)?;
            let beside = Beside { context, associated: &item.associated };
            let plaintext = key.decrypt(beside, &item.text)?;
            let (ciphertext, version) = key.encrypt(item.key_version, beside, &plaintext)?;
            Ok(object(json!({ "ciphertext": ciphertext, "key_version": version })))
        };
        let results: Vec<_> =
            items.iter().zip(contexts).map(|(item, context)| rewrap(item, &context?)).collect();
        let mut answered = answer(results, &items, members.is_some(), &fields, None)?;
        answered.status = None;
        Ok(answered)
    }

    pub(super) fn datakey(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let shows = match call.captures.get("plaintext") {
            "plaintext" => true,
            "wrapped" => false,
            _ => return Err(Fault::invalid("Invalid path, must be 'plaintext' or 'wrapped'")),
        };
        let context = encoding::decode(&fields.text("context")?.unwrap_or_default())
            .map_err(|_| Fault::invalid("failed to base64-decode context"))?;
        let key = self.keys.load(&mut call.store, call.captures.get("name"))?.ok_or_else(no_key)?;
        let length = match fields.int("bits")?.unwrap_or(256) {
            128 => 16,
            256 => 32,
            512 => 64,
            _ => return Err(Fault::invalid("invalid bit length")),
        };
        let associated = fields.text("associated_data")?.unwrap_or_default();
        let item = Item { associated, ..Item::default() };
        check_associated(key.kind(), 0, &item)?;
        let mut data_key = Zeroizing::new(vec![0; length]);
        crate::entropy::fill(&mut data_key);
        let beside = Beside { context: &context, associated: &item.associated };
        let (ciphertext, version) =
            key.encrypt(fields.int("key_version")?.unwrap_or(0), beside, &data_key)?;
        let mut data = object(json!({ "ciphertext": ciphertext, "key_version": version }));
        if shows {
            data.insert("plaintext".to_owned(), encoding::encode(&data_key).into());
        }
        Ok(crate::logical::Response::of(data))
    }
}

/// A plaintext and its context.
type Decoded = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

fn no_key() -> Fault {
    Fault::invalid("encryption key not found")
}

fn upserted_kind(name: &str) -> Result<Kind, Fault> {
    match Kind::parse(name) {
        Some(kind) if kind.family() == Family::Aead => Ok(kind),
        Some(kind) if kind.family() == Family::Ecdsa => {
            Err(Fault::invalid(format!("key type {name} not supported for this operation")))
        }
        Some(_) | None => Err(Fault::invalid(format!("unknown key type {name}"))),
    }
}

fn single(fields: &Fields<'_>, name: &str) -> Result<Item, Fault> {
    let text = fields.text(name)?.map(Zeroizing::new);
    let text = text.filter(|text| name == "plaintext" || !text.is_empty());
    let deed = if name == "plaintext" { "encrypt" } else { "decrypt" };
    Ok(Item {
        text: text.ok_or_else(|| Fault::invalid(format!("missing {name} to {deed}")))?,
        context: fields.text("context")?.unwrap_or_default(),
        key_version: fields.int("key_version")?.unwrap_or(0),
        associated: fields.text("associated_data")?.unwrap_or_default(),
        reference: String::new(),
    })
}

/// Members that are read as they come: a number is its text.
fn loose_items(members: &[Value]) -> Result<Vec<Item>, Fault> {
    let item = |(at, member): (usize, &Value)| {
        let Value::Object(member) = member else {
            return Err(Fault::Internal(format!(
                "failed to parse batch input: decoding failed due to the following error(s):\n\n'[{at}]' expected a map \
                 or struct, got \"string\""
            )));
        };
        single_loose(&Fields::new(member))
    };
    members.iter().enumerate().map(item).collect()
}

fn single_loose(fields: &Fields<'_>) -> Result<Item, Fault> {
    Ok(Item {
        text: Zeroizing::new(fields.text("ciphertext")?.unwrap_or_default()),
        context: fields.text("context")?.unwrap_or_default(),
        key_version: fields.int("key_version")?.unwrap_or(0),
        associated: fields.text("associated_data")?.unwrap_or_default(),
        reference: fields.text("reference")?.unwrap_or_default(),
    })
}

fn has_context(items: &[Item]) -> bool {
    items.first().is_some_and(|item| !item.context.is_empty())
}

/// Every item's context. Either all have one or none: the key is one of a kind.
fn contexts(items: &[Item]) -> Result<Vec<Refusable<Zeroizing<Vec<u8>>>>, Fault> {
    let expected = has_context(items);
    if items.iter().any(|item| item.context.is_empty() == expected) {
        return Err(Fault::invalid("context should be set either in all the request blocks or in none"));
    }
    Ok(items.iter().map(|item| encoding::decode(&item.context)).collect())
}

fn decode_all(items: &[Item]) -> Result<Vec<Refusable<Decoded>>, Fault> {
    let contexts = contexts(items)?.into_iter();
    Ok(items
        .iter()
        .zip(contexts)
        .map(|(item, context)| Ok((encoding::decode(&item.text)?, context?)))
        .collect())
}

fn check_ciphertext(text: &str) -> Refusable<()> {
    if text.is_empty() { Err(Refusal::user("missing ciphertext to decrypt")) } else { Ok(()) }
}

fn check_associated(kind: Kind, at: usize, item: &Item) -> Refusable<()> {
    if item.associated.is_empty() || takes_associated(kind) {
        return Ok(());
    }
    let name = kind.name();
    Err(Refusal::user(format!("'[{at}].associated_data' provided for non-AEAD cipher suite {name}")))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// One result as it is, or all of them as a batch. A failed member of it still shows the field `blank`, empty.
fn answer(
    results: Vec<Refusable<Map<String, Value>>>,
    items: &[Item],
    is_batch: bool,
    fields: &Fields<'_>,
    blank: Option<&str>,
) -> Answer {
    if !is_batch {
        let only = results.into_iter().next().ok_or_else(no_key)?;
        return Ok(crate::logical::Response::of(only?));
    }
    let mut outcome = Outcome::default();
    let mut show = |(result, item): (Refusable<Map<String, Value>>, &Item)| {
        let mut shown = match result {
            Ok(shown) => {
                outcome.succeeded = true;
                shown
            }
            Err(refusal) => {
                outcome.note(&refusal);
                let blank = blank.map(|name| (name.to_owned(), Value::from("")));
                blank.into_iter().chain([("error".to_owned(), Value::from(refusal.text()))]).collect()
            }
        };
        shown.insert("reference".to_owned(), item.reference.clone().into());
        shown
    };
    let shown = results.into_iter().zip(items).map(&mut show).collect();
    outcome.answer(batch::results(shown), fields)
}
