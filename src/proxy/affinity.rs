//! Read-your-writes: which index a session must see. Keys are keyed hashes of the token, never the token.
//!
//! Only answers raise floors. The store is bounded: a session that was forgotten is a session seen for the
//! first time, and `consistency.first_seen` says what that means (with `global`, its floor can only be higher
//! than the forgotten one, so forgetting is always safe). It leaves the choice of a server to `route`.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Shards of the session map: workers that meet on one are rare with 32.
const SHARDS: usize = 32;

/// 128-bit keyed hash of a token. The key is random per process and wiped with it, so an entry tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(u128);

/// What the next read of a session must be at or past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floor {
    /// Index of the session's own last write; 0: none.
    pub wrote: u64,
    /// Highest index the session was shown, by whichever node and whoever wrote there; 0: none.
    pub seen: u64,
    /// Proxy-clock milliseconds of the last acknowledged write, for servers that carry no index. 0: none.
    pub written_ms: u64,
}

impl Floor {
    #[must_use]
    pub fn is_none(self) -> bool {
        self.index() == 0 && self.written_ms == 0
    }

    /// The replication index a server must be at or past; 0: nothing asked.
    #[must_use]
    pub fn index(self) -> u64 {
        self.wrote.max(self.seen)
    }

    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            wrote: self.wrote.max(other.wrote),
            seen: self.seen.max(other.seen),
            written_ms: self.written_ms.max(other.written_ms),
        }
    }
}

/// All floors of this process, shared by its workers.
pub struct Sessions {
    key: (u64, u64),
    shards: Vec<Mutex<Generations>>,
    global_index: AtomicU64,
    global_written_ms: AtomicU64,
    epoch: AtomicU64,
    evicted: AtomicU64,
    started: Instant,
}

/// The key is a keyed hash already: its upper half is as good as another hash of it (the lower names the shard).
type Floors = HashMap<SessionKey, Floor, BuildHasherDefault<UpperHalf>>;

#[derive(Debug, Default)]
struct UpperHalf(u64);

impl Hasher for UpperHalf {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = (key >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Two generations: a full young one becomes the old one, and what nobody asked for since is forgotten with it.
#[derive(Debug)]
struct Generations {
    young: Floors,
    old: Floors,
    /// Entries one generation may hold.
    capacity: usize,
}

// === impl Sessions ===

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Sessions {
    /// `max_sessions` bounds the entries of all shards and generations together (at least 2 per shard).
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn new(max_sessions: usize, started: Instant) -> Result<Self, getrandom::Error> {
        let mut seed = [0_u8; 16];
        getrandom::fill(&mut seed)?;
        let (low, high) = seed.split_at(8);
        let half = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("split_at(8) of 16"));
        let capacity = (max_sessions / (2 * SHARDS)).max(1);
        Ok(Self {
            key: (half(low), half(high)),
            shards: (0..SHARDS).map(|_| Mutex::new(Generations::new(capacity))).collect(),
            global_index: AtomicU64::new(0),
            global_written_ms: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            started,
        })
    }

    /// The key of a token.
    #[must_use]
    pub fn key(&self, token: &[u8]) -> SessionKey {
        let mut hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        hasher.write(token);
        SessionKey(hasher.finish128().as_u128())
    }

    /// Milliseconds on this process's own clock, at least 1 so that 0 can mean "never".
    #[must_use]
    pub fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_millis() as u64 + 1
    }

    /// The floor of a known session, `None` for one seen for the first time.
    #[must_use]
    pub fn floor(&self, key: SessionKey) -> Option<Floor> {
        let (floor, evicted) = self.shard(key).lock().get(key);
        self.count_evicted(evicted);
        floor
    }

    /// The highest index any answer to this process carried, and its latest write.
    #[must_use]
    pub fn global(&self) -> Floor {
        Floor {
            wrote: 0,
            seen: self.global_index.load(Ordering::Acquire),
            written_ms: self.global_written_ms.load(Ordering::Acquire),
        }
    }

    /// An answer reached `floor`: later reads of this session must not go back behind it.
    pub fn raise(&self, key: SessionKey, floor: Floor) {
        let evicted = self.shard(key).lock().raise(key, floor);
        self.count_evicted(evicted);
    }

    /// The same for everybody who uses this proxy.
    pub fn raise_global(&self, floor: Floor) {
        raise(&self.global_index, floor.index());
        raise(&self.global_written_ms, floor.written_ms);
    }

    /// Before this process carried any answer, the active node's own index stands for what clients may have done
    /// through another proxy or before a restart. Later calls change nothing.
    pub fn seed_global(&self, index: u64) {
        let seeded = self.global_index.compare_exchange(0, index, Ordering::AcqRel, Ordering::Relaxed);
        if seeded.is_ok() {
            tracing::debug!(index, "sessions nobody knows yet start at this index");
        }
    }

    /// A new cluster took the old one's place: its indexes have nothing to do with the floors kept here.
    pub fn enter_epoch(&self, epoch: u64) {
        // Never back: a worker that read the picture before the change must not void what came after it.
        if self.epoch.fetch_max(epoch, Ordering::AcqRel) >= epoch {
            return;
        }
        for shard in &self.shards {
            shard.lock().clear();
        }
        self.global_index.store(0, Ordering::Release);
        self.global_written_ms.store(0, Ordering::Release);
    }

    /// Sessions kept now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sessions forgotten because the store was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn shard(&self, key: SessionKey) -> &Mutex<Generations> {
        &self.shards[(key.0 as usize) % SHARDS]
    }

    fn count_evicted(&self, evicted: usize) {
        if evicted > 0 {
            self.evicted.fetch_add(evicted as u64, Ordering::Relaxed);
        }
    }
}

/// A plain load first: in the steady state nothing is written to the shared line.
fn raise(cell: &AtomicU64, value: u64) {
    if value > cell.load(Ordering::Relaxed) {
        cell.fetch_max(value, Ordering::AcqRel);
    }
}

// === impl Generations ===

impl Generations {
    fn new(capacity: usize) -> Self {
        Self { young: Floors::default(), old: Floors::default(), capacity }
    }

    /// Looks the session up and keeps it from being forgotten. Also says how many others were.
    fn get(&mut self, key: SessionKey) -> (Option<Floor>, usize) {
        if let Some(floor) = self.young.get(&key) {
            return (Some(*floor), 0);
        }
        let Some(floor) = self.old.remove(&key) else { return (None, 0) };
        (Some(floor), self.insert(key, floor))
    }

    fn raise(&mut self, key: SessionKey, floor: Floor) -> usize {
        if let Some(known) = self.young.get_mut(&key) {
            *known = known.max(floor);
            return 0;
        }
        let known = self.old.remove(&key).unwrap_or_default();
        self.insert(key, known.max(floor))
    }

    fn insert(&mut self, key: SessionKey, floor: Floor) -> usize {
        let evicted = if self.young.len() < self.capacity { 0 } else { self.turn_over() };
        self.young.insert(key, floor);
        evicted
    }

    fn turn_over(&mut self) -> usize {
        let evicted = self.old.len();
        self.old = std::mem::take(&mut self.young);
        evicted
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sessions(max: usize) -> Sessions {
        Sessions::new(max, Instant::now()).unwrap()
    }

    fn at(index: u64) -> Floor {
        Floor { seen: index, ..Floor::default() }
    }

    #[test]
    fn a_floor_only_rises() {
        let store = sessions(1000);
        let key = store.key(b"a");
        assert_eq!(store.floor(key), None);
        for (raised, expected) in [(5, 5), (3, 5), (9, 9)] {
            store.raise(key, at(raised));
            assert_eq!(store.floor(key), Some(at(expected)));
        }
    }

    #[test]
    fn sessions_are_apart_and_global_is_not() {
        let store = sessions(1000);
        store.raise(store.key(b"a"), at(5));
        store.raise_global(at(5));
        assert_eq!(store.floor(store.key(b"b")), None);
        assert_eq!(store.global(), at(5));
    }

    #[test]
    fn a_fresh_process_starts_at_the_active_nodes_index_and_only_once() {
        let store = sessions(1000);
        store.seed_global(7);
        store.seed_global(9);
        assert_eq!(store.global(), at(7));
        store.raise_global(at(8));
        store.seed_global(3);
        assert_eq!(store.global(), at(8));
    }

    #[test]
    fn a_new_cluster_voids_every_floor() {
        let store = sessions(1000);
        store.raise(store.key(b"a"), at(5));
        store.raise_global(at(5));
        store.enter_epoch(1);
        assert_eq!((store.floor(store.key(b"a")), store.global()), (None, Floor::default()));
        store.raise(store.key(b"a"), at(3));
        for known in [0, 1] {
            store.enter_epoch(known);
            assert_eq!(store.floor(store.key(b"a")), Some(at(3)), "epoch {known} is not new");
        }
    }

    #[test]
    fn the_key_is_random_per_process() {
        assert_ne!(sessions(10).key(b"t"), sessions(10).key(b"t"));
    }

    proptest! {
        /// Bounded, and what is remembered is never below what was raised; forgetting is the only loss.
        #[test]
        fn bounded_and_monotonic(steps in proptest::collection::vec((0_u8..255, 1_u64..1000), 1..2000)) {
            let store = sessions(128);
            let mut model: HashMap<u8, u64> = HashMap::new();
            for (who, index) in steps {
                store.raise(store.key(&[who]), at(index));
                let known = model.entry(who).or_default();
                *known = (*known).max(index);
                prop_assert!(store.len() <= 128);
                if let Some(floor) = store.floor(store.key(&[who])) {
                    prop_assert!(floor.index() >= index);
                    prop_assert!(floor.index() <= *known);
                }
            }
        }
    }
}
