//! The records of the log: what `raft-log` frames and checksums, in our layout.
//!
//! ```text
//!   position  u64 term | u64 index
//!   payload   1 | u8 kind | u32 length | u32 crc of these six bytes | bytes
//!   vote      1 | u8 committed | u64 term | u32 length | u32 crc of these fourteen bytes | the candidate's id
//! ```
//!
//! A payload is nothing (kind 0), a command (1), a membership (2) or several commands (3), each with its u32 length
//! before it.
//!
//! A length has a checksum of its own: `raft-log` takes a record that runs past the end of the file for one that was
//! never finished, so a length altered in the middle would silently cut off everything behind it.

use std::io::{self, Read, Write};

use bytes::{Buf, BufMut, Bytes};
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId;
use raft_log::codeq::{Decode, Encode};

use super::super::record::{damaged, decode_membership, encode_membership};
use super::super::types::{Commands, Entry, LeaderId, LogId, MAX_NODE_ID_BYTES, NodeId, Vote, log_id};

const VERSION: u8 = 1;

const BLANK: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;
const GROUP: u8 = 3;

/// Longest payload the log takes, in bytes: a transaction of the store with its framing is far below.
const MAX_PAYLOAD_BYTES: u32 = 64 * 1024 * 1024;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) term: u64,
    pub(super) index: u64,
}

/// What an entry carries, without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payload {
    kind: u8,
    bytes: Bytes,
}

/// A vote as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredVote(pub(super) Vote);

// === impl Position ===

impl From<LogId> for Position {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, index: id.index }
    }
}

impl From<Position> for LogId {
    fn from(position: Position) -> Self {
        log_id(position.term, position.index)
    }
}

impl Encode for Position {
    fn encode<W: Write>(&self, mut out: W) -> io::Result<usize> {
        out.write_all(&self.term.to_be_bytes())?;
        out.write_all(&self.index.to_be_bytes())?;
        Ok(16)
    }
}

impl Decode for Position {
    fn decode<R: Read>(mut from: R) -> io::Result<Self> {
        Ok(Self { term: u64::from_be_bytes(fixed(&mut from)?), index: u64::from_be_bytes(fixed(&mut from)?) })
    }
}

// === impl Payload ===

impl Payload {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn of(entry: Entry) -> Self {
        match entry.payload {
            EntryPayload::Blank => Self { kind: BLANK, bytes: Bytes::new() },
            EntryPayload::Normal(commands) => Self::of_commands(commands.0),
            EntryPayload::Membership(membership) => {
                Self { kind: MEMBERSHIP, bytes: encode_membership(&membership).into() }
            }
        }
    }

    fn of_commands(mut commands: Vec<Bytes>) -> Self {
        if let [command] = commands.as_mut_slice() {
            return Self { kind: COMMAND, bytes: std::mem::take(command) };
        }
        let length = commands.iter().map(|command| 4 + command.len()).sum();
        let mut bytes = Vec::with_capacity(length);
        for command in &commands {
            bytes
                .put_u32(u32::try_from(command.len()).expect("commands are bounded where they are proposed"));
            bytes.extend_from_slice(command);
        }
        Self { kind: GROUP, bytes: bytes.into() }
    }

    /// # Errors
    /// A membership or a group that cannot be read.
    pub(super) fn into_entry(self, position: Position) -> io::Result<Entry> {
        let payload = match self.kind {
            BLANK => EntryPayload::Blank,
            COMMAND => EntryPayload::Normal(Commands(vec![self.bytes])),
            GROUP => EntryPayload::Normal(Commands(commands(self.bytes)?)),
            _ => EntryPayload::Membership(decode_membership(self.bytes)?),
        };
        Ok(Entry { log_id: position.into(), payload })
    }
}

impl Encode for Payload {
    fn encode<W: Write>(&self, mut out: W) -> io::Result<usize> {
        let length = u32::try_from(self.bytes.len()).ok().filter(|length| *length <= MAX_PAYLOAD_BYTES);
        let length =
            length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an entry is too long"))?;
        let head = write_head(&mut out, &[&[VERSION, self.kind], length.to_be_bytes().as_slice()])?;
        out.write_all(&self.bytes)?;
        Ok(head + self.bytes.len())
    }
}

impl Decode for Payload {
    fn decode<R: Read>(mut from: R) -> io::Result<Self> {
        let [version, kind, length @ ..]: [u8; 6] = read_head(&mut from)?;
        let length = u32::from_be_bytes(length);
        if version != VERSION || kind > GROUP || length > MAX_PAYLOAD_BYTES {
            return Err(damaged(format!("an entry of version {version}, kind {kind} and {length} bytes")));
        }
        Ok(Self { kind, bytes: body(&mut from, length as usize)?.into() })
    }
}

// === impl StoredVote ===

impl PartialOrd for StoredVote {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

impl Encode for StoredVote {
    fn encode<W: Write>(&self, mut out: W) -> io::Result<usize> {
        let id = self.0.leader_id.voted_for.as_str().as_bytes();
        let length = u32::try_from(id.len()).expect("a node id is short");
        let start = [VERSION, u8::from(self.0.committed)];
        let term = self.0.leader_id.term.to_be_bytes();
        let head = write_head(&mut out, &[&start, &term, &length.to_be_bytes()])?;
        out.write_all(id)?;
        Ok(head + id.len())
    }
}

impl Decode for StoredVote {
    fn decode<R: Read>(mut from: R) -> io::Result<Self> {
        let head: [u8; 14] = read_head(&mut from)?;
        let [version, committed, t0, t1, t2, t3, t4, t5, t6, t7, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if version != VERSION || committed > 1 || length > MAX_NODE_ID_BYTES {
            return Err(damaged(format!("a vote of version {version} and {length} bytes")));
        }
        let id = body(&mut from, length)?;
        let id = std::str::from_utf8(&id).ok().and_then(NodeId::new);
        let id = id.ok_or_else(|| damaged("a vote for nobody"))?;
        let leader_id = LeaderId::new(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]), id);
        Ok(Self(Vote { leader_id, committed: committed == 1 }))
    }
}

/// The commands of a group. They are not copied.
fn commands(mut bytes: Bytes) -> io::Result<Vec<Bytes>> {
    let short = || damaged("a group of commands ends early");
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.try_get_u32().map_err(|_| short())? as usize;
        if bytes.len() < length {
            return Err(short());
        }
        commands.push(bytes.split_to(length));
    }
    Ok(commands)
}

fn write_head(out: &mut impl Write, parts: &[&[u8]]) -> io::Result<usize> {
    let mut crc = crc32fast::Hasher::new();
    let mut length = 0;
    for part in parts {
        crc.update(part);
        out.write_all(part)?;
        length += part.len();
    }
    out.write_all(&crc.finalize().to_be_bytes())?;
    Ok(length + 4)
}

fn read_head<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let head = fixed(from)?;
    match crc32fast::hash(&head) == u32::from_be_bytes(fixed(from)?) {
        true => Ok(head),
        false => Err(damaged("the head of a record does not match its checksum")),
    }
}

fn fixed<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Grows as bytes arrive: a length is believed only as far as there is something behind it.
fn body(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match from.take(length as u64).read_to_end(&mut bytes)? {
        read if read == length => Ok(bytes),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(record: &impl Encode) -> Vec<u8> {
        let mut out = Vec::new();
        let length = record.encode(&mut out).unwrap();
        assert_eq!(length, out.len());
        out
    }

    fn vote() -> StoredVote {
        StoredVote(Vote { leader_id: LeaderId::new(5, NodeId::new("n1").unwrap()), committed: true })
    }

    fn command() -> Payload {
        Payload { kind: COMMAND, bytes: Bytes::from_static(b"abc") }
    }

    /// Disks out there hold these bytes: a change needs a new version, and this one stays readable.
    #[test]
    fn the_layout_is_what_it_was() {
        assert_eq!(hex::encode(bytes(&Position { term: 2, index: 9 })), "00000000000000020000000000000009");
        assert_eq!(hex::encode(bytes(&command())), "010100000003".to_owned() + "def70a0c" + "616263");
        assert_eq!(
            hex::encode(bytes(&vote())),
            "010100000000000000050000000 2".replace(' ', "") + "b7ccaf68" + "6e31"
        );
    }

    #[test]
    fn a_group_is_its_commands() {
        let of =
            |texts: &[&'static str]| texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
        for texts in [&["abc"][..], &["abc", "", "de"], &[]] {
            let commands: Vec<Bytes> = of(texts);
            let payload = Payload::decode(bytes(&Payload::of_commands(commands.clone())).as_slice()).unwrap();
            let entry = payload.into_entry(Position { term: 1, index: 1 }).unwrap();
            assert_eq!(entry.payload, EntryPayload::Normal(Commands(commands)));
        }
        let group = Payload::of_commands(of(&["abc", "de"]));
        assert_eq!(hex::encode(&group.bytes), "00000003616263000000026465");
        for length in [1, 3, 5, 12] {
            commands(group.bytes.slice(..length)).unwrap_err();
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Payload::decode(bytes(&command()).as_slice()).unwrap(), command());
        assert_eq!(StoredVote::decode(bytes(&vote()).as_slice()).unwrap(), vote());
    }

    /// Only what is cut off may look unfinished.
    #[test]
    fn an_altered_length_is_damage() {
        let kind = |result: io::Result<Payload>| result.unwrap_err().kind();
        let whole = bytes(&command());
        for at in 0..10 {
            let mut altered = whole.clone();
            altered[at] ^= 0x80;
            assert_eq!(kind(Payload::decode(altered.as_slice())), io::ErrorKind::InvalidData, "byte {at}");
        }
        for length in 0..whole.len() {
            assert_eq!(
                kind(Payload::decode(&whole[..length])),
                io::ErrorKind::UnexpectedEof,
                "{length} bytes"
            );
        }
    }
}
