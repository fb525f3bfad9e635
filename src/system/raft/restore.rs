//! `POST sys/storage/raft/snapshot`: an archive takes the place of the store.
//!
//! ```text
//!   body ─> spool beside the store ─> read through: sums, seal ─> store replaced ─> caches follow, or the node is sealed
//! ```
//!
//! Nothing is changed before the archive has been read through. The answer comes when the store was replaced; the caches
//! have followed by then. A store under other keys than the node holds seals it: it is unsealed with the keys of the
//! snapshot.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::snapshot::SUMS_PATH;
use super::{RaftEndpoints, refused};
use crate::barrier::{HANDOVER, KEYRING, Keyring};
use crate::logical::{Answer, Call, Chunk, Fault, Response, Stream};
use crate::raft::archive::{self, ArchiveError, Checked};
use crate::storage::raft::{RestoreError, StoredEntries, entries_of};
use crate::storage::{CommitError, Snapshot, StorageError, Stored};
use crate::system::whole;

/// The real server's words.
const OTHER_KEYS: &str = "could not verify hash file, possibly the snapshot is using a different set of unseal keys; \
                          use the snapshot-force API to bypass this check";

/// What of a snapshot tells whose keys open it.
#[derive(Debug, Default)]
struct Keys(BTreeMap<String, Stored>);

impl RaftEndpoints {
    pub(super) fn restore(&self, call: &mut Call<'_>) -> Answer {
        self.replace(call, |keyring, checked, keys| match is_ours(keyring, checked, keys) {
            true => Ok(()),
            false => Err(Fault::invalid(OTHER_KEYS)),
        })
    }

    pub(super) fn restore_any(&self, call: &mut Call<'_>) -> Answer {
        self.replace(call, |_, _, _| Ok(()))
    }

    fn replace(
        &self,
        call: &mut Call<'_>,
        judge: impl FnOnce(&Keyring, &Checked, &Keys) -> Result<(), Fault>,
    ) -> Answer {
        let upload = call.request.upload.as_ref().and_then(Stream::take);
        let upload = upload.ok_or_else(|| Fault::Internal("no reader for request".to_owned()))?;
        let Some(_one) = self.restoring.try_lock() else {
            return Err(Fault::TooMany(RestoreError::Busy.to_string()));
        };
        let tx = whole(call)?;
        let keyring = Arc::clone(tx.keyring());
        // The upload takes as long as the client likes; the store shall not keep all it overwrites meanwhile.
        tx.let_go();
        let mut spool = self.spool(upload).map_err(|error| refused(&error.to_string()))?;
        let (checked, keys) = read_through(&mut spool).map_err(|error| refused(&error.to_string()))?;
        judge(&keyring, &checked, &keys)?;
        let index = self.install(&mut spool)?;
        tracing::info!(index, of = checked.meta.index, "a snapshot was restored");
        Ok(Response::empty())
    }

    /// The upload as a file that has no name: whatever happens, nothing is left of it.
    fn spool(&self, mut upload: mpsc::Receiver<Chunk>) -> io::Result<File> {
        let spool = self.storage.spool()?;
        let mut out = BufWriter::new(spool);
        while let Some(chunk) = upload.blocking_recv() {
            let chunk = chunk?;
            if !self.storage.has_room(chunk.len()) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            out.write_all(&chunk)?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn install(&self, spool: &mut File) -> Result<u64, Fault> {
        let mut outcome = Ok(0);
        let read = from_start(spool).map_err(ArchiveError::Unreadable).and_then(|spool| {
            archive::read(spool, |state| {
                outcome = self.storage.restore(state);
                Ok(())
            })
        });
        let index = outcome.map_err(|error| match error {
            RestoreError::Busy => Fault::TooMany(error.to_string()),
            RestoreError::Commit(CommitError::NotWritable) => Fault::NeedsActive,
            RestoreError::Image(_) | RestoreError::Commit(_) => refused(&error.to_string()),
        })?;
        read.map(|_| index).map_err(|error| refused(&error.to_string()))
    }
}

fn from_start(spool: &mut File) -> io::Result<BufReader<&mut File>> {
    spool.rewind()?;
    Ok(BufReader::new(spool))
}

/// Reads the archive to its end, every entry of its state too.
fn read_through(spool: &mut File) -> Result<(Checked, Keys), ArchiveError> {
    let mut keys = Keys::default();
    let spool = from_start(spool).map_err(ArchiveError::Unreadable)?;
    let checked = archive::read(spool, |state| keys.gather(entries_of(state)))?;
    Ok((checked, keys))
}

/// Whether the node can go on with the keys it holds.
fn is_ours(keyring: &Keyring, checked: &Checked, keys: &Keys) -> bool {
    let sums = keyring.open(SUMS_PATH, &checked.sealed_sums);
    sums.is_ok_and(|sums| *sums == checked.sums) && keyring.follow(keys).is_ok()
}

// === impl Keys ===

impl Keys {
    fn gather(&mut self, entries: StoredEntries<'_>) -> io::Result<()> {
        for entry in entries {
            let (key, value) = entry?;
            if key == KEYRING || key == HANDOVER {
                self.0.insert(key, Stored { version: 0, value });
            }
        }
        Ok(())
    }
}

/// A store of nothing but keys.
impl Snapshot for Keys {
    fn index(&self) -> u64 {
        0
    }

    fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        Ok(self.0.get(key).cloned())
    }

    fn list(&self, _prefix: &str, _after: &str, _limit: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn keys(&self, _prefix: &str, _after: &str, _limit: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}
