//! A whole store as one stream: what a snapshot holds.
//!
//! ```text
//!   "understudy-state" | u8 version
//!   entries, by key:   u32 key length | u32 value length | key | version and value as stored
//!   end:               u32 0xffffffff | u64 count | u32 crc of everything before
//! ```
//!
//! Integers are big endian. The end tells a whole stream from one that was cut off.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use super::view::{Rows, VERSION_BYTES, View, failed};
use super::{MAX_KEY_BYTES, MAX_TRANSACTION_BYTES};
use crate::raft::Image;

const MAGIC: &[u8; 16] = b"understudy-state";
const VERSION: u8 = 1;
const END: u32 = u32::MAX;
const END_BYTES: u64 = 4 + 8 + 4;

/// The store at one index.
#[derive(Debug)]
pub(super) struct StoreImage(pub(super) Arc<View>);

/// The stream of an image: one entry at a time is in memory.
struct Stream {
    range: Rows,
    /// What was made and not read yet.
    pending: Vec<u8>,
    read: usize,
    count: u64,
    crc: crc32fast::Hasher,
    ended: bool,
}

/// The entries of a stream, checked.
pub(super) struct Entries<R> {
    from: R,
    count: u64,
    crc: crc32fast::Hasher,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Entries,
    Done,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the state of a snapshot is damaged: {what}"))
}

// === impl StoreImage ===

impl Image for StoreImage {
    /// Reads every entry once.
    fn size(&self) -> io::Result<u64> {
        let mut size = MAGIC.len() as u64 + 1 + END_BYTES;
        for entry in self.0.all().map_err(io::Error::other)? {
            let (key, stored) = entry.map_err(|error| io::Error::other(failed(&error)))?;
            size += 8 + (key.value().len() + stored.value().len()) as u64;
        }
        Ok(size)
    }

    fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        let pending = [MAGIC.as_slice(), &[VERSION]].concat();
        let mut crc = crc32fast::Hasher::new();
        crc.update(&pending);
        let range = self.0.all().map_err(io::Error::other)?;
        Ok(Box::new(Stream { range, pending, read: 0, count: 0, crc, ended: false }))
    }
}

// === impl Stream ===

impl Stream {
    /// Makes the next piece; an empty one is the end.
    fn fill(&mut self) -> io::Result<()> {
        self.pending.clear();
        self.read = 0;
        let next = self.range.next().transpose().map_err(|error| io::Error::other(failed(&error)))?;
        match next {
            Some((key, stored)) => self.entry(key.value(), stored.value()),
            None if !self.ended => self.end(),
            None => {}
        }
        Ok(())
    }

    fn entry(&mut self, key: &str, stored: &[u8]) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("bounded by the store").to_be_bytes();
        self.pending.extend_from_slice(&length(key.as_bytes()));
        self.pending.extend_from_slice(&length(stored));
        self.pending.extend_from_slice(key.as_bytes());
        self.pending.extend_from_slice(stored);
        self.count += 1;
        self.crc.update(&self.pending);
    }

    fn end(&mut self) {
        self.ended = true;
        self.pending.extend_from_slice(&END.to_be_bytes());
        self.pending.extend_from_slice(&self.count.to_be_bytes());
        self.crc.update(&self.pending);
        self.pending.extend_from_slice(&self.crc.clone().finalize().to_be_bytes());
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.pending.len() {
            self.fill()?;
        }
        let left = self.pending.get(self.read..).unwrap_or_default();
        let length = left.len().min(into.len());
        let (taken, room) = (left.get(..length), into.get_mut(..length));
        if let (Some(taken), Some(room)) = (taken, room) {
            room.copy_from_slice(taken);
        }
        self.read += length;
        Ok(length)
    }
}

// === impl Entries ===

/// Reads a stream back: every entry, then an error unless it was whole.
pub(super) fn entries<R: Read>(from: R) -> Entries<R> {
    Entries { from, count: 0, crc: crc32fast::Hasher::new(), state: State::Start }
}

impl<R: Read> Entries<R> {
    fn step(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        if self.state == State::Start {
            self.start()?;
            self.state = State::Entries;
        }
        let key_length = u32::from_be_bytes(self.fixed()?);
        if key_length == END {
            self.end()?;
            self.state = State::Done;
            return Ok(None);
        }
        let stored_length = u32::from_be_bytes(self.fixed()?) as usize;
        let within = VERSION_BYTES..=MAX_TRANSACTION_BYTES + VERSION_BYTES;
        if key_length as usize > MAX_KEY_BYTES || !within.contains(&stored_length) {
            return Err(damaged("an entry over its bounds"));
        }
        let key = String::from_utf8(self.take(key_length as usize)?)
            .map_err(|_| damaged("a key that is not UTF-8"))?;
        let stored = self.take(stored_length)?;
        self.count += 1;
        Ok(Some((key, stored)))
    }

    fn start(&mut self) -> io::Result<()> {
        if self.fixed::<16>()? != *MAGIC {
            return Err(damaged("it is not a state of this program"));
        }
        match self.fixed::<1>()? {
            [VERSION] => Ok(()),
            [found] => Err(damaged(&format!("version {found}, this program reads {VERSION}"))),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let count = u64::from_be_bytes(self.fixed()?);
        let crc = self.crc.clone().finalize();
        let found = u32::from_be_bytes(self.fixed()?);
        match count == self.count && crc == found {
            true => Ok(()),
            false => Err(damaged("its end does not match what came before")),
        }
    }

    fn fixed<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        self.crc.update(&bytes);
        Ok(bytes)
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes)?;
        self.crc.update(&bytes);
        Ok(bytes)
    }
}

impl<R: Read> Iterator for Entries<R> {
    type Item = io::Result<(String, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.state = State::Done;
        }
        step.transpose()
    }
}

impl<R> fmt::Debug for Entries<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entries({:?} after {})", self.state, self.count)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream(after {})", self.count)
    }
}
