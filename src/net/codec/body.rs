//! An answer's body, taken off a buffer piece by piece: by length, chunked, or until the server closes.

use bytes::{Buf, Bytes, BytesMut};

use super::{Framing, Garbage};

/// Longest chunk-size line, extensions included.
const MAX_CHUNK_LINE: usize = 256;
/// Longest trailer section; trailers are read and dropped.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

/// Takes an answer's body off a buffer, piece by piece.
#[derive(Debug)]
pub enum BodyDecoder {
    Done,
    Length { left: u64 },
    Chunked(Chunk),
    UntilClose,
}

/// Where in a chunked body the decoder stands.
#[derive(Debug)]
pub enum Chunk {
    Size,
    Data { left: u64 },
    DataEnd,
    Trailer { seen: usize },
}

/// What [`BodyDecoder::take`] found.
#[derive(PartialEq, Eq)]
pub enum Piece {
    Data(Bytes),
    NeedMore,
    End,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::NeedMore => f.write_str("NeedMore"),
            Self::End => f.write_str("End"),
        }
    }
}

// === impl BodyDecoder ===

impl BodyDecoder {
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Done,
            Framing::Length(left) => Self::Length { left },
            Framing::Chunked => Self::Chunked(Chunk::Size),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// The body ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// An end of stream is this body's proper end.
    #[must_use]
    pub fn ends_with_stream(&self) -> bool {
        matches!(self, Self::UntilClose | Self::Done)
    }

    /// Bytes still to come, when known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length { left } => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes the next piece of the body off the front of `buffer`.
    ///
    /// # Errors
    /// The chunked coding is malformed.
    pub fn take(&mut self, buffer: &mut BytesMut) -> Result<Piece, Garbage> {
        match self {
            Self::Done => Ok(Piece::End),
            Self::UntilClose if buffer.is_empty() => Ok(Piece::NeedMore),
            Self::UntilClose => Ok(Piece::Data(buffer.split().freeze())),
            Self::Length { left } => {
                let Some(data) = take_up_to(buffer, *left) else { return Ok(Piece::NeedMore) };
                *left -= data.len() as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Piece::Data(data))
            }
            Self::Chunked(_) => self.take_chunked(buffer),
        }
    }

    fn take_chunked(&mut self, buffer: &mut BytesMut) -> Result<Piece, Garbage> {
        loop {
            let Self::Chunked(chunk) = self else { return Ok(Piece::End) };
            let next = match chunk {
                Chunk::Size => match take_line(buffer, MAX_CHUNK_LINE)? {
                    None => return Ok(Piece::NeedMore),
                    Some(line) => match chunk_size(&line)? {
                        0 => Some(Chunk::Trailer { seen: 0 }),
                        left => Some(Chunk::Data { left }),
                    },
                },
                Chunk::Data { left } => {
                    let Some(data) = take_up_to(buffer, *left) else { return Ok(Piece::NeedMore) };
                    *left -= data.len() as u64;
                    if *left == 0 {
                        *chunk = Chunk::DataEnd;
                    }
                    return Ok(Piece::Data(data));
                }
                Chunk::DataEnd => match take_line(buffer, 0)? {
                    None => return Ok(Piece::NeedMore),
                    Some(_) => Some(Chunk::Size),
                },
                Chunk::Trailer { seen } => match take_line(buffer, MAX_TRAILER_BYTES)? {
                    None => return Ok(Piece::NeedMore),
                    Some(line) if line.is_empty() => None,
                    Some(line) => Some(Chunk::Trailer { seen: trailer_bytes(*seen, line.len())? }),
                },
            };
            *self = next.map_or(Self::Done, Self::Chunked);
        }
    }
}

fn trailer_bytes(seen: usize, more: usize) -> Result<usize, Garbage> {
    let total = seen + more + 2;
    if total > MAX_TRAILER_BYTES { Err(Garbage::Chunk) } else { Ok(total) }
}

fn take_up_to(buffer: &mut BytesMut, left: u64) -> Option<Bytes> {
    if buffer.is_empty() {
        return None;
    }
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    Some(buffer.split_to(length).freeze())
}

/// A line up to CRLF, without it. A bare LF is malformed; so is a line longer than `max`.
fn take_line(buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, Garbage> {
    let Some(end) = buffer.iter().take(max + 2).position(|byte| *byte == b'\n') else {
        return if buffer.len() >= max + 2 { Err(Garbage::Chunk) } else { Ok(None) };
    };
    let line = buffer.split_to(end + 1).freeze();
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(Some(line.slice(..text.len()))),
        None => Err(Garbage::Chunk),
    }
}

/// RFC 9112 §7.1: hex digits, then optional extensions, which are dropped.
fn chunk_size(line: &[u8]) -> Result<u64, Garbage> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, rest) = line.split_at(digits);
    let extension = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    if size.is_empty() || size.len() > 15 || extension.is_some_and(|byte| *byte != b';') {
        return Err(Garbage::Chunk);
    }
    let text = std::str::from_utf8(size).map_err(|_| Garbage::Chunk)?;
    u64::from_str_radix(text, 16).map_err(|_| Garbage::Chunk)
}

/// Bytes left over after a complete answer: a connection that has some is never used again.
#[must_use]
pub fn has_leftover(buffer: &BytesMut) -> bool {
    buffer.has_remaining()
}
