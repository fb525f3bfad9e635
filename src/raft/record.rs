//! What is written to disk about agreement, byte by byte: never the library's own layout, which changes with its
//! versions. Integers are big endian; every record begins with the version of its layout.
//!
//! ```text
//!   membership  1 | u16 configs { u16 voters { id } } | u16 nodes { id, address }
//!   mark        1 | u8 origin | position? last | position? of the membership | membership
//!   position?   u8 0, or u8 1 | u64 term | u64 index
//!   id, address u16 length | UTF-8
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::{Buf, BufMut, Bytes};

use super::types::{LogId, Membership, NodeId, Peer, StoredMembership, log_id};

const VERSION: u8 = 1;

/// How the machine came to its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Entry by entry: the log holds the last one, or has purged it.
    Applied,
    /// From another node's snapshot: the log may still end before it.
    Installed,
}

/// What the machine has applied. It is stored with the state in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) origin: Origin,
    pub(super) last: Option<LogId>,
    pub(super) membership: StoredMembership,
}

pub(super) fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

// === impl Mark ===

impl Default for Mark {
    fn default() -> Self {
        Self { origin: Origin::Applied, last: None, membership: StoredMembership::default() }
    }
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.origin == Origin::Installed)];
        put_position(&mut out, self.last.as_ref());
        put_position(&mut out, self.membership.log_id().as_ref());
        out.extend_from_slice(&encode_membership(self.membership.membership()));
        out
    }

    /// # Errors
    /// Damage, or a layout this program does not know.
    pub(super) fn decode(mut bytes: Bytes) -> io::Result<Self> {
        version(&mut bytes, "mark")?;
        let origin = match byte(&mut bytes)? {
            0 => Origin::Applied,
            1 => Origin::Installed,
            _ => return Err(damaged("a mark of an unknown origin")),
        };
        let last = position(&mut bytes)?;
        let changed_at = position(&mut bytes)?;
        let membership = decode_membership(bytes)?;
        Ok(Self { origin, last, membership: StoredMembership::new(changed_at, membership) })
    }
}

pub(super) fn encode_membership(membership: &Membership) -> Vec<u8> {
    let mut out = vec![VERSION];
    let configs = membership.get_joint_config();
    put_count(&mut out, configs.len());
    for voters in configs {
        put_count(&mut out, voters.len());
        voters.iter().for_each(|id| put_text(&mut out, id.as_str()));
    }
    put_count(&mut out, membership.nodes().count());
    for (id, peer) in membership.nodes() {
        put_text(&mut out, id.as_str());
        put_text(&mut out, &peer.address);
    }
    out
}

/// # Errors
/// Damage, or a layout this program does not know.
pub(super) fn decode_membership(mut bytes: Bytes) -> io::Result<Membership> {
    version(&mut bytes, "membership")?;
    let mut configs = Vec::new();
    for _ in 0..count(&mut bytes)? {
        let voters =
            (0..count(&mut bytes)?).map(|_| node_id(&mut bytes)).collect::<io::Result<BTreeSet<_>>>()?;
        configs.push(voters);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..count(&mut bytes)? {
        nodes.insert(node_id(&mut bytes)?, Peer { address: text(&mut bytes)? });
    }
    if bytes.has_remaining() {
        return Err(damaged("a membership with something behind it"));
    }
    Membership::new(configs, nodes).map_err(|error| damaged(error.to_string()))
}

fn put_position(out: &mut Vec<u8>, position: Option<&LogId>) {
    out.put_u8(u8::from(position.is_some()));
    if let Some(position) = position {
        out.put_u64(position.leader_id.term);
        out.put_u64(position.index);
    }
}

fn position(bytes: &mut Bytes) -> io::Result<Option<LogId>> {
    match byte(bytes)? {
        0 => Ok(None),
        1 => Ok(Some(log_id(long(bytes)?, long(bytes)?))),
        _ => Err(damaged("a position that is neither there nor absent")),
    }
}

/// Names and addresses are far below 64 KiB, and so is a cluster.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u16(u16::try_from(count).expect("bounded by what a membership may hold"));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn version(bytes: &mut Bytes, what: &str) -> io::Result<()> {
    match byte(bytes)? {
        VERSION => Ok(()),
        found => Err(damaged(format!("a {what} of version {found}, this program reads {VERSION}"))),
    }
}

fn byte(bytes: &mut Bytes) -> io::Result<u8> {
    bytes.try_get_u8().map_err(|_| short())
}

fn long(bytes: &mut Bytes) -> io::Result<u64> {
    bytes.try_get_u64().map_err(|_| short())
}

fn count(bytes: &mut Bytes) -> io::Result<usize> {
    bytes.try_get_u16().map(usize::from).map_err(|_| short())
}

fn text(bytes: &mut Bytes) -> io::Result<String> {
    let length = count(bytes)?;
    if bytes.remaining() < length {
        return Err(short());
    }
    let text = bytes.split_to(length);
    std::str::from_utf8(&text).map(str::to_owned).map_err(|_| damaged("a name that is not UTF-8"))
}

fn node_id(bytes: &mut Bytes) -> io::Result<NodeId> {
    NodeId::new(&text(bytes)?).ok_or_else(|| damaged("a node id that is none"))
}

fn short() -> io::Error {
    damaged("a record ends early")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        let id = |name| NodeId::new(name).unwrap();
        let configs = vec![BTreeSet::from([id("a"), id("b")]), BTreeSet::from([id("a")])];
        let peer = |address: &str| Peer { address: address.to_owned() };
        let nodes = [(id("a"), peer("h:1")), (id("b"), peer("h:2")), (id("c"), peer(""))];
        Membership::new(configs, BTreeMap::from(nodes)).unwrap()
    }

    fn mark() -> Mark {
        Mark {
            origin: Origin::Installed,
            last: Some(log_id(3, 258)),
            membership: StoredMembership::new(Some(log_id(2, 7)), membership()),
        }
    }

    /// Disks out there hold these bytes: a change needs a new version, and this one stays readable.
    #[test]
    fn the_layout_is_what_it_was() {
        let membership_bytes =
            "010002000200016100016200010001610003000161000368 3a31000162000368 3a320001630000";
        let membership_bytes = membership_bytes.replace(' ', "");
        assert_eq!(hex::encode(encode_membership(&membership())), membership_bytes);
        let expected = format!("010101{:016x}{:016x}01{:016x}{:016x}{membership_bytes}", 3, 258, 2, 7);
        assert_eq!(hex::encode(mark().encode()), expected);
        assert_eq!(hex::encode(Mark::default().encode()), "01000000".to_owned() + "0100000000");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for mark in [mark(), Mark::default()] {
            assert_eq!(Mark::decode(mark.encode().into()).unwrap(), mark);
        }
    }

    #[test]
    fn what_ends_early_or_is_newer_is_refused() {
        let bytes = mark().encode();
        for length in 0..bytes.len() {
            Mark::decode(Bytes::copy_from_slice(&bytes[..length])).unwrap_err();
        }
        let mut newer = bytes;
        newer[0] = 2;
        assert!(Mark::decode(newer.into()).unwrap_err().to_string().contains("version 2"));
    }
}
