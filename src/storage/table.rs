//! The ordered table below every store: one redb database, versions beside the values, one published snapshot.
//!
//! A batch of commands becomes one redb transaction. Each is checked against everything before it, those of its own
//! batch included, so a conflict touches nobody else. Who calls, when and how durably is the stores' business.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, StorageError as Redb, Table as Rows,
    TableDefinition,
};

use super::command::{Command, Install, Piece, Progress, Staged};
use super::view::{View, split};
use super::{Changes, CommitError, CommitIndex, MAX_KEY_BYTES, Observer, StorageError, Write};

const ENTRIES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// Pieces of a store that is to take the place of the entries.
const PIECES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("pieces");
const INDEX: &str = "index";
const FORMAT: &str = "format";
const MARK: &str = "mark";
const STAGED: &str = "staged";

/// Layout of the two tables.
pub(super) const FORMAT_VERSION: u64 = 1;

/// Keys, values and expectations of one transaction together, in bytes.
pub const MAX_TRANSACTION_BYTES: usize = 8 * 1024 * 1024;

/// What came of each transaction of a batch: its index, or [`CommitError::Conflict`].
pub(super) type Outcomes = Vec<Result<CommitIndex, CommitError>>;

/// Commands that become one durable or volatile step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    /// Each with the index it has if it happens. They rise.
    pub(super) commands: &'a [(CommitIndex, Command)],
    /// The index of the store afterwards.
    pub(super) index: CommitIndex,
    /// Kept beside the index, for whoever gives the indexes.
    pub(super) mark: Option<&'a [u8]>,
    pub(super) durability: Durability,
}

/// See the module.
pub(super) struct Table {
    database: Database,
    published: ArcSwap<View>,
    observers: Mutex<Vec<Arc<dyn Observer>>>,
}

/// Whether a transaction is within its bounds.
///
/// # Errors
/// [`CommitError::TooLarge`].
pub(super) fn check_bounds(changes: &Changes) -> Result<(), CommitError> {
    let keys = changes.expect.iter().map(|e| e.key.len()).chain(changes.writes.iter().map(|w| w.key().len()));
    if let Some(got) = keys.max().filter(|longest| *longest > MAX_KEY_BYTES) {
        return Err(CommitError::TooLarge { what: "a key", got, max: MAX_KEY_BYTES });
    }
    let got = size(changes);
    if got > MAX_TRANSACTION_BYTES {
        return Err(CommitError::TooLarge { what: "a transaction", got, max: MAX_TRANSACTION_BYTES });
    }
    Ok(())
}

/// Bytes a transaction carries.
pub(super) fn size(changes: &Changes) -> usize {
    let expected: usize = changes.expect.iter().map(|e| e.key.len()).sum();
    let written: usize = changes
        .writes
        .iter()
        .map(|write| match write {
            Write::Put { key, value } => key.len() + value.len(),
            Write::Delete { key } => key.len(),
        })
        .sum();
    expected + written
}

// === impl Table ===

impl Table {
    /// Makes the tables where the database is new and publishes what it holds.
    ///
    /// # Errors
    /// The database cannot be read. `Err(Ok(format))`: it has a format this code does not know.
    pub(super) fn new(database: Database) -> Result<Self, Result<u64, StorageError>> {
        let format = prepare(&database).map_err(|e| Err(general(e)))?;
        if format != FORMAT_VERSION {
            return Err(Ok(format));
        }
        let view = read_view(&database).map_err(Err)?;
        Ok(Self { database, published: ArcSwap::from_pointee(view), observers: Mutex::default() })
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.published.load_full()
    }

    pub(super) fn observe(&self, observer: Arc<dyn Observer>) {
        self.observers.lock().push(observer);
    }

    /// Entries of a snapshot that is being restored.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> u64 {
        use redb::ReadableTableMetadata;
        let table = self.database.begin_read().unwrap().open_table(PIECES);
        table.map_or(0, |table| table.len().unwrap())
    }

    /// What came with the last batch that had one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn mark(&self) -> Result<Option<Vec<u8>>, StorageError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let meta = self.database.begin_read()?.open_table(META)?;
            Ok(meta.get(MARK)?.map(|guard| guard.value().to_vec()))
        };
        read().map_err(general)
    }

    /// Runs a batch as one step, publishes it and tells the observers.
    ///
    /// # Errors
    /// Nothing of the batch happened.
    pub(super) fn apply(&self, batch: &Batch<'_>) -> Result<Outcomes, CommitError> {
        let write = || -> Result<Outcomes, redb::Error> {
            let transaction = begin(&self.database, batch.durability)?;
            let outcomes = run(&transaction, batch.commands)?;
            note(&transaction, batch.index, batch.mark)?;
            transaction.commit()?;
            Ok(outcomes)
        };
        let outcomes = write().map_err(commit_failed)?;
        self.publish()?;
        self.tell(batch, &outcomes);
        Ok(outcomes)
    }

    /// Makes every batch so far durable.
    ///
    /// # Errors
    /// They may not be.
    pub(super) fn checkpoint(&self) -> Result<(), CommitError> {
        let write =
            || -> Result<(), redb::Error> { Ok(begin(&self.database, Durability::Immediate)?.commit()?) };
        write().map_err(commit_failed)
    }

    /// Replaces every entry by these, durably and as one step, and tells the observers that anything may have changed.
    ///
    /// # Errors
    /// Nothing was changed: an entry could not be had, or the database not written.
    pub(super) fn replace(
        &self,
        entries: impl Iterator<Item = std::io::Result<(String, Vec<u8>)>>,
        index: CommitIndex,
        mark: &[u8],
    ) -> Result<(), CommitError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = begin(&self.database, Durability::Immediate)?;
            stage(&transaction, Staged::Unknown)?;
            transaction.delete_table(PIECES)?;
            transaction.delete_table(ENTRIES)?;
            {
                let mut table = transaction.open_table(ENTRIES)?;
                for entry in entries {
                    let (key, stored) = entry.map_err(redb::Error::Io)?;
                    table.insert(key.as_str(), stored.as_slice())?;
                }
            }
            note(&transaction, index, Some(mark))?;
            Ok(transaction.commit()?)
        };
        write().map_err(commit_failed)?;
        self.publish()?;
        self.observers.lock().iter().for_each(|observer| observer.changed(index, None));
        Ok(())
    }

    fn publish(&self) -> Result<(), StorageError> {
        self.published.store(Arc::new(read_view(&self.database)?));
        Ok(())
    }

    fn tell(&self, batch: &Batch<'_>, outcomes: &Outcomes) {
        let observers = self.observers.lock();
        if observers.is_empty() {
            return;
        }
        for ((_, command), outcome) in batch.commands.iter().zip(outcomes) {
            let Ok(index) = outcome else { continue };
            let keys = match command {
                Command::Changes(changes) => Some(changes.keys()),
                Command::Install(_) => None,
                Command::Piece(_) => continue, // not seen by anybody yet
            };
            observers.iter().for_each(|observer| observer.changed(*index, keys.as_deref()));
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({:?})", self.published.load())
    }
}

/// Each command on top of those before it.
fn run(
    transaction: &redb::WriteTransaction,
    commands: &[(CommitIndex, Command)],
) -> Result<Outcomes, redb::Error> {
    let mut outcomes = Vec::with_capacity(commands.len());
    let ordinary = |command: &Command| matches!(command, Command::Changes(_));
    for part in commands.chunk_by(|(_, one), (_, next)| ordinary(one) && ordinary(next)) {
        match part {
            [(index, Command::Piece(piece))] => outcomes.push(add(transaction, piece, *index)?),
            [(index, Command::Install(install))] => {
                outcomes.push(put_in_place(transaction, *install, *index)?)
            }
            changes => {
                let mut entries = transaction.open_table(ENTRIES)?;
                for (index, command) in changes {
                    if let Command::Changes(changes) = command {
                        outcomes.push(change(&mut entries, changes, *index)?);
                    }
                }
            }
        }
    }
    Ok(outcomes)
}

/// Keeps a piece beside the entries.
fn add(
    transaction: &redb::WriteTransaction,
    piece: &Piece,
    index: CommitIndex,
) -> Result<Result<CommitIndex, CommitError>, redb::Error> {
    if !follows(staged(transaction)?.piece(piece))? {
        return Ok(Err(CommitError::Conflict));
    }
    if piece.number == 0 {
        transaction.delete_table(PIECES)?;
    }
    let mut pieces = transaction.open_table(PIECES)?;
    for (key, value) in &piece.entries {
        put(&mut pieces, key, index, value)?;
    }
    stage(transaction, Staged::Before(piece.id, piece.number + 1))?;
    Ok(Ok(index))
}

/// The pieces become the entries. Their versions are the indexes of the pieces: above all that was ever read here.
fn put_in_place(
    transaction: &redb::WriteTransaction,
    install: Install,
    index: CommitIndex,
) -> Result<Result<CommitIndex, CommitError>, redb::Error> {
    if !follows(staged(transaction)?.install(install))? {
        return Ok(Err(CommitError::Conflict));
    }
    transaction.delete_table(ENTRIES)?;
    transaction.rename_table(PIECES, ENTRIES)?;
    stage(transaction, Staged::Nothing)?;
    Ok(Ok(index))
}

fn follows(progress: Progress) -> Result<bool, redb::Error> {
    match progress {
        Progress::Follows => Ok(true),
        Progress::Refused => Ok(false),
        Progress::Stop => Err(redb::Error::Io(std::io::Error::other(
            "a snapshot is being restored of which this node has not seen the beginning: it has to be given the whole \
             store again when that is done",
        ))),
    }
}

fn staged(transaction: &redb::WriteTransaction) -> Result<Staged, redb::Error> {
    let meta = transaction.open_table(META)?;
    let found = meta.get(STAGED)?;
    let staged = Staged::decode(found.as_ref().map(redb::AccessGuard::value));
    staged.ok_or_else(|| redb::Error::Corrupted("what is kept of a restore makes no sense".to_owned()))
}

fn stage(transaction: &redb::WriteTransaction, staged: Staged) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(STAGED, staged.encode().as_slice())?;
    Ok(())
}

/// One transaction. What does not hold is found before anything is written.
fn change(
    entries: &mut Rows<'_, &'static str, &'static [u8]>,
    changes: &Changes,
    index: CommitIndex,
) -> Result<Result<CommitIndex, CommitError>, Redb> {
    for expectation in &changes.expect {
        if version_of(entries, &expectation.key)? != expectation.version {
            return Ok(Err(CommitError::Conflict));
        }
    }
    for write in &changes.writes {
        match write {
            Write::Put { key, value } => put(entries, key, index, value)?,
            Write::Delete { key } => drop(entries.remove(key.as_str())?),
        }
    }
    Ok(Ok(index))
}

fn version_of(
    entries: &Rows<'_, &'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<CommitIndex>, Redb> {
    let Some(guard) = entries.get(key)? else { return Ok(None) };
    split(guard.value()).map(|(version, _)| Some(version)).map_err(|error| Redb::Corrupted(error.to_string()))
}

fn put(
    entries: &mut Rows<'_, &'static str, &'static [u8]>,
    key: &str,
    version: CommitIndex,
    value: &[u8],
) -> Result<(), Redb> {
    let mut stored = Vec::with_capacity(super::view::VERSION_BYTES + value.len());
    stored.extend_from_slice(&version.to_le_bytes());
    stored.extend_from_slice(value);
    entries.insert(key, stored.as_slice()).map(drop)
}

fn begin(database: &Database, durability: Durability) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    // Two phases: an open after a crash never has to fall back to the commit before, which would lose this one.
    transaction.set_two_phase_commit(matches!(durability, Durability::Immediate));
    transaction.set_durability(durability).map_err(|error| Redb::Corrupted(error.to_string()))?;
    Ok(transaction)
}

fn note(
    transaction: &redb::WriteTransaction,
    index: CommitIndex,
    mark: Option<&[u8]>,
) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    meta.insert(INDEX, index.to_le_bytes().as_slice())?;
    if let Some(mark) = mark {
        meta.insert(MARK, mark)?;
    }
    Ok(())
}

/// The format of the database, after giving a new one ours.
fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = begin(database, Durability::Immediate)?;
    let found = {
        let mut meta = transaction.open_table(META)?;
        let found = meta.get(FORMAT)?.map(|guard| number(guard.value())).transpose()?;
        if found.is_none() {
            meta.insert(FORMAT, FORMAT_VERSION.to_le_bytes().as_slice())?;
            meta.insert(INDEX, 0_u64.to_le_bytes().as_slice())?;
        }
        transaction.open_table(ENTRIES)?;
        found
    };
    match found {
        Some(format) => transaction.abort().map(|()| format).map_err(Into::into),
        None => transaction.commit().map(|()| FORMAT_VERSION).map_err(Into::into),
    }
}

fn number(bytes: &[u8]) -> Result<u64, Redb> {
    let fixed = <[u8; 8]>::try_from(bytes);
    fixed
        .map(u64::from_le_bytes)
        .map_err(|_| Redb::Corrupted("a number of the header has no 8 bytes".to_owned()))
}

fn read_view(database: &Database) -> Result<View, StorageError> {
    let read = || -> Result<View, redb::Error> {
        let transaction = database.begin_read()?;
        let index = match transaction.open_table(META)?.get(INDEX)? {
            Some(guard) => number(guard.value())?,
            None => return Err(Redb::Corrupted("the store has no index".to_owned()).into()),
        };
        Ok(View::new(index, transaction.open_table(ENTRIES)?))
    };
    read().map_err(general)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an error of redb that is not named here is damage")]
fn general(error: redb::Error) -> StorageError {
    match error {
        redb::Error::Io(io) => StorageError::Io(io.to_string()),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => StorageError::Io(error.to_string()),
        other => StorageError::Damaged(other.to_string()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an error of redb that is not named here is damage")]
fn commit_failed(error: redb::Error) -> CommitError {
    match error {
        redb::Error::Io(io) if is_full(&io) => CommitError::Full,
        other => general(other).into(),
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    [StorageFull, QuotaExceeded, FileTooLarge].contains(&error.kind())
}
