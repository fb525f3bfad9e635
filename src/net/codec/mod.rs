//! HTTP/1.1 towards a server, as bytes: a request head out, an answer head and body in. No sockets here, so
//! every test is a function call. Who connects, waits and gives up is `upstream`.
//!
//! Parsing of heads is httparse's, the parser hyper itself uses; framing follows RFC 9112 §6. Anything odd in an
//! answer is [`Garbage`]: the connection is dropped and never used again.

mod answer;
mod body;
mod request;
#[cfg(test)]
mod tests;

pub use answer::{AnswerHead, MAX_HEAD_BYTES, MAX_HEADERS, skip_interim, take_head};
pub use body::{BodyDecoder, Chunk, Piece, has_leftover};
pub use request::{ExtraLine, RequestHead, encode_chunk, encode_last_chunk, encode_request};

/// How the body that follows a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// The server said something that is not an HTTP/1.1 answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Garbage {
    #[error("the answer's head is not HTTP/1.1")]
    Head,
    #[error("the answer's head is longer than 64 KiB or has more than 100 headers")]
    TooLarge,
    #[error("the answer's body length is contradictory")]
    Framing,
    #[error("the answer's chunked body is malformed")]
    Chunk,
}
