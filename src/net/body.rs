//! Bodies on their way: what is sent to a server, and what goes back to a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::serve::BodyWatch;
use super::upstream::UpstreamBody;

/// A request body as the proxy sends it.
pub enum RequestBody {
    Empty,
    /// Read whole: may be sent again.
    Full(Bytes),
    /// Passed through once, piece by piece.
    Stream(Box<StreamBody>),
}

/// A body that is too long, or too slow in coming, to be kept.
pub struct StreamBody {
    /// What was read before it turned out to be too long.
    first: Option<Bytes>,
    rest: Incoming,
    /// From `Content-Length`; `None`: chunked.
    pub length: Option<u64>,
    /// Bytes that may still come; `u64::MAX`: unlimited.
    allowed: u64,
    /// Ends with the upload, before the answer: a server that takes long over a large body is no slow client.
    _watch: BodyWatch,
}

/// Why a request body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestBodyError {
    #[error("the request body is over the limit")]
    TooLarge,
    #[error("the client stopped in the middle of the request body")]
    Aborted,
}

/// Reads a body into memory up to `keep` bytes; what is longer becomes a stream. `watch` goes with the body.
///
/// # Errors
/// The client stopped, or sent more than `limit` bytes (`u64::MAX`: unlimited).
pub async fn read_request_body(
    mut incoming: Incoming,
    keep: usize,
    limit: u64,
    watch: BodyWatch,
) -> Result<RequestBody, RequestBodyError> {
    let length = incoming.size_hint().exact();
    if length == Some(0) {
        return Ok(RequestBody::Empty);
    }
    if length.is_some_and(|length| length > limit) {
        return Err(RequestBodyError::TooLarge);
    }
    if length.is_some_and(|length| length > keep as u64) {
        return Ok(stream(None, incoming, length, limit, watch));
    }
    let mut kept = Kept::default();
    while let Some(data) = next_data(&mut incoming).await? {
        kept.push(data);
        if kept.len() as u64 > limit {
            return Err(RequestBodyError::TooLarge);
        }
        if kept.len() > keep {
            let allowed = limit.saturating_sub(kept.len() as u64);
            return Ok(stream(Some(kept.into_bytes()), incoming, length, allowed, watch));
        }
    }
    Ok(match kept.into_bytes() {
        bytes if bytes.is_empty() => RequestBody::Empty,
        bytes => RequestBody::Full(bytes),
    })
}

fn stream(
    first: Option<Bytes>,
    rest: Incoming,
    length: Option<u64>,
    allowed: u64,
    watch: BodyWatch,
) -> RequestBody {
    RequestBody::Stream(Box::new(StreamBody { first, rest, length, allowed, _watch: watch }))
}

async fn next_data(incoming: &mut Incoming) -> Result<Option<Bytes>, RequestBodyError> {
    std::future::poll_fn(|cx| poll_data(incoming, cx)).await
}

/// Trailers are dropped here: no server behind this proxy wants them, and they are a way round header checks.
fn poll_data(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, RequestBodyError>> {
    loop {
        return Poll::Ready(match std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            None => Ok(None),
            Some(Err(_)) => Err(RequestBodyError::Aborted),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => continue,
                Ok(data) => Ok(Some(data)),
                Err(_) => continue,
            },
        });
    }
}

/// Most bodies come in one piece, which then is not copied.
#[derive(Default)]
struct Kept {
    first: Bytes,
    all: Vec<u8>,
}

impl Kept {
    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    fn len(&self) -> usize {
        self.all.len().max(self.first.len())
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

// --- Debug: how long a body is, never what it says ---

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(stream) => stream.fmt(f),
        }
    }
}

impl std::fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamBody").field("length", &self.length).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(stream) => stream.fmt(f),
        }
    }
}

// === impl StreamBody ===

impl StreamBody {
    /// The next piece; `Ready(Ok(None))` at the end.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, RequestBodyError>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(Some(first)));
        }
        let data = std::task::ready!(poll_data(&mut self.rest, cx))?;
        let length = data.as_ref().map_or(0, Bytes::len) as u64;
        if length > self.allowed {
            return Poll::Ready(Err(RequestBodyError::TooLarge));
        }
        if self.allowed != u64::MAX {
            self.allowed -= length;
        }
        Poll::Ready(Ok(data))
    }
}

/// An answer's body on its way to the client.
pub enum AnswerBody {
    Empty,
    Full(Bytes),
    Stream(Box<UpstreamBody>),
}

/// The server stopped in the middle of an answer: the client's connection is cut, so that it can tell.
#[derive(Debug, thiserror::Error)]
#[error("the server's answer ended early")]
pub struct AnswerCut;

// === impl AnswerBody ===

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerCut>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(body) => body.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream(body) => body.is_done(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(body) => body.remaining().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_body_is_shown() {
        let bytes = Bytes::from_static(b"hunter2");
        assert_eq!(format!("{:?}", RequestBody::Full(bytes.clone())), "Full(7 bytes)");
        assert_eq!(format!("{:?}", AnswerBody::Full(bytes)), "Full(7 bytes)");
    }
}
