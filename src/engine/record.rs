//! The record of a plain secret: what kv v1 and cubbyholes store, and what kv v2 finds after an upgrade.
//!
//! ```text
//!   JSON object │ lease hint u64 │ written i64 │ format u8 = 1          numbers little endian
//! ```
//!
//! What is not the JSON stands behind it, so that reading cuts it off and hands the text out as it is.

use std::borrow::Cow;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::barrier::StoreError;
use crate::json_text::Node;
use crate::logical::Request;

/// Where kv keeps plain secrets inside its mount.
pub(super) const PLAIN: &str = "plain/";

const FORMAT: u8 = 1;
const TRAILER: usize = 8 + 8 + 1;
const NO_HINT: u64 = u64::MAX;

/// A plain secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    /// A JSON object.
    pub(super) json: Zeroizing<Vec<u8>>,
    /// How long a reader may keep it, in seconds; `None`: what the mount says.
    pub(super) lease_secs: Option<u64>,
    /// Nanoseconds since 1970.
    pub(super) written: i64,
}

// === impl Plain ===

impl Plain {
    pub(super) fn encode(self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.json;
        bytes.reserve_exact(TRAILER);
        bytes.extend_from_slice(&self.lease_secs.unwrap_or(NO_HINT).to_le_bytes());
        bytes.extend_from_slice(&self.written.to_le_bytes());
        bytes.push(FORMAT);
        bytes
    }

    /// # Errors
    /// The record is not of this format.
    pub(super) fn decode(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, StoreError> {
        let (lease, written) = trailer(&bytes).ok_or_else(unknown_format)?;
        let json = bytes.len().saturating_sub(TRAILER);
        bytes.truncate(json);
        Ok(Self { json: bytes, lease_secs: (lease != NO_HINT).then_some(lease), written })
    }
}

fn trailer(bytes: &[u8]) -> Option<(u64, i64)> {
    let (rest, [format]) = bytes.split_last_chunk::<1>()?;
    let (rest, written) = rest.split_last_chunk::<8>()?;
    let (_, lease) = rest.split_last_chunk::<8>()?;
    (*format == FORMAT).then(|| (u64::from_le_bytes(*lease), i64::from_le_bytes(*written)))
}

pub(super) fn unknown_format() -> StoreError {
    StoreError::Format("a secret's record has an unknown format".to_owned())
}

/// The text of what was sent: the body, or what `data` says where there was none (requests that came another way).
pub(super) fn sent(request: &Request) -> Cow<'_, [u8]> {
    if request.body.is_empty() {
        return Cow::Owned(serde_json::to_vec(&request.data).expect("a map of JSON has a text"));
    }
    Cow::Borrowed(&request.body)
}

/// What was sent, when it is an object with something in it.
pub(super) fn filled_object(sent: &[u8]) -> Option<Node<'_>> {
    let node = Node::first(sent).ok()?;
    let filled = node.members().is_some_and(|members| !members.is_empty());
    filled.then_some(node)
}

/// Nanoseconds since 1970; the end of time is in 2262.
pub(super) fn nanos(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// The text of `node`, with room for a trailer.
pub(super) fn text(node: &Node<'_>, capacity: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(capacity + TRAILER));
    node.write(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_and_others_are_refused() {
        for lease_secs in [None, Some(0), Some(3600)] {
            let plain = || Plain { json: b"{\"a\":1}".to_vec().into(), lease_secs, written: -7 };
            assert_eq!(Plain::decode(plain().encode()).unwrap(), plain());
        }
        let mut other = Plain { json: b"{}".to_vec().into(), lease_secs: None, written: 0 }.encode();
        *other.last_mut().unwrap() = 9;
        assert!(Plain::decode(other).is_err());
        assert!(Plain::decode(Zeroizing::new(vec![FORMAT])).is_err());
    }
}
