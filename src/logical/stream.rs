//! Bytes that come while others are already on their way: of an answer (a snapshot, log lines), or of an upload.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Chunks under way at most: the maker waits for the client.
const CHUNKS: usize = 8;

/// What the maker sends: an error cuts the stream off, so that nobody takes a part for the whole.
pub type Chunk = Result<Bytes, io::Error>;

/// The receiving end; whoever writes the answer, or takes the upload, takes it once.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<Option<mpsc::Receiver<Chunk>>>>);

// === impl Stream ===

impl Stream {
    /// The maker's end and the taker's. Sending fails when the taker has gone.
    #[must_use]
    pub fn new() -> (mpsc::Sender<Chunk>, Self) {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        (sender, Self(Arc::new(Mutex::new(Some(receiver)))))
    }

    /// A stream whose maker has brought a queue of its own.
    #[must_use]
    pub fn of(chunks: mpsc::Receiver<Chunk>) -> Self {
        Self(Arc::new(Mutex::new(Some(chunks))))
    }

    /// The chunks; `None` when somebody has taken them.
    #[must_use]
    pub fn take(&self) -> Option<mpsc::Receiver<Chunk>> {
        self.0.lock().take()
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}
