//! What every store promises, as one suite over a way to make an empty one.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(super) fn put(key: &str, value: &str) -> Write {
    Write::Put { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) }
}

pub(super) fn writes(writes: Vec<Write>) -> Changes {
    Changes { seen: None, expect: Vec::new(), writes }
}

fn expecting(key: &str, version: Option<CommitIndex>, value: &str) -> Changes {
    let expect = vec![Expectation { key: key.to_owned(), version }];
    Changes { seen: None, expect, writes: vec![put(key, value)] }
}

fn text(store: &dyn Storage, key: &str) -> Option<String> {
    let stored = store.snapshot().get(key).unwrap()?;
    Some(String::from_utf8(stored.value.to_vec()).unwrap())
}

/// Runs the whole suite; `make` gives a new empty store each time.
pub(super) fn suite(make: impl Fn() -> Arc<dyn Storage>) {
    let runtime = runtime();
    runtime.block_on(async {
        reads_what_was_written(&*make()).await;
        lists_without_looking_into_folders(&*make()).await;
        checks_expectations(&*make()).await;
        keeps_a_snapshot(&*make()).await;
        conflicts_within_a_batch(make()).await;
        tells_observers_first(make()).await;
        bounds(&*make()).await;
    });
}

async fn reads_what_was_written(store: &dyn Storage) {
    let empty = store.snapshot().index();
    let first = store.commit(writes(vec![put("a", "1"), put("b", "2")])).await.unwrap();
    assert!(first > empty);
    assert_eq!(store.snapshot().index(), first);
    assert_eq!(store.snapshot().get("b").unwrap().unwrap().version, first);
    let second = store.commit(writes(vec![Write::Delete { key: "a".into() }, put("c", "")])).await.unwrap();
    assert!(second > first);
    assert_eq!(
        [text(store, "a"), text(store, "b"), text(store, "c")],
        [None, Some("2".into()), Some(String::new())]
    );
    store.commit(writes(vec![Write::Delete { key: "never there".into() }])).await.unwrap();
    assert!(store.commit(Changes::default()).await.unwrap() > second);
}

async fn lists_without_looking_into_folders(store: &dyn Storage) {
    let keys = ["p/a", "p/a!", "p/a/1", "p/a/2/3", "p/a0", "p/b/", "p/b/x", "p/z", "p/é/q", "q"];
    store.commit(writes(keys.iter().map(|key| put(key, "")).collect())).await.unwrap();
    let view = store.snapshot();
    let all = ["a", "a!", "a/", "a0", "b/", "z", "é/"];
    assert_eq!(view.list("p/", "", 100).unwrap(), all);
    assert_eq!(view.list("", "", 100).unwrap(), ["p/", "q"]);
    assert_eq!(view.list("p/a/", "", 100).unwrap(), ["1", "2/"]);
    assert_eq!(view.list("none/", "", 100).unwrap(), Vec::<String>::new());
    for (at, after) in all.iter().enumerate() {
        assert_eq!(
            view.list("p/", after, 2).unwrap(),
            all[at + 1..].iter().take(2).copied().collect::<Vec<_>>()
        );
    }
    assert_eq!(view.keys("p/a", "", 100).unwrap(), keys[..5]);
    assert_eq!(view.keys("p/a", "p/a!", 2).unwrap(), keys[2..4]);
    assert_eq!(view.keys("", "p/z", 100).unwrap(), keys[8..]);
}

async fn checks_expectations(store: &dyn Storage) {
    let first = store.commit(expecting("k", None, "1")).await.unwrap();
    assert!(matches!(store.commit(expecting("k", None, "x")).await, Err(CommitError::Conflict)));
    assert!(matches!(store.commit(expecting("k", Some(first + 1), "x")).await, Err(CommitError::Conflict)));
    let mut both = expecting("k", Some(first), "x");
    both.expect.push(Expectation { key: "other".into(), version: Some(1) });
    both.writes.push(put("side", "effect"));
    assert!(matches!(store.commit(both).await, Err(CommitError::Conflict)));
    assert_eq!(
        [text(store, "k"), text(store, "side")],
        [Some("1".into()), None],
        "a conflict changes nothing"
    );
    store.commit(expecting("k", Some(first), "2")).await.unwrap();
    assert_eq!(text(store, "k").unwrap(), "2");
}

async fn keeps_a_snapshot(store: &dyn Storage) {
    store.commit(writes(vec![put("k", "old")])).await.unwrap();
    let before = store.snapshot();
    for n in 0..50 {
        store.commit(writes(vec![put("k", "new"), put(&format!("n{n}"), "")])).await.unwrap();
    }
    assert_eq!(before.get("k").unwrap().unwrap().value, "old");
    assert_eq!(before.keys("", "", 100).unwrap(), ["k"]);
    assert_eq!(store.snapshot().keys("", "", 100).unwrap().len(), 51);
}

/// Many writers raise one counter each by reading its version: every success is seen exactly once.
async fn conflicts_within_a_batch(store: Arc<dyn Storage>) {
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..4 {
                    while !raise(&*store).await {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(text(&*store, "counter").unwrap(), "128");
}

async fn raise(store: &dyn Storage) -> bool {
    let read = store.snapshot().get("counter").unwrap();
    let now: u64 = read.as_ref().map_or(0, |s| String::from_utf8_lossy(&s.value).parse().unwrap());
    match store.commit(expecting("counter", read.map(|s| s.version), &(now + 1).to_string())).await {
        Ok(_) => true,
        Err(CommitError::Conflict) => false,
        Err(other) => panic!("{other}"),
    }
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(CommitIndex, Vec<String>)>>);

impl Observer for Seen {
    fn changed(&self, index: CommitIndex, keys: Option<&[String]>) {
        self.0.lock().push((index, keys.unwrap_or_default().to_vec()));
    }
}

async fn tells_observers_first(store: Arc<dyn Storage>) {
    let seen = Arc::new(Seen::default());
    store.observe(Arc::clone(&seen) as Arc<dyn Observer>);
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let (store, seen) = (Arc::clone(&store), Arc::clone(&seen));
            tokio::spawn(async move {
                let key = format!("k{n}");
                let index = store.commit(writes(vec![put(&key, "")])).await.unwrap();
                assert!(seen.0.lock().contains(&(index, vec![key])), "told before the writer");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seen = seen.0.lock();
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0), "in order of the index");
}

async fn bounds(store: &dyn Storage) {
    let long = "k".repeat(MAX_KEY_BYTES);
    store.commit(writes(vec![put(&long, "")])).await.unwrap();
    let longer = store.commit(writes(vec![put(&format!("{long}k"), "")])).await;
    assert!(matches!(longer, Err(CommitError::TooLarge { .. })));
    let big = Bytes::from(vec![7_u8; MAX_TRANSACTION_BYTES]);
    let large = writes(vec![Write::Put { key: "k".into(), value: big.slice(1..) }]);
    store.commit(large).await.unwrap();
    let larger = writes(vec![Write::Put { key: "k".into(), value: big }]);
    assert!(matches!(store.commit(larger).await, Err(CommitError::TooLarge { .. })));
}

fn key() -> impl Strategy<Value = String> {
    "[ab/0!]{1,4}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_store_is_a_map(steps in prop::collection::vec(prop::collection::btree_map(key(), any::<Option<u8>>(), 0..5), 0..12)) {
        let (runtime, store, mut model) = (runtime(), inmem::open(), BTreeMap::new());
        for step in steps {
            let changes = step.iter().map(|(key, value)| match value {
                Some(value) => put(key, &value.to_string()),
                None => Write::Delete { key: key.clone() },
            });
            let index = runtime.block_on(store.commit(writes(changes.collect()))).unwrap();
            for (key, value) in step {
                match value {
                    Some(value) => drop(model.insert(key, (index, value.to_string()))),
                    None => drop(model.remove(&key)),
                }
            }
        }
        same(&*store, &model);
    }
}

fn same(store: &dyn Storage, model: &BTreeMap<String, (CommitIndex, String)>) {
    let view = store.snapshot();
    assert_eq!(view.keys("", "", usize::MAX).unwrap(), model.keys().cloned().collect::<Vec<_>>());
    for (key, (version, value)) in model {
        let stored = view.get(key).unwrap().unwrap();
        assert_eq!((stored.version, stored.value), (*version, Bytes::from(value.clone())));
    }
    for prefix in ["", "a/", "/", "b/a/"] {
        let below = model.keys().filter_map(|key| key.strip_prefix(prefix)).filter(|rest| !rest.is_empty());
        let children: std::collections::BTreeSet<&str> =
            below.filter_map(|rest| rest.split_inclusive('/').next()).collect();
        assert_eq!(
            view.list(prefix, "", usize::MAX).unwrap(),
            children.into_iter().collect::<Vec<_>>(),
            "{prefix}"
        );
    }
}

#[test]
fn inmem_keeps_the_contract() {
    suite(inmem::open);
}

#[test]
fn file_keeps_the_contract() {
    let scratch = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    suite(|| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        file::open(&scratch.path().join(n.to_string())).unwrap()
    });
}

#[test]
fn raft_keeps_the_contract() {
    let scratch = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    suite(|| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        raft::open(&scratch.path().join(n.to_string()), raft::Options::default()).unwrap()
    });
}
