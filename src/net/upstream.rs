//! One request and its answer over one leased connection, driven by the request's own task: no helper task, no
//! channel, so a small exchange costs one write and one read. Framing is `codec`'s, connections are `pool`'s.
//!
//! ```text
//!            ┌── head + small body: one write ──┐
//!  request ──┤                                  ├──> server ──> head (+ small body: one read) ──> answer
//!            └── head, then pieces, while       ┘                    └── large body: streamed, the lease
//!                watching for an early answer                            rides along and returns at its end
//! ```

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::AsyncWrite;

use super::body::{AnswerBody, RequestBody, RequestBodyError, StreamBody};
use super::client::Stream;
use super::codec::{self, AnswerHead, BodyDecoder, Framing, Garbage, Piece};

pub use super::codec::{ExtraLine, RequestHead};
use super::pool::{Connection, Lease};

/// First read of an answer: most heads and bodies together are smaller.
const READ_CHUNK: usize = 8 * 1024;
/// Bodies up to this size are copied behind the head, so that both leave in one write.
const INLINE_BODY: usize = 16 * 1024;
/// Answers of known length up to this size are read whole before they are passed on.
const COLLECT_UP_TO: u64 = 64 * 1024;

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
    /// The answer came before the request body was sent whole: the client's connection cannot go on.
    pub early: bool,
    /// Set on 101: the raw connection.
    pub tunnel: Option<Tunnel>,
    /// When all of it that is not streamed had been read.
    pub at: Instant,
}

/// A connection that stopped speaking HTTP.
pub struct Tunnel {
    pub stream: Stream,
    /// Bytes that came behind the 101.
    pub first: Bytes,
    /// Keeps the server's connection count true while the tunnel lasts.
    pub lease: Lease,
}

// --- Debug: no header values, no bytes ---

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut answer = f.debug_struct("Answer");
        answer.field("status", &self.status).field("body", &self.body).field("early", &self.early);
        answer.finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// Why an exchange failed. Whether the request may have been executed is told by the `sent` cell.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    #[error(transparent)]
    Garbage(#[from] Garbage),
    #[error(transparent)]
    RequestBody(#[from] RequestBodyError),
}

/// Sends one request and reads its answer. `sent` becomes true with the first byte that left: after that only
/// the answer can tell whether the request ran. `room`: an empty map for the answer's header lines.
///
/// # Errors
/// The connection broke, the server talked garbage or the client's body failed. The connection is closed.
pub async fn exchange(
    mut lease: Lease,
    head: RequestHead<'_>,
    body: RequestBody,
    mut room: HeaderMap,
    sent: &Cell<bool>,
) -> Result<Box<Answer>, ExchangeError> {
    let connection = lease.connection();
    let mut out = std::mem::take(&mut connection.out);
    out.clear();
    let framing = request_framing(&body);
    codec::encode_request(&mut out, head, framing);
    let written = match body {
        RequestBody::Empty => {
            let written = write_all(&mut connection.stream, &mut out, sent).await;
            if written.is_ok() {
                connection.out = out;
            }
            written.map(|()| false)
        }
        RequestBody::Full(bytes) if bytes.len() <= INLINE_BODY => {
            out.extend_from_slice(&bytes);
            write_all(&mut connection.stream, &mut out, sent).await.map(|()| false)
        }
        RequestBody::Full(bytes) => Box::pin(write_both(connection, out, bytes, sent)).await.map(|()| false),
        RequestBody::Stream(stream) => {
            let upload = Upload { out, stream, ended: false, framing, method: head.method };
            // Boxed, as the other rare turns are: every request would pay for the room.
            Box::pin(upload.run(connection, sent)).await
        }
    };
    match written {
        Ok(early) => {
            let answer = read_answer(connection, head.method, &mut room).await?;
            Ok(finish(lease, answer, early))
        }
        Err(ExchangeError::Broken(error)) if sent.get() => {
            Box::pin(salvage(lease, head.method, room, error)).await
        }
        Err(error) => Err(error),
    }
}

/// A server that refuses a body says so and closes: what it said counts more than that it closed.
async fn salvage(
    mut lease: Lease,
    method: &Method,
    mut room: HeaderMap,
    broken: io::Error,
) -> Result<Box<Answer>, ExchangeError> {
    match read_answer(lease.connection(), method, &mut room).await {
        Ok(answer) => Ok(finish(lease, answer, true)),
        Err(_) => Err(ExchangeError::Broken(broken)),
    }
}

async fn write_both(
    connection: &mut Connection,
    mut head: BytesMut,
    mut body: Bytes,
    sent: &Cell<bool>,
) -> Result<(), ExchangeError> {
    write_all(&mut connection.stream, &mut head, sent).await?;
    write_all(&mut connection.stream, &mut body, sent).await
}

fn request_framing(body: &RequestBody) -> Framing {
    match body {
        RequestBody::Empty => Framing::None,
        RequestBody::Full(bytes) => Framing::Length(bytes.len() as u64),
        RequestBody::Stream(stream) => stream.length.map_or(Framing::Chunked, Framing::Length),
    }
}

async fn write_all(stream: &mut Stream, data: &mut impl Buf, sent: &Cell<bool>) -> Result<(), ExchangeError> {
    std::future::poll_fn(|cx| poll_write_all(stream, data, sent, cx)).await.map_err(ExchangeError::Broken)
}

fn poll_write_all(
    stream: &mut Stream,
    data: &mut impl Buf,
    sent: &Cell<bool>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while data.has_remaining() {
        let written = ready!(Pin::new(&mut *stream).poll_write(cx, data.chunk()))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        sent.set(true);
        data.advance(written);
    }
    match stream {
        Stream::Plain(_) => Poll::Ready(Ok(())),
        Stream::Tls(_) => Pin::new(stream).poll_flush(cx),
    }
}

/// Reads more into the connection's buffer; `Ok(0)`: the server closed.
fn poll_read_more(connection: &mut Connection, want: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    connection.buffer.reserve(want);
    tokio_util::io::poll_read_buf(Pin::new(&mut connection.stream), cx, &mut connection.buffer)
}

/// Reads a head, and the body behind it when it is small and of known length.
async fn read_answer(
    connection: &mut Connection,
    method: &Method,
    room: &mut HeaderMap,
) -> Result<AnswerHead, ExchangeError> {
    let head = loop {
        if !connection.buffer.is_empty()
            && let Some(head) = codec::take_head(&mut connection.buffer, method, room)?
        {
            break head;
        }
        read_some(connection, READ_CHUNK).await?;
    };
    if let Some(length) = collected(head.framing) {
        while connection.buffer.len() < length {
            let missing = length - connection.buffer.len();
            read_some(connection, missing).await?;
        }
    }
    Ok(head)
}

/// The length of a body that is read whole before it is passed on.
fn collected(framing: Framing) -> Option<usize> {
    match framing {
        Framing::Length(length) if length <= COLLECT_UP_TO => Some(length as usize),
        Framing::Length(_) | Framing::None | Framing::Chunked | Framing::UntilClose => None,
    }
}

async fn read_some(connection: &mut Connection, want: usize) -> Result<(), ExchangeError> {
    match std::future::poll_fn(|cx| poll_read_more(connection, want, cx)).await {
        Ok(0) => Err(ExchangeError::Broken(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(ExchangeError::Broken(error)),
    }
}

/// What [`read_answer`] read whole goes out and the connection back at once; other bodies take the lease along.
fn finish(mut lease: Lease, head: AnswerHead, early: bool) -> Box<Answer> {
    let AnswerHead { status, headers, framing, keep_alive } = head;
    let at = Instant::now();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Box::new(switch_protocols(lease, headers, at));
    }
    let reusable = keep_alive && !early;
    let whole = if framing == Framing::None {
        Some(AnswerBody::Empty)
    } else {
        let length = collected(framing);
        length.map(|length| AnswerBody::Full(lease.connection().buffer.split_to(length).freeze()))
    };
    let body = match whole {
        Some(body) => {
            release(lease, reusable, at);
            body
        }
        None => AnswerBody::Stream(Box::new(UpstreamBody {
            decoder: BodyDecoder::new(framing),
            lease: Some(lease),
            reusable,
        })),
    };
    Box::new(Answer { status, headers, body, early, tunnel: None, at })
}

/// Gives the connection back if it may be used again, else closes it.
fn release(mut lease: Lease, reusable: bool, now: Instant) {
    if reusable && !codec::has_leftover(&lease.connection().buffer) {
        lease.give_back(now);
    }
}

fn switch_protocols(mut lease: Lease, headers: HeaderMap, at: Instant) -> Answer {
    let first = lease.connection().buffer.split().freeze();
    let (connection, lease) = lease.into_parts();
    let tunnel = connection.map(|connection| Tunnel { stream: connection.stream, first, lease });
    let status = StatusCode::SWITCHING_PROTOCOLS;
    Answer { status, headers, body: AnswerBody::Empty, early: false, tunnel, at }
}

/// A request body passed through piece by piece, with an eye on the server: an answer that comes early ends it.
struct Upload<'a> {
    method: &'a Method,
    out: BytesMut,
    stream: Box<StreamBody>,
    ended: bool,
    framing: Framing,
}

// === impl Upload ===

impl Upload<'_> {
    /// True when the server answered before it had the whole body.
    async fn run(mut self, connection: &mut Connection, sent: &Cell<bool>) -> Result<bool, ExchangeError> {
        std::future::poll_fn(|cx| self.poll(connection, sent, cx)).await
    }

    fn poll(
        &mut self,
        connection: &mut Connection,
        sent: &Cell<bool>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, ExchangeError>> {
        while let Poll::Ready(read) = poll_read_more(connection, READ_CHUNK, cx) {
            if read.map_err(ExchangeError::Broken)? == 0 {
                return Poll::Ready(Err(ExchangeError::Broken(io::ErrorKind::UnexpectedEof.into())));
            }
            codec::skip_interim(&mut connection.buffer, self.method)?;
            if !connection.buffer.is_empty() {
                return Poll::Ready(Ok(true));
            }
        }
        loop {
            ready!(poll_write_all(&mut connection.stream, &mut self.out, sent, cx))
                .map_err(ExchangeError::Broken)?;
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            match ready!(self.stream.poll_next(cx))? {
                Some(data) => self.put(&data),
                None => self.end()?,
            }
        }
    }

    fn put(&mut self, data: &[u8]) {
        match self.framing {
            Framing::Chunked => codec::encode_chunk(&mut self.out, data),
            Framing::None | Framing::Length(_) | Framing::UntilClose => self.out.extend_from_slice(data),
        }
    }

    fn end(&mut self) -> Result<(), ExchangeError> {
        self.ended = true;
        if self.framing == Framing::Chunked {
            codec::encode_last_chunk(&mut self.out);
        }
        Ok(())
    }
}

/// A large or unbounded answer body: read from the server only as fast as the client takes it.
#[derive(Debug)]
pub struct UpstreamBody {
    decoder: BodyDecoder,
    lease: Option<Lease>,
    reusable: bool,
}

// === impl UpstreamBody ===

impl UpstreamBody {
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Bytes still to come, when the server said how many.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, super::body::AnswerCut>>> {
        match ready!(self.poll_piece(cx)) {
            Ok(Some(data)) => {
                // The reader may not ask again once it has all it was promised.
                if self.decoder.is_done() {
                    self.release();
                }
                Poll::Ready(Some(Ok(data)))
            }
            Ok(None) => {
                self.release();
                Poll::Ready(None)
            }
            Err(_) => {
                self.lease = None;
                self.decoder = BodyDecoder::Done;
                Poll::Ready(Some(Err(super::body::AnswerCut)))
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ExchangeError>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(Ok(None)) };
        let connection = lease.connection();
        loop {
            match self.decoder.take(&mut connection.buffer)? {
                Piece::Data(data) => return Poll::Ready(Ok(Some(data))),
                Piece::End => return Poll::Ready(Ok(None)),
                Piece::NeedMore => {}
            }
            let read =
                ready!(poll_read_more(connection, READ_CHUNK * 2, cx)).map_err(ExchangeError::Broken)?;
            if read == 0 {
                return Poll::Ready(if self.decoder.ends_with_stream() {
                    self.decoder = BodyDecoder::Done;
                    Ok(None)
                } else {
                    Err(ExchangeError::Broken(io::ErrorKind::UnexpectedEof.into()))
                });
            }
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            release(lease, self.reusable, Instant::now());
        }
    }
}
