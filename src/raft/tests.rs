//! The log against the library's own suite, and a node with a small machine through restarts and damage.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::log::LogStore;
use super::machine::{self, Applier};
use super::types::Types;
use super::*;

/// The commands it was given; what was durable is kept by the test over a restart.
#[derive(Debug, Default, Clone)]
struct Notes {
    commands: BTreeMap<u64, Bytes>,
    mark: Option<Bytes>,
    disk: Arc<Mutex<Option<Box<Self>>>>,
}

impl Notes {
    fn on(disk: &Arc<Mutex<Option<Box<Self>>>>) -> Box<dyn Machine> {
        let kept = disk.lock().clone().unwrap_or_default();
        Box::new(Self { disk: Arc::clone(disk), ..*kept })
    }
}

impl Machine for Notes {
    fn mark(&self) -> io::Result<Option<Bytes>> {
        Ok(self.mark.clone())
    }

    fn apply(&mut self, step: &Step<'_>) -> io::Result<Vec<Verdict>> {
        self.commands.extend(step.commands.iter().cloned());
        self.mark = Some(Bytes::copy_from_slice(step.mark));
        if step.durable {
            self.checkpoint()?;
        }
        let verdict = |command: &Bytes| if command == "no" { Verdict::Refused } else { Verdict::Accepted };
        Ok(step.commands.iter().map(|(_, command)| verdict(command)).collect())
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        let copy = Self { disk: Arc::default(), ..self.clone() };
        *self.disk.lock() = Some(Box::new(copy));
        Ok(())
    }

    fn image(&self) -> io::Result<Box<dyn Image>> {
        Ok(Box::new(Frozen))
    }

    fn install(&mut self, _image: &mut dyn Read, _index: u64, mark: &[u8]) -> io::Result<()> {
        self.mark = Some(Bytes::copy_from_slice(mark));
        self.checkpoint()
    }
}

#[derive(Debug)]
struct Frozen;

impl Image for Frozen {
    fn size(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }
}

struct Stores;

impl StoreBuilder<Types, LogStore, Applier, TempDir> for Stores {
    async fn build(&self) -> Result<(TempDir, LogStore, Applier), StorageError<Types>> {
        let scratch = tempfile::tempdir().unwrap();
        let log = LogStore::open(scratch.path(), Arc::new(Notify::new())).unwrap();
        let (applier, _thread) = machine::start(Box::new(Notes::default())).unwrap();
        Ok((scratch, log, applier))
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn the_librarys_suite_passes() {
    runtime().block_on(Suite::test_all(Stores)).unwrap();
}

/// A node on a scratch directory that can be stopped and started again.
#[derive(Default)]
struct Stage {
    disk: Arc<Mutex<Option<Box<Notes>>>>,
}

impl Stage {
    fn start(&self, path: &Path) -> Result<Node, StartError> {
        let options = Options {
            path: path.to_owned(),
            node_id: NodeId::new("n1").unwrap(),
            peer: Peer { address: "127.0.0.1:8201".to_owned() },
            bootstrap: true,
        };
        start(options, Notes::on(&self.disk))
    }
}

fn propose(node: &Node, command: &'static str) -> Proposed {
    runtime().block_on(node.propose(Bytes::from_static(command.as_bytes()))).unwrap()
}

fn files(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.join("raft")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "wal")).collect();
    files.sort();
    files
}

#[test]
fn a_lone_voter_agrees_with_itself() {
    let scratch = tempfile::tempdir().unwrap();
    let node = Stage::default().start(scratch.path()).unwrap();
    let first = propose(&node, "yes");
    let second = propose(&node, "no");
    assert_eq!((first.verdict, second.verdict), (Verdict::Accepted, Verdict::Refused));
    assert_eq!(second.index, first.index + 1);
    let status = node.status();
    assert_eq!(status.leader, Some(status.node_id.clone()));
    assert_eq!((status.members.len(), status.members[0].is_voter), (1, true));
    assert_eq!(status.stopped, None);
}

/// What comes at once shares entries, and each is told of its own.
#[test]
fn those_who_come_together_are_told_apart() {
    const PROPOSERS: usize = 200;
    let scratch = tempfile::tempdir().unwrap();
    let node = Stage::default().start(scratch.path()).unwrap();
    let before = node.log_figures().syncs;
    let command = |n: usize| Bytes::from_static(if n.is_multiple_of(3) { b"no" } else { b"yes" });
    let all = futures_util::future::join_all((0..PROPOSERS).map(|n| node.propose(command(n))));
    let outcomes = runtime().block_on(all);
    for (n, outcome) in outcomes.iter().enumerate() {
        let expected = if n.is_multiple_of(3) { Verdict::Refused } else { Verdict::Accepted };
        assert_eq!(outcome.as_ref().unwrap().verdict, expected, "{n}");
    }
    assert!(node.log_figures().syncs - before < PROPOSERS as u64 / 10, "{:?}", node.log_figures());
}

/// The machine loses everything since its last checkpoint; the log brings it back before anybody reads.
#[test]
fn what_was_acknowledged_is_applied_again() {
    let (scratch, stage) = (tempfile::tempdir().unwrap(), Stage::default());
    let node = stage.start(scratch.path()).unwrap();
    let index = propose(&node, "kept").index;
    drop(node);
    *stage.disk.lock() = None;
    let node = stage.start(scratch.path()).unwrap();
    assert!(node.status().applied >= index);
    drop(node);
    assert_eq!(stage.disk.lock().as_ref().unwrap().commands[&index], "kept");
}

#[test]
fn a_directory_has_one_node() {
    let (scratch, stage) = (tempfile::tempdir().unwrap(), Stage::default());
    let node = stage.start(scratch.path()).unwrap();
    assert!(matches!(stage.start(scratch.path()), Err(StartError::Locked { .. })));
    drop(node);
    stage.start(scratch.path()).unwrap();
}

#[test]
fn a_log_that_was_removed_is_missed() {
    let (scratch, stage) = (tempfile::tempdir().unwrap(), Stage::default());
    drop(stage.start(scratch.path()).unwrap());
    fs::remove_dir_all(scratch.path().join("raft")).unwrap();
    let error = stage.start(scratch.path()).unwrap_err();
    assert!(matches!(&error, StartError::Damaged { .. }), "{error}");
}

/// A log of some commands, cut and altered at every byte of its end: what opens holds every entry whose bytes are
/// whole, and only what is cut off is taken for unfinished.
#[test]
fn a_torn_end_is_cut_off_and_damage_is_refused() {
    let (scratch, stage) = (tempfile::tempdir().unwrap(), Stage::default());
    let node = stage.start(scratch.path()).unwrap();
    let indexes: Vec<u64> = (0..8).map(|_| propose(&node, "twenty bytes of text").index).collect();
    drop(node);
    let file = files(scratch.path()).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    let ends = ends_of(&bytes, b"twenty bytes of text");
    assert_eq!(ends.len(), indexes.len());
    // What each length must still hold: a record ends with raft-log's checksum of eight bytes.
    let whole = |length: usize| ends.iter().filter(|end| **end + 8 <= length).count();

    for length in ends[4] - 60..bytes.len() {
        let held = open_copy(&file, &bytes[..length]).unwrap_or_else(|e| panic!("cut at {length}: {e}"));
        assert!(held >= indexes.get(whole(length).wrapping_sub(1)).copied(), "cut at {length}: {held:?}");
    }
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 0x80;
        match open_copy(&file, &altered) {
            Ok(held) => assert!(held >= Some(indexes[7]), "byte {at} altered: {held:?}"),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "byte {at} altered: {error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, bytes.len());
}

fn ends_of(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    let places = bytes.windows(text.len()).enumerate();
    places.filter(|(_, window)| *window == text).map(|(at, _)| at + text.len()).collect()
}

/// The last entry of the log when its only file holds these bytes.
fn open_copy(file: &Path, bytes: &[u8]) -> io::Result<Option<u64>> {
    let copy = tempfile::tempdir().unwrap();
    fs::write(copy.path().join(file.file_name().unwrap()), bytes).unwrap();
    let log = LogStore::open(copy.path(), Arc::new(Notify::new()))?;
    Ok(log.last().map(|id| id.index))
}
