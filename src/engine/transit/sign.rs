//! Endpoints that sign, verify and authenticate: `sign`, `verify`, `hmac`.

use serde_json::{Map, Value, json};

use super::backend::Transit;
use super::batch;
use super::ecdsa::Marshaling;
use super::encoding;
use super::hash::Hash;
use super::key::Key;
use super::mac;
use super::pss::Salt;
use super::refusal::{Refusable, Refusal};
use super::signing::Manner;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

const DEFAULT_HASH: &str = "sha2-256";
const NONE_IS_FOR: &str = "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15";

/// What a request wants of one item: the fields of its answer.
type Shown = Refusable<Map<String, Value>>;

// === impl Transit ===

impl Transit {
    pub(super) fn sign(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let manner = manner(call, &fields)?;
        let version = fields.int("key_version")?.unwrap_or(0);
        let missing = || Fault::invalid("signing key not found");
        let key = self.keys.load(&mut call.store, call.captures.get("name"))?.ok_or_else(missing)?;
        if !key.kind().signs() {
            return Err(Fault::invalid(format!("key type {} does not support signing", key.kind().name())));
        }
        check_none(&manner)?;
        let members = batch::members(&fields, "'' ")?;
        let Some(members) = members else {
            let item = one(&fields, &["input", "context"])?;
            return answer_one(sign(&key, version, &item, &manner).map_err(server_fault));
        };
        let items = batch::text_maps(members, "batchRequestSignItem")?;
        let sign = |item: &Map<String, Value>| sign(&key, version, item, &manner);
        Ok(Response::json(results(&items, &[("key_version", json!(0))], sign)))
    }

    pub(super) fn verify(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let members = batch::members(&fields, "'' ")?;
        let items = match members {
            Some(members) => batch::text_maps(members, "batchRequestVerifyItem")?,
            None => vec![one(&fields, &["input", "context", "signature", "hmac"])?],
        };
        if wants_hmac(&items, members.is_some())? {
            return self.verify_hmac(call, &fields, &items, members.is_some());
        }
        let manner = manner(call, &fields)?;
        let missing = || Fault::invalid("signature verification key not found");
        let key = self.keys.load(&mut call.store, call.captures.get("name"))?.ok_or_else(missing)?;
        if !key.kind().signs() {
            return Err(Fault::invalid(format!(
                "key type {} does not support verification",
                key.kind().name()
            )));
        }
        check_none(&manner)?;
        let verify = |item: &Map<String, Value>| verify(&key, item, &manner);
        answer(&items, members.is_some(), &[("valid", json!(false))], verify)
    }

    pub(super) fn hmac(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let missing = || Fault::invalid("encryption key not found");
        let key = self.keys.load(&mut call.store, call.captures.get("name"))?.ok_or_else(missing)?;
        let version = mac::version(&key, fields.int("key_version")?.unwrap_or(0))?;
        let hash = mac_hash(call, &fields, &["algorithm"])?;
        let members = batch::members(&fields, "'' ")?;
        let items = match members {
            Some(members) => batch::text_maps(members, "batchRequestHMACItem")?,
            None => vec![one(&fields, &["input"])?],
        };
        if members.is_none() && !fields.has("input") {
            return Err(Fault::invalid("missing input for HMAC"));
        }
        let make = |item: &Map<String, Value>| {
            let input = input(item, "missing input for HMAC")?;
            Ok(fields_of(json!({ "hmac": mac::make(&key, version, hash, &input)? })))
        };
        answer(&items, members.is_some(), &[], make)
    }

    fn verify_hmac(
        &self,
        call: &mut Call<'_>,
        fields: &Fields<'_>,
        items: &[Map<String, Value>],
        is_batch: bool,
    ) -> Answer {
        let missing = || Fault::invalid("encryption key not found");
        let key = self.keys.load(&mut call.store, call.captures.get("name"))?.ok_or_else(missing)?;
        let hash = mac_hash(call, fields, &["hash_algorithm", "algorithm"])?;
        let verify = |item: &Map<String, Value>| {
            let input = input(item, "missing input")?;
            let hmac = text(item, "hmac").ok_or_else(|| Refusal::user("missing hmac"))?;
            Ok(fields_of(json!({ "valid": mac::verify(&key, hash, &input, &hmac)? })))
        };
        answer(items, is_batch, &[("valid", json!(false))], verify)
    }
}

fn sign(key: &Key, version: i64, item: &Map<String, Value>, manner: &Manner) -> Shown {
    let (input, context) = (input(item, "missing input")?, context(item)?);
    let signed = key.sign(version, &context, &input, manner)?;
    let mut shown = fields_of(json!({ "signature": signed.signature, "key_version": signed.version }));
    if let Some(public) = signed.public {
        shown.insert("public_key".to_owned(), public.into());
    }
    Ok(shown)
}

fn verify(key: &Key, item: &Map<String, Value>, manner: &Manner) -> Shown {
    let input = input(item, "missing input")?;
    let signature = text(item, "signature").ok_or_else(|| Refusal::user("missing signature"))?;
    Ok(fields_of(json!({ "valid": key.verify(&context(item)?, &input, &signature, manner)? })))
}

/// The server calls what a key refuses to sign its own failure; what it could not read was the caller's.
fn server_fault(refusal: Refusal) -> Fault {
    let caller = ["unable to decode input", "failed to base64-decode context"];
    if caller.iter().any(|start| refusal.text().starts_with(start)) {
        return refusal.into();
    }
    Fault::Internal(refusal.text().to_owned())
}

fn manner(call: &Call<'_>, fields: &Fields<'_>) -> Result<Manner, Fault> {
    let named = |name: &str| Ok::<_, Fault>(fields.text(name)?.filter(|text| !text.is_empty()));
    let hash = match call.captures.get("urlalgorithm") {
        "" => named("hash_algorithm")?.or(named("algorithm")?).unwrap_or_else(|| DEFAULT_HASH.to_owned()),
        given => given.to_owned(),
    };
    let marshaling = fields.text("marshaling_algorithm")?.unwrap_or_else(|| "asn1".to_owned());
    Ok(Manner {
        hash: Hash::parse(&hash).ok_or_else(|| Fault::invalid(format!("invalid hash algorithm {hash:?}")))?,
        marshaling: Marshaling::parse(&marshaling)
            .ok_or_else(|| Fault::invalid(format!("invalid marshaling type {marshaling:?}")))?,
        salt: salt(fields.text("salt_length")?.as_deref().unwrap_or("auto"))?,
        algorithm: fields.text("signature_algorithm")?.unwrap_or_default(),
        prehashed: fields.flag("prehashed")?.unwrap_or(false),
    })
}

fn salt(text: &str) -> Result<Salt, Fault> {
    match text.to_lowercase().as_str() {
        "auto" => return Ok(Salt::Auto),
        "hash" => return Ok(Salt::Hash),
        _ => {}
    }
    let number: i64 = text
        .parse()
        .map_err(|_| Fault::invalid(format!("salt length neither 'auto', 'hash', nor an int: {text}")))?;
    match number {
        -1 => Ok(Salt::Hash),
        // The server's number for "auto".
        0 => Ok(Salt::Auto),
        _ if number < 0 => Err(Fault::invalid(format!("salt length is invalid: {number}"))),
        // No key has room for more: it is refused with the key's own words.
        _ => Ok(Salt::Bytes(u16::try_from(number).unwrap_or(u16::MAX))),
    }
}

fn check_none(manner: &Manner) -> Result<(), Fault> {
    let allowed = manner.prehashed && manner.algorithm == "pkcs1v15";
    if manner.hash == Hash::None && !allowed { Err(Fault::invalid(NONE_IS_FOR)) } else { Ok(()) }
}

/// `fields`: which of them names the hash; the first that is given.
fn mac_hash(call: &Call<'_>, fields: &Fields<'_>, names: &[&str]) -> Result<Hash, Fault> {
    let mut name = call.captures.get("urlalgorithm").to_owned();
    for field in names {
        if name.is_empty() {
            name = fields.text(field)?.unwrap_or_default();
        }
    }
    let name = if name.is_empty() { DEFAULT_HASH.to_owned() } else { name };
    match Hash::parse(&name) {
        // The server prints the number it did not find.
        None => Err(Fault::invalid("unsupported algorithm '\\x00'")),
        Some(Hash::None) => Err(Fault::invalid("algorithm cannot be none")),
        Some(hash) => Ok(hash),
    }
}

/// Whether HMACs are to be verified rather than signatures. All items want the same.
fn wants_hmac(items: &[Map<String, Value>], is_batch: bool) -> Result<bool, Fault> {
    let signatures = items.iter().filter(|item| item.contains_key("signature")).count();
    let macs =
        items.iter().filter(|item| !item.contains_key("signature") && item.contains_key("hmac")).count();
    let missing = items.len() - signatures - macs;
    let refused = |why: &str| Err(Fault::invalid(why));
    match (signatures > 0, macs > 0, missing > 0) {
        (false, false, _) if !is_batch => refused("neither a 'signature' nor an 'hmac' were given to verify"),
        (true, true, _) => {
            refused("elements of batch_input must all provide 'signature' or all provide 'hmac'")
        }
        (true, false, true) => refused("some elements of batch_input are missing 'signature'"),
        (false, true, true) => refused("some elements of batch_input are missing 'hmac'"),
        (false, false, _) => refused("no batch_input elements have 'signature' or 'hmac'"),
        (_, macs, false) => Ok(macs),
    }
}

/// The request's own fields as an item; `input` and `context` are empty where they are not given.
fn one(fields: &Fields<'_>, names: &[&str]) -> Result<Map<String, Value>, Fault> {
    let mut item = Map::new();
    for name in names {
        match fields.text(name)? {
            Some(text) => item.insert((*name).to_owned(), text.into()),
            None if matches!(*name, "input" | "context") => item.insert((*name).to_owned(), "".into()),
            None => None,
        };
    }
    Ok(item)
}

/// A number or boolean is its text; anything else is as good as missing.
fn text(item: &Map<String, Value>, name: &str) -> Option<String> {
    Fields::new(item).text(name).ok().flatten()
}

fn input(item: &Map<String, Value>, missing: &str) -> Refusable<zeroize::Zeroizing<Vec<u8>>> {
    let input = text(item, "input").ok_or_else(|| Refusal::user(missing))?;
    encoding::decode(&input)
        .map_err(|refusal| Refusal::user(format!("unable to decode input as base64: {}", refusal.text())))
}

fn context(item: &Map<String, Value>) -> Refusable<zeroize::Zeroizing<Vec<u8>>> {
    encoding::decode(&text(item, "context").unwrap_or_default())
        .map_err(|_| Refusal::user("failed to base64-decode context"))
}

fn fields_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn answer_one(shown: Result<Map<String, Value>, Fault>) -> Answer {
    shown.map(Response::of)
}

fn answer(
    items: &[Map<String, Value>],
    is_batch: bool,
    blank: &[(&str, Value)],
    each: impl Fn(&Map<String, Value>) -> Shown,
) -> Answer {
    if is_batch {
        return Ok(Response::json(results(items, blank, each)));
    }
    let only = items.first().map(each).unwrap_or_else(|| Ok(Map::new()));
    answer_one(only.map_err(Fault::from))
}

/// A failed item shows the fields of `blank`; it does not change the status.
fn results(
    items: &[Map<String, Value>],
    blank: &[(&str, Value)],
    each: impl Fn(&Map<String, Value>) -> Shown,
) -> Value {
    let show = |item: &Map<String, Value>| {
        let mut shown = each(item).unwrap_or_else(|refusal| {
            let blank = blank.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            blank.chain([("error".to_owned(), Value::from(refusal.text()))]).collect()
        });
        shown.insert("reference".to_owned(), text(item, "reference").unwrap_or_default().into());
        shown
    };
    batch::results(items.iter().map(show).collect())
}
