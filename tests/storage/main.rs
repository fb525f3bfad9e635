//! Stores that are killed while they write: what was acknowledged is there, nothing is there by half.
//!
//! The writer is this same test program, started again with a store's kind and path in its environment; it prints the
//! number of every acknowledged transaction. `UNDERSTUDY_KILLS` sets how often it is killed (20).

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use understudy::storage::{Changes, Storage, Write, file, raft};

const KIND: &str = "UNDERSTUDY_TEST_KIND";
const PLACE: &str = "UNDERSTUDY_TEST_STORE";
const KILLS: &str = "UNDERSTUDY_KILLS";
const WRITERS: usize = 8;

fn open(kind: &str, place: &Path) -> Arc<dyn Storage> {
    match kind {
        "file" => file::open(place).unwrap(),
        "raft" => raft::open(place, raft::Options::default()).unwrap(),
        other => panic!("no store is called {other}"),
    }
}

/// Both halves of a transaction hold the same text.
fn pair(n: u64) -> Changes {
    let value = Bytes::from(format!("{n}:{}", "x".repeat(300)));
    let put = |half: &str| Write::Put { key: format!("{half}/{n:08}"), value: value.clone() };
    Changes { seen: None, expect: Vec::new(), writes: vec![put("left"), put("right")] }
}

async fn write_for_ever(store: Arc<dyn Storage>, next: Arc<AtomicU64>) {
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        store.commit(pair(n)).await.unwrap();
        println!("ack {n}"); // a line at a time even into a pipe
    }
}

/// Only the child gets beyond the first line.
#[test]
fn the_writer_that_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let kind = std::env::var_os(KIND).unwrap();
    let store = open(kind.to_str().unwrap(), Path::new(&place));
    let next = Arc::new(AtomicU64::new(store.snapshot().index()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|_| write_for_ever(Arc::clone(&store), Arc::clone(&next)));
        futures_util::future::join_all(writers).await;
    });
}

fn start(kind: &str, place: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_writer_that_is_killed", "--nocapture"])
        .env(KIND, kind)
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets it acknowledge some, kills it, and gives back everything it had said.
fn run_and_kill(kind: &str, place: &Path, enough: usize) -> Vec<u64> {
    let mut child = start(kind, place);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let number = |line: String| line.strip_prefix("ack ").and_then(|n| n.parse().ok());
    let mut acknowledged: Vec<u64> = lines.by_ref().filter_map(number).take(enough).collect();
    child.kill().unwrap();
    acknowledged.extend(lines.filter_map(number));
    child.wait().unwrap();
    assert!(acknowledged.len() >= enough, "the writer stopped by itself");
    acknowledged
}

fn verify(kind: &str, place: &Path, acknowledged: &BTreeSet<u64>) {
    let store = open(kind, place);
    let view = store.snapshot();
    let half = |name: &str| {
        let keys = view.keys(name, "", usize::MAX).unwrap();
        keys.iter().map(|key| view.get(key).unwrap().unwrap()).collect::<Vec<_>>()
    };
    assert!(half("left/") == half("right/"), "a transaction is there by half");
    for n in acknowledged {
        assert!(view.get(&format!("left/{n:08}")).unwrap().is_some(), "acknowledged {n} is lost");
    }
}

fn kill_again_and_again(kind: &str) {
    let kills = std::env::var_os(KILLS).map_or(20, |n| n.to_str().unwrap().parse().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for kill in 0..kills {
        acknowledged.extend(run_and_kill(kind, scratch.path(), 1 + kill * 7 % 60));
        verify(kind, scratch.path(), &acknowledged);
    }
    println!("{kind}: {kills} kills, {} acknowledged transactions, all there", acknowledged.len());
}

#[test]
fn file_loses_nothing_acknowledged_when_killed() {
    kill_again_and_again("file");
}

#[test]
fn raft_loses_nothing_acknowledged_when_killed() {
    kill_again_and_again("raft");
}
