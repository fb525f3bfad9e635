//! `GET sys/storage/raft/snapshot`: the store as an archive, read while it is sent.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::BytesMut;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::RaftEndpoints;
use crate::barrier::Keyring;
use crate::logical::{Answer, Body, Call, Chunk, Fault, Response, Stream, Streamed};
use crate::raft::archive::{self, Meta};
use crate::storage::raft::RaftStorage;
use crate::system::whole;

/// What seals the sums of a snapshot: another keyring cannot open them.
pub(super) const SUMS_PATH: &str = "sys/storage/raft/snapshot";

/// Bytes of a snapshot handed to the client at once.
const CHUNK_BYTES: usize = 64 * 1024;

impl RaftEndpoints {
    pub(super) fn snapshot(&self, call: &mut Call<'_>) -> Answer {
        let busy = || Fault::TooMany("too many snapshots are being read".to_owned());
        let place = Arc::clone(&self.snapshots).try_acquire_owned().map_err(|_| busy())?;
        let keyring = Arc::clone(whole(call)?.keyring());
        let (chunks, stream) = Stream::new();
        let (storage, taken_at) = (Arc::clone(&self.storage), call.now);
        std::thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || send_snapshot(&storage, &keyring, taken_at, chunks, place))
            .map_err(|error| Fault::Internal(error.to_string()))?;
        let streamed = Streamed { content_type: "application/gzip", stream };
        Ok(Response { body: Body::Stream(streamed), ..Response::empty() })
    }
}

/// Reads the store and hands the archive to the client, as fast as it takes it. An error cuts the answer off.
fn send_snapshot(
    storage: &RaftStorage,
    keyring: &Keyring,
    taken_at: OffsetDateTime,
    chunks: mpsc::Sender<Chunk>,
    _place: OwnedSemaphorePermit,
) {
    let seconds = u64::try_from(taken_at.unix_timestamp()).unwrap_or_default();
    let mut out = ToClient { chunks, pending: BytesMut::new() };
    let (index, image) = storage.image();
    let written = image.size().and_then(|size| {
        let meta = Meta::new(index, &storage.status(), size);
        archive::write(&mut out, &meta, &*image, seconds, |sums| keyring.seal(SUMS_PATH, sums))
    });
    if let Err(error) = written {
        tracing::warn!(%error, "a snapshot was not read to its end");
        drop(out.chunks.blocking_send(Err(error)));
    }
}

/// The client's end of a snapshot.
struct ToClient {
    chunks: mpsc::Sender<Chunk>,
    pending: BytesMut,
}

impl Write for ToClient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = self.pending.split().freeze();
        if chunk.is_empty() {
            return Ok(());
        }
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::storage::raft::{self, Options};

    #[test]
    fn a_snapshot_is_an_archive_under_the_keyring() {
        let scratch = tempfile::tempdir().unwrap();
        let storage = raft::open(scratch.path(), Options::default()).unwrap();
        let keyring = Keyring::generate(OffsetDateTime::UNIX_EPOCH);
        let (chunks, stream) = Stream::new();
        let mut received = stream.take().unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        send_snapshot(&storage, &keyring, OffsetDateTime::UNIX_EPOCH, chunks, place);
        let mut bytes = Vec::new();
        while let Ok(chunk) = received.try_recv() {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        let checked = archive::read(bytes.as_slice(), |_| Ok(())).unwrap();
        assert_eq!(*keyring.open(SUMS_PATH, &checked.sealed_sums).unwrap(), checked.sums);
        assert_eq!(checked.meta.configuration.servers.len(), 1);
        let other = Keyring::generate(OffsetDateTime::UNIX_EPOCH);
        other.open(SUMS_PATH, &checked.sealed_sums).unwrap_err();
    }
}
