//! `metadata/` and `detailed-metadata/`: the settings of keys, and lists of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::config::{Config, wrapped};
use super::data::nothing_to_patch;
use super::key::{KEYS, Key};
use super::meta::Meta;
use super::{Kv2, PATH, custom, given};
use crate::barrier::{StoreError, View};
use crate::engine::listing::{self, Page};
use crate::engine::record::{PLAIN, nanos};
use crate::logical::field::Fields;
use crate::logical::{Answer, Body, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response};

pub(super) const SUMMARY: &str = "The settings of a key, and lists of keys.";

const AFTER: Field = Field::new("after", FieldKind::String, "List what comes after this.");
const LIMIT: Field = Field::new("limit", FieldKind::Int, "How many entries to list; all when not given.");

pub(super) const PAGE_FIELDS: &[Field] = &[PATH, AFTER, LIMIT];

pub(super) const FIELDS: &[Field] = &[
    PATH,
    Field::new("cas_required", FieldKind::Bool, "Whether every write of the key needs the cas option."),
    Field::new("max_versions", FieldKind::Int, "How many versions are kept; 0 is what the mount says."),
    Field::new("delete_version_after", FieldKind::DurationSecs, "The age at which versions are deleted."),
    Field::new("custom_metadata", FieldKind::Map, "Texts that describe the key."),
    Field::new("metadata_cas", FieldKind::Int, "The version of the settings that must be the newest."),
    Field::new(
        "metadata_cas_required",
        FieldKind::Bool,
        "Whether changes of the settings need metadata_cas.",
    ),
    AFTER,
    LIMIT,
];

pub(super) const METHODS: &[Method<Kv2>] = &[
    Method::new(&[Operation::Read], Effect::Read, read),
    Method::new(super::WRITE, Effect::Write, write),
    Method::new(&[Operation::Patch], Effect::Write, patch),
    Method::new(&[Operation::Delete], Effect::Write, delete),
    Method::new(&[Operation::List], Effect::Read, list),
    Method::new(&[Operation::Scan], Effect::Read, scan),
];

pub(super) const DETAILED: &[Method<Kv2>] = &[
    Method::new(&[Operation::List], Effect::Read, detailed_list),
    Method::new(&[Operation::Scan], Effect::Read, detailed_scan),
];

/// The settings a request gives.
struct Change<'c> {
    max_versions: Option<i64>,
    cas_required: Option<bool>,
    metadata_cas_required: Option<bool>,
    delete_version_after_secs: Option<u64>,
    custom: Option<Texts<'c>>,
}

/// `custom_metadata` as given.
enum Texts<'c> {
    /// `null`
    Cleared,
    Given(&'c Map<String, Value>),
}

pub(super) fn exists(_: &Kv2, call: &mut Call<'_>) -> Result<bool, Fault> {
    Fields::of_existence_check(&call.request.data).check(FIELDS)?;
    Ok(Key::is_there(&mut call.store, call.captures.get("path"))?)
}

fn read(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let key = Key::load(&mut call.store, call.captures.get("path"))?;
    Ok(key.map_or_else(Response::empty, |key| encoded(key.meta.shown())))
}

fn write(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let name = call.captures.get("path");
    if name.is_empty() {
        return Err(Fault::invalid("missing path"));
    }
    let (change, now) = (Change::of(&call.request.data)?, nanos(call.now));
    if change.is_empty() {
        return Ok(Response::empty());
    }
    let texts = change.custom.as_ref().map(Texts::whole).transpose()?;
    let config = Config::load(&mut call.store)?;
    let known = Key::load(&mut call.store, name)?;
    check_and_set(&Fields::new(&call.request.data), &config, known.as_ref().map(|key| &key.meta))?;
    let mut key = known.unwrap_or_else(|| Key::new(name, now));
    key.meta.custom = texts.unwrap_or(key.meta.custom);
    change.apply(&mut key.meta);
    save(call, key, now)?;
    Ok(change.warned(&config))
}

fn patch(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let name = call.captures.get("path");
    let (change, now) = (Change::of(&call.request.data)?, nanos(call.now));
    if change.is_empty() {
        return Ok(Response::empty());
    }
    if let Some(Texts::Given(texts)) = change.custom {
        custom::check_patch(texts)?;
    }
    let Some(mut key) = Key::load(&mut call.store, name)? else { return Ok(nothing_to_patch()) };
    let config = Config::load(&mut call.store)?;
    check_and_set(&Fields::new(&call.request.data), &config, Some(&key.meta))?;
    match change.custom {
        Some(Texts::Cleared) => key.meta.custom.clear(),
        Some(Texts::Given(texts)) => custom::patch(&mut key.meta.custom, texts)?,
        None => {}
    }
    change.apply(&mut key.meta);
    save(call, key, now)?;
    Ok(change.warned(&config))
}

fn delete(_: &Kv2, call: &mut Call<'_>) -> Answer {
    if let Some(key) = Key::load(&mut call.store, call.captures.get("path"))? {
        key.remove(&mut call.store)?;
    }
    Ok(Response::empty())
}

fn save(call: &mut Call<'_>, mut key: Key, now: i64) -> Result<(), StoreError> {
    key.meta.metadata_version += 1;
    key.meta.updated = now;
    key.save(&mut call.store)
}

fn list(_: &Kv2, call: &mut Call<'_>) -> Answer {
    Ok(Response::keys(children(call)?))
}

fn scan(_: &Kv2, call: &mut Call<'_>) -> Answer {
    Ok(listing::scanned(listing::scan_order(&below(&call.store, &folder(call))?)))
}

fn detailed_list(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let keys = children(call)?;
    if keys.is_empty() {
        return Ok(Response::empty());
    }
    detailed(call, &keys)
}

fn detailed_scan(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let keys = listing::scan_order(&below(&call.store, &folder(call))?);
    if keys.is_empty() {
        return Ok(listing::scanned(keys));
    }
    detailed(call, &keys)
}

/// The keys with what is known of each; of folders nothing is.
fn detailed(call: &mut Call<'_>, keys: &[String]) -> Answer {
    let (folder, mut infos) = (folder(call), Map::with_capacity(keys.len()));
    for name in keys {
        let info = match Key::load(&mut call.store, &[&folder, name.as_str()].concat())? {
            Some(key) => serde_json::from_slice(&key.meta.shown()).unwrap_or_default(),
            None => Value::Object(Map::new()),
        };
        infos.insert(name.clone(), info);
    }
    Ok(Response::json(serde_json::json!({ "key_info": infos, "keys": keys })))
}

fn folder(call: &Call<'_>) -> String {
    listing::folder(call.captures.get("path"))
}

/// A page of the folder, keys of version 1 among the others.
fn children(call: &Call<'_>) -> Result<Vec<String>, Fault> {
    let (folder, page) = (folder(call), Page::of(&Fields::new(&call.request.data))?);
    let children = |prefix: &str| call.store.list(&[prefix, &folder].concat(), &page.after, page.limit);
    let mut children = merged(children(KEYS)?, children(PLAIN)?);
    children.truncate(page.limit);
    Ok(children)
}

fn below(store: &View<'_>, folder: &str) -> Result<Vec<String>, StoreError> {
    let below = |prefix: &str| listing::below(store, &[prefix, folder].concat());
    Ok(merged(below(KEYS)?, below(PLAIN)?))
}

/// Two sorted lists as one.
fn merged(mut keys: Vec<String>, plain: Vec<String>) -> Vec<String> {
    if !plain.is_empty() {
        keys.extend(plain);
        keys.sort_unstable();
        keys.dedup();
    }
    keys
}

fn check_and_set(fields: &Fields<'_>, config: &Config, known: Option<&Meta>) -> Result<(), Fault> {
    let required = config.metadata_cas_required || known.is_some_and(|meta| meta.metadata_cas_required);
    match (fields.int("metadata_cas")?, known) {
        (None, _) if required => {
            Err(Fault::invalid("metadata check-and-set parameter required for this call"))
        }
        (None, _) | (Some(0), None) => Ok(()),
        (Some(_), None) => Err(Fault::invalid("metadata_cas must be 0 when creating new metadata")),
        (Some(wanted), Some(meta)) if u64::try_from(wanted) == Ok(meta.metadata_version) => Ok(()),
        (Some(_), Some(_)) => {
            Err(Fault::invalid("metadata check-and-set parameter does not match the current version"))
        }
    }
}

fn encoded(json: Zeroizing<Vec<u8>>) -> Response {
    Response { body: Body::Encoded(json), ..Response::empty() }
}

impl Texts<'_> {
    fn whole(&self) -> Result<BTreeMap<String, String>, Fault> {
        match self {
            Self::Cleared => Ok(BTreeMap::new()),
            Self::Given(texts) => custom::whole(texts),
        }
    }
}

// === impl Change ===

impl<'c> Change<'c> {
    fn of(data: &'c Map<String, Value>) -> Result<Self, Fault> {
        let fields = Fields::new(data);
        fields.check(FIELDS)?;
        Ok(Self {
            max_versions: given(data, "max_versions", fields.int("max_versions")?),
            cas_required: given(data, "cas_required", fields.flag("cas_required")?),
            metadata_cas_required: given(
                data,
                "metadata_cas_required",
                fields.flag("metadata_cas_required")?,
            ),
            delete_version_after_secs: fields.seconds("delete_version_after")?,
            custom: match fields.map("custom_metadata")? {
                Some(texts) => Some(Texts::Given(texts)),
                None => data.contains_key("custom_metadata").then_some(Texts::Cleared),
            },
        })
    }

    fn is_empty(&self) -> bool {
        self.max_versions.is_none()
            && self.cas_required.is_none()
            && self.metadata_cas_required.is_none()
            && self.delete_version_after_secs.is_none()
            && self.custom.is_none()
    }

    /// Everything but the texts of the user, which a write replaces and a patch merges.
    fn apply(&self, meta: &mut Meta) {
        meta.max_versions = self.max_versions.map_or(meta.max_versions, wrapped);
        meta.cas_required = self.cas_required.unwrap_or(meta.cas_required);
        meta.metadata_cas_required = self.metadata_cas_required.unwrap_or(meta.metadata_cas_required);
        meta.delete_version_after_secs =
            self.delete_version_after_secs.unwrap_or(meta.delete_version_after_secs);
    }

    /// Nothing, or that a setting of the mount is stronger.
    fn warned(&self, config: &Config) -> Response {
        if config.cas_required && self.cas_required == Some(false) {
            return Response::empty().with_warning(
                "\"cas_required\" set to false, but is mandated by backend config. This value will be ignored.",
            );
        }
        Response::empty()
    }
}
