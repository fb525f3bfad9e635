//! The store over restarts, as after a crash, with damaged files, and on a disk that is full.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::contract::{put, writes};
use super::*;

const RECORDS: usize = 12;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn reopen(path: &Path) -> Result<Arc<RaftStorage>, OpenError> {
    open(path, Options::default())
}

fn key(n: usize) -> String {
    format!("k{n}")
}

fn fill(store: &dyn Storage) -> CommitIndex {
    let record = |n| writes(vec![put(&key(n), &"v".repeat(300))]);
    (0..RECORDS).map(|n| runtime().block_on(store.commit(record(n))).unwrap()).last().unwrap()
}

fn held(store: &dyn Storage) -> usize {
    let view = store.snapshot();
    (0..RECORDS).take_while(|n| view.get(&key(*n)).unwrap().is_some()).count()
}

/// What the disk holds while the store is running: the table as of its last checkpoint, the log as of the last commit.
fn as_after_a_crash(path: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("raft")).unwrap();
    for name in ["understudy.redb", "node-id"] {
        fs::copy(path.join(name), copy.path().join(name)).unwrap();
    }
    for file in log_files(path) {
        fs::copy(&file, copy.path().join("raft").join(file.file_name().unwrap())).unwrap();
    }
    copy
}

fn log_files(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.join("raft")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "wal")).collect()
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let scratch = tempfile::tempdir().unwrap();
    let store = reopen(scratch.path()).unwrap();
    let index = fill(&*store);
    let crashed = as_after_a_crash(scratch.path());
    drop(store);
    for path in [scratch.path(), crashed.path()] {
        let store = reopen(path).unwrap();
        assert_eq!(held(&*store), RECORDS);
        assert!(store.snapshot().index() >= index);
        assert_eq!(store.snapshot().get(&key(RECORDS - 1)).unwrap().unwrap().version, index);
        assert!(fill(&*store) > index);
    }
}

#[test]
fn it_says_where_it_stands() {
    let scratch = tempfile::tempdir().unwrap();
    let options = Options { node_id: Some("n1".into()), cluster_address: "h:1".into(), bootstrap: true };
    let store = open(scratch.path(), options).unwrap();
    let index = fill(&*store);
    let status = store.status();
    assert_eq!((status.node_id.as_str(), status.leader.as_ref().map(|id| id.as_str())), ("n1", Some("n1")));
    assert!(status.committed >= index && status.applied <= status.committed);
    assert_eq!((status.members[0].address.as_str(), status.members[0].is_voter), ("h:1", true));
    assert_eq!((store.kind(), store.is_replicated()), ("raft", true));
    assert!(store.node().log_figures().syncs > 0);
}

#[test]
fn a_store_that_waits_to_join_takes_no_writes() {
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path(), Options { bootstrap: false, ..Options::default() }).unwrap();
    let outcome = runtime().block_on(store.commit(writes(vec![put("k", "v")])));
    assert!(matches!(outcome, Err(CommitError::NotWritable)), "{outcome:?}");
    assert_eq!(store.status().members, []);
}

#[test]
fn a_store_has_one_server() {
    let scratch = tempfile::tempdir().unwrap();
    let first = reopen(scratch.path()).unwrap();
    assert!(matches!(reopen(scratch.path()), Err(OpenError::Locked { .. })));
    drop(first);
    reopen(scratch.path()).unwrap();
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    use std::sync::atomic::{AtomicU64, Ordering};

    let scratch = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let asked = Arc::clone(&free);
    let space = Space::asking(move || Some(asked.load(Ordering::Relaxed)));
    let store = open_on(space, scratch.path(), Options::default()).unwrap();
    fill(&*store);
    free.store(1000, Ordering::Relaxed);
    let large = || writes(vec![put("k", &"v".repeat(300_000))]); // the disk is not asked for every write
    let refused = runtime().block_on(store.commit(large()));
    assert!(matches!(refused, Err(CommitError::Full)), "{refused:?}");
    assert_eq!(held(&*store), RECORDS, "reads go on");
    free.store(u64::MAX, Ordering::Relaxed);
    fill(&*store);
}

/// A log cut anywhere in its last records opens with all that is whole before the cut.
#[test]
fn a_torn_end_of_the_log_is_cut_off() {
    let scratch = tempfile::tempdir().unwrap();
    let store = reopen(scratch.path()).unwrap();
    fill(&*store);
    let crashed = as_after_a_crash(scratch.path());
    drop(store);
    let log = log_files(crashed.path()).pop().unwrap();
    let bytes = fs::read(&log).unwrap();
    for cut in (1..1200).step_by(97) {
        let copy = as_after_a_crash(crashed.path());
        fs::write(log_files(copy.path()).pop().unwrap(), &bytes[..bytes.len() - cut]).unwrap();
        let store = reopen(copy.path()).unwrap_or_else(|error| panic!("{cut} bytes cut off: {error}"));
        let whole = RECORDS - cut.div_ceil(300);
        assert!(held(&*store) >= whole.min(RECORDS - 1), "{cut} bytes cut off: {} held", held(&*store));
    }
}

#[test]
fn damage_is_refused_and_named() {
    let scratch = tempfile::tempdir().unwrap();
    let store = reopen(scratch.path()).unwrap();
    fill(&*store);
    drop(store);
    let altered = |name: &Path, at: usize| {
        let copy = as_after_a_crash(scratch.path());
        let file = copy.path().join(name);
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 0x41;
        fs::write(&file, bytes).unwrap();
        reopen(copy.path()).unwrap_err().to_string()
    };
    let log = log_files(scratch.path()).pop().unwrap();
    let log = log.strip_prefix(scratch.path()).unwrap();
    for (name, at) in [(log, 2000), (log, 200), (Path::new("understudy.redb"), 0)] {
        let error = altered(name, at);
        assert!(error.contains("damaged"), "{} at {at}: {error}", name.display());
    }
    let copy = as_after_a_crash(scratch.path());
    let log = copy.path().join(log);
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 1000]).unwrap();
    let error = reopen(copy.path()).unwrap_err().to_string();
    assert!(error.contains("ends before"), "a log that has lost its end under a state that saw it: {error}");
}

#[test]
fn an_image_is_the_store() {
    use crate::raft::Machine;

    use super::machine::TableMachine;

    let scratch = tempfile::tempdir().unwrap();
    let store = reopen(scratch.path()).unwrap();
    fill(&*store);
    let image = TableMachine(Arc::clone(&store.table)).image().unwrap();
    let mut bytes = Vec::new();
    image.read().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(image.size().unwrap(), bytes.len() as u64);

    let other = tempfile::tempdir().unwrap();
    let table = Arc::new(super::super::file::table_at(&other.path().join("t")).unwrap());
    let mut machine = TableMachine(Arc::clone(&table));
    machine
        .apply(&crate::raft::Step {
            commands: &[(1, record::encode(&writes(vec![put("gone", "v")])))],
            index: 1,
            mark: b"1",
            durable: false,
        })
        .unwrap();
    for length in [0, 20, bytes.len() - 1] {
        machine.install(&mut &bytes[..length], 99, b"2").unwrap_err();
        assert_eq!(
            table.view().keys("", "", 9).unwrap(),
            ["gone"],
            "a stream that is cut off changes nothing"
        );
    }
    machine.install(&mut bytes.as_slice(), 99, b"2").unwrap();
    let (copied, original) = (table.view(), store.snapshot());
    assert_eq!(copied.index(), 99);
    assert_eq!(copied.keys("", "", 99).unwrap(), original.keys("", "", 99).unwrap());
    assert_eq!(copied.get("k3").unwrap(), original.get("k3").unwrap());
    assert_eq!(machine.mark().unwrap().unwrap(), b"2".as_slice());
}
