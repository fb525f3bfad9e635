//! Another store in the place of this one: its image goes through the log in pieces, and then takes effect at once.
//!
//! Killed at any moment, a node has the old store or the new one. What was acknowledged while the pieces came is of the
//! old one. A transaction that has read the old store is never applied to the new one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::{RwLock, RwLockReadGuard};

use super::super::command::{Install, Piece};
use super::super::image::entries;
use super::super::view::VERSION_BYTES;
use super::super::{Changes, CommitError, CommitIndex};
use super::{RaftStorage, record};

/// Bytes of a piece after which it takes no more: small beside what is applied in one step.
const PIECE_BYTES: usize = 1024 * 1024;

/// A file on its way to be a snapshot that is restored.
const SPOOL: &str = "snapshot-restore.part";

/// Keys and values of an image, checked as they are read.
pub type StoredEntries<'r> = Box<dyn Iterator<Item = io::Result<(String, Bytes)>> + 'r>;

/// The store is as it was.
#[derive(Debug, Error)]
pub enum RestoreError {
    #[error("another snapshot is being restored")]
    Busy,
    #[error("the snapshot cannot be read: {0}")]
    Image(#[from] io::Error),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Keeps transactions and the replacement of what they have read apart.
#[derive(Debug, Default)]
pub(super) struct Replacing {
    /// Held by whoever replaces the store.
    one: Mutex<()>,
    /// Read by those who commit, written while the store is replaced.
    gate: RwLock<()>,
    /// The index of the last replacement since this node was started.
    replaced: AtomicU64,
}

// === impl Replacing ===

impl Replacing {
    /// Admits changes that come from the snapshot of this index; the store is not replaced while the guard lives.
    pub(super) async fn admit(
        &self,
        seen: Option<CommitIndex>,
    ) -> Result<RwLockReadGuard<'_, ()>, CommitError> {
        let guard = self.gate.read().await;
        match seen.is_none_or(|seen| seen >= self.replaced.load(Ordering::Relaxed)) {
            true => Ok(guard),
            false => Err(CommitError::Conflict),
        }
    }
}

// === impl RaftStorage ===

impl RaftStorage {
    /// A file beside the store, to keep an upload in until it is known to be whole. It has no name: nothing is left of it
    /// after a crash.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn spool(&self) -> io::Result<File> {
        unnamed(&self.path.join(SPOOL))
    }

    /// Whether the disk has room for so many bytes and what must stay free.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.space.has(bytes)
    }

    /// Replaces everything by what an image gave. For a thread that may block.
    ///
    /// # Errors
    /// See [`RestoreError`]; only after [`CommitError::Unknown`] the store may have been replaced all the same.
    pub fn restore(&self, image: &mut dyn Read) -> Result<CommitIndex, RestoreError> {
        let Some(_one) = self.replacing.one.try_lock() else { return Err(RestoreError::Busy) };
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let id = uuid::Uuid::new_v4().into_bytes();
        let sent = self.send(&runtime, id, image);
        if sent.is_err() {
            runtime.block_on(self.forget_pieces());
        }
        runtime.block_on(self.install(Install { id, pieces: sent? }))
    }

    /// Sends the image in pieces and returns how many there were.
    fn send(&self, runtime: &Runtime, id: [u8; 16], image: &mut dyn Read) -> Result<u64, RestoreError> {
        let (mut entries, mut number) = (entries_of(image), 0);
        loop {
            let (part, ended) = part(&mut entries)?;
            let piece = Piece { id, number, entries: part };
            runtime.block_on(self.agree(record::encode_piece(&piece)))?;
            number += 1;
            if ended {
                return Ok(number);
            }
        }
    }

    /// The first piece of another restore, which never comes, drops what is kept of this one. It needs no room.
    async fn forget_pieces(&self) {
        let nothing = Piece { id: uuid::Uuid::new_v4().into_bytes(), number: 0, entries: Vec::new() };
        if let Err(error) = self.node.propose(record::encode_piece(&nothing)).await {
            tracing::warn!(%error, "the pieces of a snapshot that was not restored stay until the next restore");
        }
    }

    /// A transaction may have begun when the new store could be seen and its keys were not yet followed: what it seals
    /// would be lost. So a second entry follows, which is empty, and only who has seen that one is admitted.
    async fn install(&self, install: Install) -> Result<CommitIndex, RestoreError> {
        let _alone = self.replacing.gate.write().await;
        let installed = self.agree(record::encode_install(install)).await?;
        self.replacing.replaced.store(installed + 1, Ordering::Relaxed);
        let nothing = Changes { seen: None, expect: Vec::new(), writes: Vec::new() };
        let followed = self.agree(record::encode(&nothing)).await?;
        self.replacing.replaced.store(followed, Ordering::Relaxed);
        Ok(followed)
    }
}

/// The entries of an image.
#[must_use]
pub fn entries_of(image: &mut dyn Read) -> StoredEntries<'_> {
    let plain = |(key, stored): (String, Vec<u8>)| (key, Bytes::from(stored).split_off(VERSION_BYTES));
    Box::new(entries(image).map(move |entry| entry.map(plain)))
}

fn unnamed(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// The entries of the next piece, and whether it is the last.
fn part(entries: &mut StoredEntries<'_>) -> io::Result<(Vec<(String, Bytes)>, bool)> {
    let (mut part, mut bytes) = (Vec::new(), 0);
    while bytes < PIECE_BYTES {
        let Some((key, value)) = entries.next().transpose()? else { return Ok((part, true)) };
        bytes += key.len() + value.len();
        part.push((key, value));
    }
    Ok((part, false))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::contract::{put, writes};
    use super::super::super::{Storage, Write};
    use super::super::{Options, open};
    use super::*;

    fn store() -> (tempfile::TempDir, Arc<RaftStorage>) {
        let scratch = tempfile::tempdir().unwrap();
        let store = open(scratch.path(), Options::default()).unwrap();
        (scratch, store)
    }

    fn commit(store: &RaftStorage, changes: Changes) -> Result<CommitIndex, CommitError> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.commit(changes))
    }

    fn image(store: &RaftStorage) -> Vec<u8> {
        let mut bytes = Vec::new();
        store.image().1.read().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn keys(store: &RaftStorage) -> Vec<String> {
        store.snapshot().keys("", "", usize::MAX).unwrap()
    }

    #[test]
    fn a_store_takes_the_place_of_another_and_stays_over_a_restart() {
        let (from, to) = (store(), store());
        for n in 0..3 {
            commit(&from.1, writes(vec![put(&format!("new{n}"), &"v".repeat(700_000))])).unwrap();
        }
        commit(&to.1, writes(vec![put("old", "v")])).unwrap();
        let before = to.1.snapshot();
        let index = to.1.restore(&mut image(&from.1).as_slice()).unwrap();
        assert_eq!(keys(&to.1), ["new0", "new1", "new2"]);
        assert!(to.1.snapshot().index() == index && index > before.index());
        assert!(before.get("old").unwrap().is_some(), "who reads goes on reading what was");
        let version = to.1.snapshot().get("new0").unwrap().unwrap().version;
        assert!(version > before.index(), "versions go on too");
        drop((before, to.1));
        let again = open(to.0.path(), Options::default()).unwrap();
        assert_eq!(keys(&again), ["new0", "new1", "new2"]);
    }

    #[test]
    fn an_image_that_is_cut_off_changes_nothing() {
        let (from, to) = (store(), store());
        commit(&from.1, writes(vec![put("new", &"v".repeat(1_500_000))])).unwrap();
        commit(&to.1, writes(vec![put("old", "v")])).unwrap();
        let image = image(&from.1);
        for length in [0, 30, image.len() - 1] {
            let error = to.1.restore(&mut &image[..length]).unwrap_err();
            assert!(matches!(error, RestoreError::Image(_)), "{error}");
            assert_eq!(keys(&to.1), ["old"]);
            assert_eq!(to.1.table.pieces(), 0, "nothing is kept of it");
        }
        to.1.restore(&mut image.as_slice()).unwrap();
        assert_eq!(keys(&to.1), ["new"]);
    }

    #[test]
    fn what_has_read_the_old_store_conflicts() {
        let (_scratch, store) = store();
        let write = || vec![Write::Delete { key: "k".into() }];
        let seen = Some(commit(&store, writes(write())).unwrap());
        let changes = || Changes { seen, expect: Vec::new(), writes: write() };
        commit(&store, changes()).unwrap();
        let bytes = image(&store);
        store.restore(&mut bytes.as_slice()).unwrap();
        assert!(matches!(commit(&store, changes()), Err(CommitError::Conflict)));
        // The new store, but perhaps not its keys.
        let seen = Some(store.snapshot().index() - 1);
        let early = Changes { seen, expect: Vec::new(), writes: write() };
        assert!(matches!(commit(&store, early), Err(CommitError::Conflict)));
        let seen = Some(store.snapshot().index());
        commit(&store, Changes { seen, expect: Vec::new(), writes: write() }).unwrap();
    }
}
