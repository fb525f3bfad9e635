//! A key in the store: its record, the data of its versions, and what of it is written when.
//!
//! ```text
//!   answer │ Meta as JSON │ answer's length u32 │ data's length u32 │ deletion i64 │ format u8 = 1     little endian
//!   {"data":…,"metadata":…} of the newest version; empty when its data is not in the record
//! ```
//!
//! Invariant: the data of a version that is not destroyed is in the record when it is the newest and at most
//! [`MAX_INSIDE`], else at `data/<n>/<name>`.

use std::ops::Range;

use zeroize::Zeroizing;

use super::meta::{Meta, Version};
use super::upgrade;
use crate::barrier::{StoreError, View};
use crate::engine::record::{Plain, unknown_format};

pub(super) const KEYS: &str = "key/";
const DATA: &str = "data/";

const FORMAT: u8 = 1;
const TRAILER: usize = 4 + 4 + 8 + 1;
/// The newest version never ends.
const NEVER: i64 = i64::MAX;
const BEFORE_DATA: &[u8] = b"{\"data\":";

/// Largest data kept in the key's record, in bytes: changes of settings write the record again.
const MAX_INSIDE: usize = 16 * 1024;

/// A key that is being looked at or changed.
#[derive(Debug)]
pub(super) struct Key {
    name: String,
    pub(super) meta: Meta,
    /// Data of the newest version, where it came with the record or was just put.
    newest: Option<Zeroizing<Vec<u8>>>,
    /// It is stored as version 1 of the engine left it.
    is_plain: bool,
}

/// The record of a key, unread.
#[derive(Debug)]
pub(super) struct Record(Zeroizing<Vec<u8>>);

struct Trailer {
    answer: usize,
    data: usize,
    deletion: i64,
}

// === impl Record ===

impl Record {
    /// Only keys this version of the engine has written: [`Key::load`] knows the others too.
    pub(super) fn load(store: &mut View<'_>, name: &str) -> Result<Option<Self>, StoreError> {
        Ok(store.get(&[KEYS, name].concat())?.map(Self))
    }

    /// The answer to reading the newest version, if it can be read now and is here.
    pub(super) fn answer(mut self, now: i64) -> Result<Zeroizing<Vec<u8>>, Self> {
        match Trailer::of(&self.0) {
            Some(trailer) if trailer.answer > 0 && trailer.deletion > now => {
                self.0.truncate(trailer.answer);
                Ok(self.0)
            }
            Some(_) | None => Err(self),
        }
    }

    fn key(self, name: &str) -> Result<Key, StoreError> {
        let trailer = Trailer::of(&self.0).ok_or_else(unknown_format)?;
        let part = |range: Range<usize>| self.0.get(range).ok_or_else(unknown_format);
        let end = self.0.len().saturating_sub(TRAILER);
        let meta = serde_json::from_slice(part(trailer.answer..end)?).map_err(|_| unknown_format())?;
        let data = match trailer.answer {
            0 => None,
            _ => Some(part(BEFORE_DATA.len()..BEFORE_DATA.len() + trailer.data)?.to_vec().into()),
        };
        Ok(Key { name: name.to_owned(), meta, newest: data, is_plain: false })
    }
}

impl Trailer {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (rest, [format]) = bytes.split_last_chunk::<1>()?;
        let (rest, deletion) = rest.split_last_chunk::<8>()?;
        let (rest, data) = rest.split_last_chunk::<4>()?;
        let (_, answer) = rest.split_last_chunk::<4>()?;
        let length = |bytes: [u8; 4]| usize::try_from(u32::from_le_bytes(bytes)).ok();
        let trailer =
            Self { answer: length(*answer)?, data: length(*data)?, deletion: i64::from_le_bytes(*deletion) };
        (*format == FORMAT).then_some(trailer)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let length = |length: usize| u32::try_from(length).expect("a record is at most 1 MiB").to_le_bytes();
        out.extend_from_slice(&length(self.answer));
        out.extend_from_slice(&length(self.data));
        out.extend_from_slice(&self.deletion.to_le_bytes());
        out.push(FORMAT);
    }
}

// === impl Key ===

impl Key {
    pub(super) fn new(name: &str, now: i64) -> Self {
        Self { name: name.to_owned(), meta: Meta::new(now), newest: None, is_plain: false }
    }

    /// A secret of version 1 of the engine: it becomes the first version.
    pub(super) fn of_plain(name: &str, plain: Plain) -> Self {
        let mut meta = Meta::new(plain.written);
        meta.add(Version { created: plain.written, ..Version::default() }, 0);
        meta.oldest = 1;
        Self { name: name.to_owned(), meta, newest: Some(plain.json), is_plain: true }
    }

    /// Whether there is one, without opening it.
    pub(super) fn is_there(store: &mut View<'_>, name: &str) -> Result<bool, StoreError> {
        let own = store.version(&[KEYS, name].concat())?;
        Ok(own.is_some() || store.version(&upgrade::plain_key(name))?.is_some())
    }

    pub(super) fn load(store: &mut View<'_>, name: &str) -> Result<Option<Self>, StoreError> {
        match Record::load(store, name)? {
            Some(record) => record.key(name).map(Some),
            None => upgrade::load(store, name),
        }
    }

    /// The key of a record that was loaded already.
    pub(super) fn of(
        record: Option<Record>,
        store: &mut View<'_>,
        name: &str,
    ) -> Result<Option<Self>, StoreError> {
        match record {
            Some(record) => record.key(name).map(Some),
            None => upgrade::load(store, name),
        }
    }

    /// The data of a version that is not destroyed.
    pub(super) fn data(&self, store: &mut View<'_>, number: u64) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        if let Some(data) = self.newest.as_ref().filter(|_| number == self.meta.current) {
            return Ok(data.clone());
        }
        let missing = || StoreError::Format("could not find version data".to_owned());
        let stored = store.get(&self.data_key(number))?.ok_or_else(missing)?;
        Ok(Plain::decode(stored)?.json)
    }

    /// Adds a version. [`save`](Self::save) has to follow.
    pub(super) fn put(
        &mut self,
        store: &mut View<'_>,
        version: Version,
        data: Zeroizing<Vec<u8>>,
        mount_max: u32,
    ) -> Result<(), StoreError> {
        let (older, replaced) = (self.meta.current, self.newest.replace(data));
        let trimmed = self.meta.add(version, mount_max);
        if let Some(replaced) = replaced.filter(|_| self.meta.versions.contains_key(&older)) {
            self.put_apart(store, older, replaced)?;
        }
        trimmed.iter().try_for_each(|number| store.delete(&self.data_key(*number)))
    }

    /// Takes the data of a version away for ever. [`save`](Self::save) has to follow.
    pub(super) fn destroy(&mut self, store: &mut View<'_>, number: u64) -> Result<(), StoreError> {
        if !self.meta.destroy(number) {
            return Ok(());
        }
        if number == self.meta.current {
            self.newest = None;
        }
        store.delete(&self.data_key(number))
    }

    /// Writes the record.
    pub(super) fn save(mut self, store: &mut View<'_>) -> Result<(), StoreError> {
        if let Some(large) = self.newest.take_if(|data| data.len() > MAX_INSIDE) {
            self.put_apart(store, self.meta.current, large)?;
        }
        if self.is_plain {
            store.delete(&upgrade::plain_key(&self.name))?;
        }
        store.put(&[KEYS, &self.name].concat(), self.encode()?)
    }

    /// Removes the key and all its versions.
    pub(super) fn remove(self, store: &mut View<'_>) -> Result<(), StoreError> {
        for number in self.meta.versions.keys() {
            store.delete(&self.data_key(*number))?;
        }
        let key = if self.is_plain { upgrade::plain_key(&self.name) } else { [KEYS, &self.name].concat() };
        store.delete(&key)
    }

    fn put_apart(
        &self,
        store: &mut View<'_>,
        number: u64,
        json: Zeroizing<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let written = self.meta.versions.get(&number).map_or(0, |version| version.created);
        store.put(&self.data_key(number), Plain { json, lease_secs: None, written }.encode())
    }

    fn data_key(&self, number: u64) -> String {
        format!("{DATA}{number}/{}", self.name)
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let newest = self.meta.versions.get(&self.meta.current).zip(self.newest.as_ref());
        let mut bytes = newest.map_or_else(Zeroizing::default, |(version, data)| {
            answer(data, &self.meta.shown_version(self.meta.current, *version))
        });
        let trailer = Trailer {
            answer: bytes.len(),
            data: newest.map_or(0, |(_, data)| data.len()),
            deletion: newest.and_then(|(version, _)| version.deletion).unwrap_or(NEVER),
        };
        let meta = serde_json::to_vec(&self.meta).map_err(|_| unknown_format())?;
        let mut whole = Zeroizing::new(Vec::with_capacity(bytes.len() + meta.len() + TRAILER));
        whole.append(&mut bytes);
        whole.extend_from_slice(&meta);
        trailer.write(&mut whole);
        Ok(whole)
    }
}

/// The answer to reading a version.
pub(super) fn answer(data: &[u8], metadata: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([BEFORE_DATA, data, b",\"metadata\":", metadata, b"}"].concat())
}
