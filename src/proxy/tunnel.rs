//! Upgraded connections (`sys/events/subscribe` and whatever the operator listed): after a 101, bytes both ways until
//! one side ends or nothing moves for `timeouts.tunnel`. Before the 101 nothing is tunnelled (proxies.md §6.1).

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::net::body::AnswerBody;
use crate::net::upstream::Tunnel;

use super::finish::Record;
use super::worker::Worker;

/// The client's half of an upgrade.
pub(super) type OnUpgrade = hyper::upgrade::OnUpgrade;

/// Bytes moved at a time, each way.
const CHUNK: usize = 16 * 1024;

/// Takes the client's half out of the request, where hyper put it.
pub(super) fn on_upgrade(parts: &mut http::request::Parts) -> Option<OnUpgrade> {
    parts.extensions.remove::<OnUpgrade>()
}

/// Answers 101 and starts the tunnel, which lives on this worker beside the connection that carried the request.
pub(super) fn switch(
    worker: &Rc<Worker>,
    client: OnUpgrade,
    tunnel: Tunnel,
    mut headers: HeaderMap,
    record: &Record,
) -> Response<AnswerBody> {
    let idle = record.tunnel_idle;
    let mut draining = worker.draining();
    tokio::task::spawn_local(async move {
        let carried = tokio::select! {
            carried = carry(client, tunnel, idle) => carried,
            _ = draining.wait_for(|draining| *draining) => Ok(()),
        };
        if let Err(error) = carried {
            tracing::debug!(%error, "a tunnel broke");
        }
    });
    let upgrade = headers.remove(UPGRADE);
    super::guard::strip_response(&mut headers);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
    }
    let mut answer = Response::new(AnswerBody::Empty);
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = headers;
    answer
}

async fn carry(client: OnUpgrade, tunnel: Tunnel, idle: Duration) -> io::Result<()> {
    let upgraded = client.await.map_err(io::Error::other)?;
    // The lease keeps the server's connection count true; it ends with the tunnel.
    let Tunnel { stream, first, lease: _lease } = tunnel;
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(upgraded));
    let (mut from_server, mut to_server) = tokio::io::split(stream);
    to_client.write_all(&first).await?;
    let moved = Cell::new(Instant::now());
    let up = copy(&mut from_client, &mut to_server, &moved);
    let down = copy(&mut from_server, &mut to_client, &moved);
    let quiet = until_quiet(&moved, idle);
    tokio::select! {
        both = async { tokio::try_join!(up, down) } => both.map(|_| ()),
        () = quiet => Ok(()),
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    moved: &Cell<Instant>,
) -> io::Result<()> {
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        moved.set(Instant::now());
        to.write_all(chunk.get(..read).unwrap_or_default()).await?;
    }
}

async fn until_quiet(moved: &Cell<Instant>, idle: Duration) {
    loop {
        let quiet_at = moved.get() + idle;
        if Instant::now() >= quiet_at {
            return;
        }
        tokio::time::sleep_until(quiet_at.into()).await;
    }
}
