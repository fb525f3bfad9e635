//! What the durable stores do on this machine, as a table: commits, start-up, reads. Reported, not gated.
//!
//! ```text
//!   cargo bench --bench storage                    writes and state (about two minutes, 2 GiB in the temporary directory)
//!   cargo bench --bench storage -- writes          durable commits per second of `file` and `raft`
//!   cargo bench --bench storage -- state 1000000   opening a store of so many entries, and reading it
//!   cargo bench --bench storage -- full DIR        what happens on a disk of some 200 MB that fills up (a tmpfs)
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement stops at its first surprise")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use understudy::storage::raft::{Options, RaftStorage};
use understudy::storage::{Changes, Storage, Write, file, raft};

/// Threads that write, each with a runtime of its own, as the workers of a node.
const THREADS: usize = 2;
const SECONDS: u64 = 5;
const VALUE_BYTES: usize = 300;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let word = |at: usize| words.get(at).map(String::as_str);
    if word(0) == Some("full") {
        return full(Path::new(word(1).expect("the directory")));
    }
    let entries = word(1).map_or(1_000_000, |n| n.parse().unwrap());
    if word(0).is_none_or(|part| part == "writes") {
        writes();
    }
    if word(0).is_none_or(|part| part == "state") {
        state(entries);
    }
}

fn put(key: String, bytes: usize) -> Write {
    Write::Put { key, value: Bytes::from(vec![b'v'; bytes]) }
}

// === writes ===

fn writes() {
    println!("durable commits of one {VALUE_BYTES}-byte value, {THREADS} threads, {SECONDS} s each");
    println!("store  writers  commits/s   p50 ms   p99 ms   max ms  fsync/s");
    for writers in [1, 32, 256] {
        let scratch = tempfile::tempdir().unwrap();
        let store = file::open(scratch.path()).unwrap();
        row("file", writers, &load(&store, writers), None);
    }
    for writers in [1, 32, 256] {
        let scratch = tempfile::tempdir().unwrap();
        let raft = raft::open(scratch.path(), Options::default()).unwrap();
        let store: Arc<dyn Storage> = Arc::clone(&raft) as Arc<dyn Storage>;
        let before = raft.node().log_figures().syncs;
        let latencies = load(&store, writers);
        row("raft", writers, &latencies, Some(raft.node().log_figures().syncs - before));
    }
}

fn row(kind: &str, writers: usize, latencies: &[Duration], syncs: Option<u64>) {
    let ms = |share: f64| {
        let at = ((latencies.len() - 1) as f64 * share) as usize;
        latencies[at].as_secs_f64() * 1000.0
    };
    let rate = latencies.len() as u64 / SECONDS;
    let syncs = syncs.map_or_else(|| "-".to_owned(), |syncs| (syncs / SECONDS).to_string());
    println!(
        "{kind:<6} {writers:>7} {rate:>10} {:>8.2} {:>8.2} {:>8.2} {syncs:>8}",
        ms(0.5),
        ms(0.99),
        ms(1.0)
    );
}

/// The time each commit took, sorted.
fn load(store: &Arc<dyn Storage>, writers: usize) -> Vec<Duration> {
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let threads: Vec<_> = (0..THREADS.min(writers))
        .map(|thread| {
            let store = Arc::clone(store);
            let mine = (thread..writers).step_by(THREADS).collect::<Vec<_>>();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let tasks = mine.into_iter().map(|writer| write_until(&*store, writer, until));
                runtime.block_on(futures_util::future::join_all(tasks)).concat()
            })
        })
        .collect();
    let mut all: Vec<Duration> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    all.sort_unstable();
    all
}

async fn write_until(store: &dyn Storage, writer: usize, until: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut n = 0_u64;
    loop {
        let started = Instant::now();
        if started >= until {
            return took;
        }
        n += 1;
        let key = format!("logical/4b1a6b1c/{writer:04}/{:05}", n % 10_000);
        let changes = Changes { seen: None, expect: Vec::new(), writes: vec![put(key, VALUE_BYTES)] };
        store.commit(changes).await.unwrap();
        took.push(started.elapsed());
    }
}

// === state ===

fn open(path: &Path) -> Arc<RaftStorage> {
    raft::open(path, Options::default()).unwrap()
}

fn state(entries: usize) {
    println!("\nraft with {entries} entries of 200 bytes, in folders of 100,000");
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    timed("filled", || fill(&*store, entries));
    timed("closed", || drop(store));
    let store = timed("opened after a clean stop", || open(scratch.path()));
    resident("with the store open");
    read(&store, entries);
    resident("after reading");
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = run();
    println!("  {what:<40} {:>10.3} s", started.elapsed().as_secs_f64());
    result
}

fn resident(when: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    println!("  resident {when:<31} {:>10}", line.trim_start_matches("VmRSS:").trim());
}

fn key(n: usize) -> String {
    format!("logical/4b1a6b1c/{:03}/{:06}", n / 100_000, n % 100_000)
}

fn fill(store: &dyn Storage, entries: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let commits = (0..entries).step_by(500).map(|from| {
        let writes = (from..entries.min(from + 500)).map(|n| put(key(n), 200)).collect();
        Changes { seen: None, expect: Vec::new(), writes }
    });
    for changes in commits {
        runtime.block_on(store.commit(changes)).unwrap();
    }
}

fn read(store: &Arc<RaftStorage>, entries: usize) {
    gets("get, one view", store, entries, 1_000);
    gets("get, a view each", store, entries, 1);
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writer = std::thread::spawn(write_meanwhile(store, &stop, &written));
    let started = Instant::now();
    gets("get, a view each, 32 writers meanwhile", store, entries, 1);
    let rate = written.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    println!("  (those wrote {rate:.0}/s)");
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let view = store.snapshot();
    let listed =
        timed("list of a folder of 100,000", || view.list("logical/4b1a6b1c/000/", "", usize::MAX).unwrap());
    assert_eq!(listed.len(), entries.min(100_000));
    timed("list of its first 100", || view.list("logical/4b1a6b1c/000/", "", 100).unwrap());
    timed("list of the folders", || view.list("logical/4b1a6b1c/", "", usize::MAX).unwrap());
}

fn write_meanwhile(
    store: &Arc<RaftStorage>,
    stop: &Arc<AtomicBool>,
    written: &Arc<AtomicU64>,
) -> impl FnOnce() + Send + 'static {
    let (store, stop, written) = (Arc::clone(store), Arc::clone(stop), Arc::clone(written));
    move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let writer = async |writer: usize| {
            while !stop.load(Ordering::Relaxed) {
                let writes = vec![put(format!("other/{writer}"), 200)];
                store.commit(Changes { seen: None, expect: Vec::new(), writes }).await.unwrap();
                written.fetch_add(1, Ordering::Relaxed);
            }
        };
        runtime.block_on(futures_util::future::join_all((0..32).map(writer)));
    }
}

/// Random entries, with a new view every `per_view` of them.
fn gets(what: &str, store: &Arc<RaftStorage>, entries: usize, per_view: usize) {
    const GETS: usize = 200_000;
    let mut random = fastrand::Rng::with_seed(7);
    let mut took = Vec::with_capacity(GETS);
    let mut view = store.snapshot();
    for n in 0..GETS {
        let key = key(random.usize(..entries));
        let started = Instant::now();
        if n % per_view == 0 {
            view = store.snapshot();
        }
        let found = view.get(&key).unwrap();
        took.push(started.elapsed());
        assert!(found.is_some());
    }
    let total: Duration = took.iter().sum();
    took.sort_unstable();
    let us = |at: usize| took[at].as_secs_f64() * 1e6;
    let mean = total.as_secs_f64() * 1e6 / GETS as f64;
    println!("  {what:<40} {mean:>8.2} us  (p50 {:.2}, p99 {:.2})", us(GETS / 2), us(GETS * 99 / 100));
}

// === full ===

/// Fills the disk with writes, then gives it room again; stops at the first thing that is not as promised.
fn full(directory: &Path) {
    let filler = directory.join("filler");
    std::fs::write(&filler, vec![1_u8; 64 * 1024 * 1024]).unwrap();
    let place = directory.join("store");
    let store = open(&place);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let commit = |n: usize| {
        let writes = vec![put(format!("full/{n:06}"), 64 * 1024)];
        runtime.block_on(store.commit(Changes { seen: None, expect: Vec::new(), writes }))
    };
    let written = (0..).find(|n| commit(*n).is_err()).unwrap();
    println!("refused after {written} writes of 64 KiB: {}", commit(written).unwrap_err());
    let held = |store: &RaftStorage| store.snapshot().keys("full/", "", usize::MAX).unwrap().len();
    assert_eq!(held(&store), written, "reads go on");
    std::fs::remove_file(filler).unwrap();
    let more = (written..written + 100).take_while(|n| commit(*n).is_ok()).count();
    println!("{more} of 100 writes once 64 MiB were free again");
    assert_eq!(more, 100);
    drop(store);
    let store = open(&place);
    assert_eq!(held(&store), written + more);
    println!("opened again with all {} of them", written + more);
}
