//! `X-Vault-Index`: how far a node has come, in the two dialects that exist.
//!
//! ```text
//! OpenBao 2.7        base64 {"cluster":"<id>","value":"<raft applied index>"}      on every success
//! Vault Enterprise   base64 v1:<id>:<local WAL>:<replicated WAL>:<hex HMAC>        on writes only
//! ```
//!
//! The numbers of the two count different things (raft log entries, write-ahead log entries), so an index is only ever
//! compared with one of its own dialect and cluster. Of Vault's two numbers the **local WAL** is the one that counts:
//! the proxy serves exactly one cluster, whose standbys follow its active node's own log; the replicated number is
//! the position in *another* cluster's log and says nothing about which of our nodes is behind. The HMAC needs no key
//! here: the proxy never vouches for a number, it passes the client's own header on and the server checks it.
//!
//! This file reads and writes one header value. Which floors exist and who has reached them is kept elsewhere.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Longest header value looked at. Real ones are 110 (OpenBao) and 230 (Vault) bytes.
pub const MAX_HEADER_BYTES: usize = 512;
/// Longest cluster id kept. Real ones are UUIDs of 36 bytes.
pub const MAX_CLUSTER_BYTES: usize = 128;
/// Base64 turns 4 characters into 3 bytes.
const MAX_DECODED_BYTES: usize = MAX_HEADER_BYTES / 4 * 3;

/// Which product's form the value had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexDialect {
    OpenBao,
    Vault,
}

/// A position in one cluster's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index<'a> {
    pub cluster: &'a str,
    /// Raft applied index (OpenBao) or local WAL (Vault).
    pub value: u64,
    pub dialect: IndexDialect,
}

/// An [`Index`] that owns its text on the stack: parsing allocates nothing.
#[derive(Clone, Copy)]
pub struct ParsedIndex {
    cluster: [u8; MAX_CLUSTER_BYTES],
    cluster_len: u8,
    value: u64,
    dialect: IndexDialect,
}

/// Why a header value is no index. The client's own broken header is still passed on, so that the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IndexError {
    #[error("the index header is longer than {MAX_HEADER_BYTES} bytes")]
    TooLong,
    #[error("the index header is not base64")]
    NotBase64,
    #[error("the index header is neither OpenBao's JSON nor Vault's `v1:` form")]
    UnknownForm,
    #[error("the index header's JSON lacks a usable `cluster` or `value`")]
    BadJson,
    #[error("the index header's `v1:` form does not have its five fields")]
    BadFields,
    #[error("the cluster id in the index header is empty or longer than {MAX_CLUSTER_BYTES} bytes")]
    BadCluster,
    /// OpenBao on PostgreSQL sends an opaque word here: it can be passed on but not compared.
    #[error("the position in the index header is not a number")]
    NotANumber,
}

/// Reads one header value.
///
/// # Errors
/// Everything that is not exactly one index of at most [`MAX_HEADER_BYTES`].
pub fn parse(header: &[u8]) -> Result<ParsedIndex, IndexError> {
    if header.len() > MAX_HEADER_BYTES {
        return Err(IndexError::TooLong);
    }
    let mut buffer = [0; MAX_DECODED_BYTES];
    let length = STANDARD.decode_slice(header, &mut buffer).map_err(|_| IndexError::NotBase64)?;
    let decoded = buffer.get(..length).unwrap_or_default();
    match decoded.first() {
        Some(b'{') => openbao(decoded),
        Some(b'v') => vault(decoded),
        _ => Err(IndexError::UnknownForm),
    }
}

/// Whether a header value has the form of an index, whatever it says: nothing at all does, too.
#[must_use]
pub fn is_readable(header: &[u8]) -> bool {
    match parse(header) {
        Ok(_) | Err(IndexError::BadCluster | IndexError::NotANumber) => true,
        Err(
            IndexError::TooLong
            | IndexError::NotBase64
            | IndexError::UnknownForm
            | IndexError::BadJson
            | IndexError::BadFields,
        ) => header.is_empty(),
    }
}

/// The header value an OpenBao 2.7 node understands.
#[must_use]
pub fn encode_openbao(cluster: &str, value: u64) -> String {
    let mut digits = itoa::Buffer::new();
    let value = digits.format(value);
    if cluster.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return STANDARD.encode([BEFORE_CLUSTER, cluster, BEFORE_VALUE, value, AFTER_VALUE].concat());
    }
    // A cluster id from a server's answer is not ours to trust: this one needs escaping.
    let cluster = serde_json::Value::from(cluster);
    STANDARD.encode(format!(r#"{{"cluster":{cluster},"value":"{value}"}}"#))
}

/// The JSON exactly as OpenBao writes it, in three pieces.
const BEFORE_CLUSTER: &str = r#"{"cluster":""#;
const BEFORE_VALUE: &str = r#"","value":""#;
const AFTER_VALUE: &str = r#""}"#;

/// The JSON as anybody may write it. Other keys are tolerated: the server tolerates them too.
#[derive(serde::Deserialize)]
struct OpenBaoJson<'a> {
    #[serde(borrow)]
    cluster: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    value: std::borrow::Cow<'a, str>,
}

fn openbao(json: &[u8]) -> Result<ParsedIndex, IndexError> {
    // Before the parser, which does not look inside the strings it skips.
    let json = std::str::from_utf8(json).map_err(|_| IndexError::BadJson)?;
    if let Some((cluster, value)) = as_written_by_openbao(json) {
        return ParsedIndex::new(cluster, number(value)?, IndexDialect::OpenBao);
    }
    let json: OpenBaoJson<'_> = serde_json::from_str(json).map_err(|_| IndexError::BadJson)?;
    ParsedIndex::new(json.cluster.as_ref(), number(&json.value)?, IndexDialect::OpenBao)
}

/// The usual case without a JSON parser: nothing escaped, no other keys.
fn as_written_by_openbao(json: &str) -> Option<(&str, &str)> {
    let inside = json.strip_prefix(BEFORE_CLUSTER)?.strip_suffix(AFTER_VALUE)?;
    let (cluster, value) = inside.split_once(BEFORE_VALUE)?;
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_plain(cluster) && is_plain(value)).then_some((cluster, value))
}

fn vault(text: &[u8]) -> Result<ParsedIndex, IndexError> {
    let text = std::str::from_utf8(text).map_err(|_| IndexError::UnknownForm)?;
    let mut fields = text.split(':');
    if fields.next() != Some("v1") {
        return Err(IndexError::UnknownForm);
    }
    let (Some(cluster), Some(local), Some(replicated), Some(hmac), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(IndexError::BadFields);
    };
    if hmac.is_empty() || !hmac.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(IndexError::BadFields);
    }
    // Read only to refuse what is no index; see the head of the file for why it does not count.
    number(replicated)?;
    ParsedIndex::new(cluster, number(local)?, IndexDialect::Vault)
}

/// Digits only: `u64::from_str` alone would take a leading `+`.
fn number(text: &str) -> Result<u64, IndexError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IndexError::NotANumber);
    }
    text.parse().map_err(|_| IndexError::NotANumber)
}

// === impl Index ===

impl Index<'_> {
    /// Which of two positions is further on; `None` when they are of different clusters or dialects.
    #[must_use]
    pub fn compare(&self, other: &Index<'_>) -> Option<Ordering> {
        let comparable = self.dialect == other.dialect && self.cluster == other.cluster;
        comparable.then(|| self.value.cmp(&other.value))
    }
}

// === impl ParsedIndex ===

impl ParsedIndex {
    fn new(cluster: &str, value: u64, dialect: IndexDialect) -> Result<Self, IndexError> {
        let mut bytes = [0; MAX_CLUSTER_BYTES];
        let target = bytes.get_mut(..cluster.len()).ok_or(IndexError::BadCluster)?;
        target.copy_from_slice(cluster.as_bytes());
        let cluster_len = u8::try_from(cluster.len()).map_err(|_| IndexError::BadCluster)?;
        if cluster_len == 0 {
            return Err(IndexError::BadCluster);
        }
        Ok(Self { cluster: bytes, cluster_len, value, dialect })
    }

    #[must_use]
    pub fn cluster(&self) -> &str {
        let bytes = self.cluster.get(..usize::from(self.cluster_len)).unwrap_or_default();
        // Always the bytes of the `&str` given to `new`.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Raft applied index (OpenBao) or local WAL (Vault).
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value
    }

    #[must_use]
    pub fn dialect(&self) -> IndexDialect {
        self.dialect
    }

    #[must_use]
    pub fn as_index(&self) -> Index<'_> {
        Index { cluster: self.cluster(), value: self.value, dialect: self.dialect }
    }
}

impl std::fmt::Debug for ParsedIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_index().fmt(f)
    }
}

impl PartialEq for ParsedIndex {
    fn eq(&self, other: &Self) -> bool {
        self.as_index() == other.as_index()
    }
}

impl Eq for ParsedIndex {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "9dcf58f7-1c55-6a3a-7b14-0d5f0a2f0c11";

    fn b64(text: &str) -> String {
        STANDARD.encode(text)
    }

    fn parse_text(text: &str) -> Result<(String, u64, IndexDialect), IndexError> {
        let parsed = parse(b64(text).as_bytes())?;
        Ok((parsed.cluster().to_owned(), parsed.value(), parsed.dialect()))
    }

    #[test]
    fn both_dialects_are_read() {
        use IndexDialect::{OpenBao, Vault};
        let table = [
            (format!(r#"{{"cluster":"{ID}","value":"2927"}}"#), OpenBao),
            (format!(r#"{{"cluster":"{ID}","value":"2927","namespace":"ns1/"}}"#), OpenBao),
            (format!(r#"{{"value":"2927","x":{{"y":[1]}},"cluster":"{ID}"}}"#), OpenBao),
            (format!(r#"{{"cluster":"\u0039{}","value":"2927"}}"#, ID.strip_prefix('9').unwrap()), OpenBao),
            // The local number counts, whatever the replicated one says.
            (format!("v1:{ID}:2927:0:6f2a"), Vault),
            (format!("v1:{ID}:2927:99999:6f2a"), Vault),
        ];
        for (text, dialect) in table {
            assert_eq!(parse_text(&text), Ok((ID.to_owned(), 2927, dialect)), "{text}");
        }
    }

    #[test]
    fn what_is_no_index_is_told_apart() {
        use IndexError::{BadCluster, BadFields, BadJson, NotANumber, UnknownForm};
        let long = "c".repeat(129);
        let table = [
            (String::new(), UnknownForm),
            ("hello".to_owned(), UnknownForm),
            ("v2:a:1:2:ff".to_owned(), UnknownForm),
            ("{}".to_owned(), BadJson),
            (r#"{"cluster":"a"}"#.to_owned(), BadJson),
            (r#"{"cluster":"a","value":7}"#.to_owned(), BadJson),
            (r#"{"cluster":"a","value":"7"} "#.to_owned() + "x", BadJson),
            (r#"{"cluster":"a","value":"7","value":"8"}"#.to_owned(), BadJson),
            (r#"{"cluster":"a","value":"-7"}"#.to_owned(), NotANumber),
            (r#"{"cluster":"a","value":"+7"}"#.to_owned(), NotANumber),
            (r#"{"cluster":"a","value":""}"#.to_owned(), NotANumber),
            (r#"{"cluster":"a","value":"0/16B3748"}"#.to_owned(), NotANumber),
            (r#"{"cluster":"a","value":"18446744073709551616"}"#.to_owned(), NotANumber),
            (r#"{"cluster":"","value":"7"}"#.to_owned(), BadCluster),
            (format!(r#"{{"cluster":"{long}","value":"7"}}"#), BadCluster),
            ("v1:a:1:2".to_owned(), BadFields),
            ("v1:a:1:2:".to_owned(), BadFields),
            ("v1:a:1:2:zz".to_owned(), BadFields),
            ("v1:a:1:2:ff:gg".to_owned(), BadFields),
            ("v1:a:x:2:ff".to_owned(), NotANumber),
            ("v1:a:1:x:ff".to_owned(), NotANumber),
        ];
        for (text, want) in table {
            assert_eq!(parse_text(&text), Err(want), "{text}");
        }
        assert_eq!(parse(b"e30"), Err(IndexError::NotBase64), "padding is required, as the server does");
        assert_eq!(parse(b"%%%%"), Err(IndexError::NotBase64));
        assert_eq!(parse(b" e30="), Err(IndexError::NotBase64));
        let skipped = STANDARD.encode(b"{\"cluster\":\"a\",\"x\":\"\xfe\",\"value\":\"7\"}");
        assert_eq!(parse(skipped.as_bytes()), Err(IndexError::BadJson), "not UTF-8 where nobody looks");
        assert_eq!(parse(&[b'A'; MAX_HEADER_BYTES + 1]), Err(IndexError::TooLong));
        assert_eq!(parse(&[b'A'; MAX_HEADER_BYTES]), Err(IndexError::UnknownForm));
    }

    #[test]
    fn positions_of_different_logs_are_not_compared() {
        let at = |cluster, value, dialect| Index { cluster, value, dialect };
        let bao = at("a", 5, IndexDialect::OpenBao);
        assert_eq!(bao.compare(&at("a", 4, IndexDialect::OpenBao)), Some(Ordering::Greater));
        assert_eq!(bao.compare(&at("a", 5, IndexDialect::OpenBao)), Some(Ordering::Equal));
        assert_eq!(bao.compare(&at("b", 4, IndexDialect::OpenBao)), None);
        assert_eq!(bao.compare(&at("a", 4, IndexDialect::Vault)), None);
    }

    #[test]
    fn the_first_letters_tell_the_dialects_apart() {
        assert!(encode_openbao(ID, 1).starts_with("eyJ"));
        assert!(b64(&format!("v1:{ID}:1:1:ff")).starts_with("djE6"));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(cluster in "[ -~é]{1,60}", value: u64) {
            let parsed = parse(encode_openbao(&cluster, value).as_bytes()).unwrap();
            prop_assert_eq!(parsed.as_index(), Index { cluster: &cluster, value, dialect: IndexDialect::OpenBao });
        }

        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let result = parse(&bytes);
            prop_assert!(bytes.len() <= MAX_HEADER_BYTES || result == Err(IndexError::TooLong));
            let wrapped = parse(STANDARD.encode(&bytes).as_bytes());
            prop_assert!(wrapped != Err(IndexError::NotBase64));
        }
    }
}
