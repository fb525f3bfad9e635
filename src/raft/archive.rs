//! The snapshot file operators keep: Vault's archive, a compressed tar of `meta.json`, `state.bin`, their `SHA256SUMS`
//! and those sums once more under the barrier, which tells whose keys open the state.
//!
//! Both directions stream; only the small files are ever in memory.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::machine::Image;
use super::node::{Member, Status};

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
const SEALED_SUMS: &str = "SHA256SUMS.sealed";

const VERSION: u32 = 1;
/// Largest of the small files read back, in bytes.
const MAX_SMALL_FILE: u64 = 1024 * 1024;

/// What a snapshot says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Meta {
    pub version: u32,
    #[serde(rename = "ID")]
    pub id: String,
    pub index: u64,
    pub term: u64,
    pub configuration: Configuration,
    pub configuration_index: u64,
    /// Bytes of the state.
    pub size: u64,
}

/// The group at that index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Configuration {
    pub servers: Vec<Server>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Server {
    /// 0: a voter, 1: not.
    pub suffrage: u8,
    #[serde(rename = "ID")]
    pub id: String,
    pub address: String,
}

/// An archive that was read through and is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub meta: Meta,
    /// What `SHA256SUMS` holds, and the same as sealed by the barrier it was taken under.
    pub sums: Vec<u8>,
    pub sealed_sums: Vec<u8>,
}

/// An archive cannot be used.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("failed to decompress snapshot: {}", said(.0))]
    NotCompressed(io::Error),
    /// Between its files.
    #[error("failed to read snapshot file: failed reading snapshot: {}", said(.0))]
    Broken(io::Error),
    /// Inside one of them.
    #[error("failed to read snapshot file: failed to read or write snapshot data: {}", said(.0))]
    Unreadable(io::Error),
    #[error("failed to read snapshot file: {0}")]
    Wrong(String),
}

// === impl Meta ===

impl Meta {
    /// For an image taken at `index` by a node that stands where `status` says.
    #[must_use]
    pub fn new(index: u64, status: &Status, size: u64) -> Self {
        let server = |member: &Member| Server {
            suffrage: u8::from(!member.is_voter),
            id: member.id.to_string(),
            address: member.address.clone(),
        };
        Self {
            version: VERSION,
            id: "understudy-snapshot".to_owned(),
            index,
            term: status.term,
            configuration: Configuration { servers: status.members.iter().map(server).collect() },
            configuration_index: status.configured_at,
            size,
        }
    }
}

/// Writes an archive of the image. `sealed` puts the sums under the barrier; `taken_at` is in seconds since 1970.
///
/// # Errors
/// The image cannot be read, or `out` fails.
pub fn write(
    out: impl Write,
    meta: &Meta,
    image: &dyn Image,
    taken_at: u64,
    sealed: impl FnOnce(&[u8]) -> Vec<u8>,
) -> io::Result<()> {
    // Ciphertext does not get smaller; the compression is for the format's sake.
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
    let meta_bytes = serde_json::to_vec(meta)?;
    append(&mut archive, META, meta_bytes.len() as u64, taken_at, meta_bytes.as_slice())?;
    let mut state = Hashed::new(image.read()?.take(meta.size));
    append(&mut archive, STATE, meta.size, taken_at, &mut state)?;
    let sums = sums(&Hashed::of(&meta_bytes), &state.finish());
    append(&mut archive, SUMS, sums.len() as u64, taken_at, sums.as_slice())?;
    let sealed = sealed(&sums);
    append(&mut archive, SEALED_SUMS, sealed.len() as u64, taken_at, sealed.as_slice())?;
    archive.into_inner()?.finish()?.flush()
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    size: u64,
    modified: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(modified);
    archive.append_data(&mut header, name, content)
}

fn sums(meta: &str, state: &str) -> Vec<u8> {
    format!("{meta}  {META}\n{state}  {STATE}\n").into_bytes()
}

/// Reads an archive through, hands its state to `take` and compares the sums.
///
/// # Errors
/// It is cut off, altered, or not such an archive; what `take` was given is then worth nothing.
pub fn read(
    from: impl Read,
    take: impl FnOnce(&mut dyn Read) -> io::Result<()>,
) -> Result<Checked, ArchiveError> {
    let mut archive = tar::Archive::new(decompressed(from)?);
    let mut take = Some(take);
    let (mut meta, mut state, mut found, mut sealed_sums) = (None, None, None, Vec::new());
    for entry in archive.entries().map_err(ArchiveError::Broken)? {
        let mut entry = entry.map_err(ArchiveError::Broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match name.as_str() {
            META => meta = Some(small(&mut entry)?),
            SUMS => found = Some(small(&mut entry)?),
            SEALED_SUMS => sealed_sums = small(&mut entry)?,
            STATE => {
                let take = take.take().ok_or_else(|| wrong("there are two states in it"))?;
                let mut hashed = Hashed::new(entry);
                take(&mut hashed).map_err(ArchiveError::Unreadable)?;
                io::copy(&mut hashed, &mut io::sink()).map_err(ArchiveError::Unreadable)?;
                state = Some(hashed.finish());
            }
            other => return Err(wrong(&format!("unexpected file {other:?} in snapshot"))),
        }
    }
    let missing = |name: &str| wrong(&format!("there is no {name} in it"));
    let meta = meta.ok_or_else(|| missing(META))?;
    let (state, found) = (state.ok_or_else(|| missing(STATE))?, found.unwrap_or_default());
    compare(&found, [(META, Hashed::of(&meta)), (STATE, state)])?;
    let meta = serde_json::from_slice(&meta)
        .map_err(|error| wrong(&format!("failed to decode metadata: {error}")))?;
    Ok(Checked { meta, sums: found, sealed_sums })
}

/// Whether the sums are those of the files.
fn compare(sums: &[u8], files: [(&str, String); 2]) -> Result<(), ArchiveError> {
    let sums = String::from_utf8_lossy(sums);
    let sum_of = |name| sums.lines().filter_map(|line| line.split_once("  ")).find(|(_, of)| *of == name);
    for (name, sum) in files {
        let why = match sum_of(name) {
            Some((found, _)) if found == sum => continue,
            Some(_) => "hash check failed",
            None => "file missing",
        };
        return Err(wrong(&format!("failed checking integrity of snapshot: {why} for {name:?}")));
    }
    Ok(())
}

/// The server tells what is not compressed at all from what breaks later.
fn decompressed(mut from: impl Read) -> Result<GzDecoder<impl Read>, ArchiveError> {
    /// A head without names and comments.
    const HEAD: u64 = 10;
    let mut head = Vec::new();
    from.by_ref().take(HEAD).read_to_end(&mut head).map_err(ArchiveError::NotCompressed)?;
    let why = match head.as_slice() {
        [] => "EOF",
        short if (short.len() as u64) < HEAD => "unexpected EOF",
        [0x1f, 0x8b, ..] => return Ok(GzDecoder::new(io::Cursor::new(head).chain(from))),
        _ => "gzip: invalid header",
    };
    Err(ArchiveError::NotCompressed(io::Error::new(io::ErrorKind::InvalidData, why)))
}

/// An end that comes too early in the server's words.
fn said(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof { "unexpected EOF".to_owned() } else { error.to_string() }
}

fn small(entry: &mut impl Read) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    entry.take(MAX_SMALL_FILE + 1).read_to_end(&mut bytes).map_err(ArchiveError::Unreadable)?;
    match bytes.len() as u64 <= MAX_SMALL_FILE {
        true => Ok(bytes),
        false => Err(wrong("one of its small files is not small")),
    }
}

fn wrong(what: &str) -> ArchiveError {
    ArchiveError::Wrong(what.to_owned())
}

/// What passes through is hashed.
struct Hashed<R> {
    from: R,
    hash: Context,
}

impl<R> Hashed<R> {
    fn new(from: R) -> Self {
        Self { from, hash: Context::new(&SHA256) }
    }

    fn finish(self) -> String {
        hex::encode(self.hash.finish())
    }
}

impl Hashed<()> {
    fn of(bytes: &[u8]) -> String {
        let mut hash = Context::new(&SHA256);
        hash.update(bytes);
        hex::encode(hash.finish())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(into)?;
        self.hash.update(into.get(..length).unwrap_or_default());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::NodeId;
    use super::*;

    #[derive(Debug)]
    struct State(Vec<u8>);

    impl Image for State {
        fn size(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn read(&self) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(io::Cursor::new(self.0.clone())))
        }
    }

    fn status() -> Status {
        let id = NodeId::new("n1").unwrap();
        let members = vec![Member { id: id.clone(), address: "h:1".into(), is_voter: true }];
        let leader = Some(id.clone());
        Status {
            node_id: id,
            term: 3,
            leader,
            committed: 9,
            applied: 9,
            configured_at: 1,
            members,
            stopped: None,
        }
    }

    fn archive() -> (Vec<u8>, Vec<u8>) {
        let state: Vec<u8> =
            (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let image = State(state.clone());
        let mut out = Vec::new();
        let meta = Meta::new(9, &status(), image.size().unwrap());
        write(&mut out, &meta, &image, 1_700_000_000, |sums| [b"sealed:", sums].concat()).unwrap();
        (out, state)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (bytes, state) = archive();
        let mut found = Vec::new();
        let checked = read(bytes.as_slice(), |from| from.read_to_end(&mut found).map(drop)).unwrap();
        assert_eq!(found, state);
        assert_eq!(checked.meta, Meta::new(9, &status(), state.len() as u64));
        assert_eq!(checked.sealed_sums, [b"sealed:", checked.sums.as_slice()].concat());
        let json = serde_json::to_string(&checked.meta).unwrap();
        assert_eq!(
            json,
            r#"{"Version":1,"ID":"understudy-snapshot","Index":9,"Term":3,"Configuration":{"Servers":[{"Suffrage":0,"ID":"n1","Address":"h:1"}]},"ConfigurationIndex":1,"Size":400000}"#
        );
    }

    #[test]
    fn what_is_cut_off_altered_or_something_else_is_refused() {
        let (bytes, _) = archive();
        let refuse = |bytes: &[u8]| read(bytes, |_| Ok(())).unwrap_err().to_string();
        assert_eq!(refuse(b""), "failed to decompress snapshot: EOF");
        assert_eq!(refuse(b"garbage"), "failed to decompress snapshot: unexpected EOF");
        assert_eq!(refuse(b"garbage123"), "failed to decompress snapshot: gzip: invalid header");
        for part in 1..20 {
            refuse(&bytes[..bytes.len() * part / 20]);
        }
        for at in (20..bytes.len()).step_by(bytes.len() / 40) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x41;
            refuse(&altered);
        }
    }
}
