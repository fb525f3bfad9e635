//! A command of the store as the bytes that are agreed on.
//!
//! ```text
//!   1 | u8 kind 0 | u32 expectations { u32 key length | key | u8 0, or u8 1 | u64 version }
//!                 | u32 writes { u8 0 | u32 key length | key | u32 value length | value      (put)
//!                              | u8 1 | u32 key length | key }                                (delete)
//!     | u8 kind 1 | 16 id | u64 number | u32 entries { u32 key length | key | u32 value length | value }    a piece
//!     | u8 kind 2 | 16 id | u64 pieces                                                                 installation
//! ```
//!
//! Integers are big endian. Logs out there hold these bytes: a change needs a new version, and every version that a log
//! may still hold stays readable.

use std::io;

use bytes::{Buf, BufMut, Bytes};

use super::super::command::{Command, Install, Piece};
use super::super::table::size;
use super::super::{Changes, Expectation, Write};

const VERSION: u8 = 1;
const CHANGES: u8 = 0;
const PIECE: u8 = 1;
const INSTALL: u8 = 2;
const PUT: u8 = 0;
const DELETE: u8 = 1;

pub(super) fn encode(changes: &Changes) -> Bytes {
    let framing = 10 + changes.expect.len() * 13 + changes.writes.len() * 9;
    let mut out = Vec::with_capacity(size(changes) + framing);
    out.put_slice(&[VERSION, CHANGES]);
    put_count(&mut out, changes.expect.len());
    for Expectation { key, version } in &changes.expect {
        put_bytes(&mut out, key.as_bytes());
        out.put_u8(u8::from(version.is_some()));
        if let Some(version) = version {
            out.put_u64(*version);
        }
    }
    put_count(&mut out, changes.writes.len());
    for write in &changes.writes {
        match write {
            Write::Put { key, value } => {
                out.put_u8(PUT);
                put_bytes(&mut out, key.as_bytes());
                put_bytes(&mut out, value);
            }
            Write::Delete { key } => {
                out.put_u8(DELETE);
                put_bytes(&mut out, key.as_bytes());
            }
        }
    }
    out.into()
}

pub(super) fn encode_piece(piece: &Piece) -> Bytes {
    let size: usize = piece.entries.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
    let mut out = Vec::with_capacity(size + 30);
    out.put_slice(&[VERSION, PIECE]);
    out.put_slice(&piece.id);
    out.put_u64(piece.number);
    put_count(&mut out, piece.entries.len());
    for (key, value) in &piece.entries {
        put_bytes(&mut out, key.as_bytes());
        put_bytes(&mut out, value);
    }
    out.into()
}

pub(super) fn encode_install(install: Install) -> Bytes {
    let mut out = Vec::with_capacity(26);
    out.put_slice(&[VERSION, INSTALL]);
    out.put_slice(&install.id);
    out.put_u64(install.pieces);
    out.into()
}

/// Values are not copied.
///
/// # Errors
/// Damage, or a layout this program does not know.
pub(super) fn decode(mut bytes: Bytes) -> io::Result<Command> {
    let command = match (byte(&mut bytes)?, byte(&mut bytes)?) {
        (VERSION, CHANGES) => Command::Changes(changes(&mut bytes)?),
        (VERSION, PIECE) => Command::Piece(piece(&mut bytes)?),
        (VERSION, INSTALL) => Command::Install(Install { id: id(&mut bytes)?, pieces: number(&mut bytes)? }),
        (version, kind) => {
            return Err(damaged(&format!(
                "version {version}, kind {kind}; this program reads version {VERSION}"
            )));
        }
    };
    match bytes.is_empty() {
        true => Ok(command),
        false => Err(damaged("something follows its end")),
    }
}

fn changes(bytes: &mut Bytes) -> io::Result<Changes> {
    let expect = (0..count(bytes)?).map(|_| expectation(bytes)).collect::<io::Result<_>>()?;
    let writes = (0..count(bytes)?).map(|_| write(bytes)).collect::<io::Result<_>>()?;
    Ok(Changes { seen: None, expect, writes })
}

fn piece(bytes: &mut Bytes) -> io::Result<Piece> {
    let (id, number) = (id(bytes)?, number(bytes)?);
    let entry = |bytes: &mut Bytes| Ok((text(bytes)?, part(bytes)?));
    let entries = (0..count(bytes)?).map(|_| entry(bytes)).collect::<io::Result<_>>()?;
    Ok(Piece { id, number, entries })
}

fn expectation(bytes: &mut Bytes) -> io::Result<Expectation> {
    let key = text(bytes)?;
    let version = match byte(bytes)? {
        0 => None,
        1 => Some(number(bytes)?),
        _ => return Err(damaged("an unknown expectation")),
    };
    Ok(Expectation { key, version })
}

fn write(bytes: &mut Bytes) -> io::Result<Write> {
    match byte(bytes)? {
        PUT => Ok(Write::Put { key: text(bytes)?, value: part(bytes)? }),
        DELETE => Ok(Write::Delete { key: text(bytes)? }),
        _ => Err(damaged("an unknown write")),
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u32(u32::try_from(count).expect("a transaction is bounded"));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.put_slice(bytes);
}

fn byte(bytes: &mut Bytes) -> io::Result<u8> {
    bytes.try_get_u8().map_err(|_| short())
}

fn number(bytes: &mut Bytes) -> io::Result<u64> {
    bytes.try_get_u64().map_err(|_| short())
}

fn id(bytes: &mut Bytes) -> io::Result<[u8; 16]> {
    let mut id = [0; 16];
    bytes.try_copy_to_slice(&mut id).map_err(|_| short())?;
    Ok(id)
}

fn count(bytes: &mut Bytes) -> io::Result<u32> {
    bytes.try_get_u32().map_err(|_| short())
}

fn part(bytes: &mut Bytes) -> io::Result<Bytes> {
    let length = count(bytes)? as usize;
    match bytes.len() >= length {
        true => Ok(bytes.split_to(length)),
        false => Err(short()),
    }
}

fn text(bytes: &mut Bytes) -> io::Result<String> {
    let part = part(bytes)?;
    std::str::from_utf8(&part).map(str::to_owned).map_err(|_| damaged("a key that is not UTF-8"))
}

fn short() -> io::Error {
    damaged("it ends early")
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a transaction in the raft log cannot be read: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(key: &str, value: &str) -> Write {
        Write::Put { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) }
    }

    fn transaction() -> Changes {
        let expect = vec![
            Expectation { key: "a".into(), version: None },
            Expectation { key: "b/c".into(), version: Some(258) },
        ];
        Changes { seen: None, expect, writes: vec![put("b/c", "value"), Write::Delete { key: "é".into() }] }
    }

    #[test]
    fn the_layout_is_what_it_was() {
        let expected = [
            "01",
            "00", // version, kind
            "00000002",
            "00000001",
            "61",
            "00",
            "00000003",
            "622f63",
            "01",
            "0000000000000102", // expectations
            "00000002",
            "00",
            "00000003",
            "622f63",
            "00000005",
            "76616c7565",
            "01",
            "00000002",
            "c3a9", // writes
        ];
        assert_eq!(hex::encode(encode(&transaction())), expected.concat());
        assert_eq!(hex::encode(encode(&Changes::default())), "01000000000000000000");
    }

    #[test]
    fn what_ends_early_or_is_newer_is_refused() {
        let bytes = encode(&transaction());
        for length in 0..bytes.len() {
            decode(bytes.slice(..length)).unwrap_err();
        }
        for (at, value) in [(0, 2), (1, 9)] {
            let mut newer = bytes.to_vec();
            newer[at] = value;
            assert!(decode(newer.into()).unwrap_err().to_string().contains("this program reads"));
        }
    }

    #[test]
    fn a_replacement_is_read_back() {
        let entries = vec![("a/b".to_owned(), Bytes::from_static(b"value")), ("c".to_owned(), Bytes::new())];
        let piece = Piece { id: [7; 16], number: 3, entries };
        let bytes = encode_piece(&piece);
        let expected = [
            "0101",
            "07070707070707070707070707070707",
            "0000000000000003",
            "00000002",
            "00000003612f6200000005",
            "76616c7565",
            "000000016300000000",
        ];
        assert_eq!(hex::encode(&bytes), expected.concat());
        for length in 0..bytes.len() {
            decode(bytes.slice(..length)).unwrap_err();
        }
        assert_eq!(decode(bytes).unwrap(), Command::Piece(piece));
        let install = Install { id: [7; 16], pieces: 4 };
        let bytes = encode_install(install);
        assert_eq!(hex::encode(&bytes), "0102070707070707070707070707070707070000000000000004");
        assert_eq!(decode(bytes).unwrap(), Command::Install(install));
    }

    fn any_write() -> impl Strategy<Value = Write> {
        (".{0,12}", any::<Option<Vec<u8>>>()).prop_map(|(key, value)| match value {
            Some(value) => Write::Put { key, value: value.into() },
            None => Write::Delete { key },
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            expect in prop::collection::vec((".{0,12}", any::<Option<u64>>()), 0..4),
            writes in prop::collection::vec(any_write(), 0..4),
        ) {
            let expect = expect.into_iter().map(|(key, version)| Expectation { key, version }).collect();
            let changes = Changes { seen: None, expect, writes };
            prop_assert_eq!(decode(encode(&changes)).unwrap(), Command::Changes(changes));
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(decode([[VERSION, CHANGES].as_slice(), &bytes].concat().into()));
        }
    }
}
