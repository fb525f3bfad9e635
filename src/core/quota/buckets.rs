//! All buckets: a bounded number, in parts that do not wait for each other.
//!
//! When a part is full, buckets that are over make room, and if there is none, any other: whoever has that many addresses
//! has a limit of his own for each of them anyway.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;

use parking_lot::Mutex;
use time::{Duration, OffsetDateTime};

use super::bucket::{Bucket, Limits, Taken};

/// Independent parts.
const PARTS: usize = 16;
/// Most buckets of a part: together 131,072, about 13 MB.
const MAX_IN_PART: usize = 8192;
/// Between two looks for buckets that are over, in a part that is full.
const SWEEP: Duration = Duration::seconds(1);

/// A rule's generation and an address.
pub(super) type Key = (u64, Option<IpAddr>);

#[derive(Default)]
pub(super) struct Buckets {
    hasher: RandomState,
    parts: [Mutex<Part>; PARTS],
}

#[derive(Default)]
struct Part {
    buckets: HashMap<Key, Bucket>,
    swept_at: Option<OffsetDateTime>,
}

// === impl Buckets ===

impl Buckets {
    pub(super) fn take(&self, key: Key, limits: Limits, now: OffsetDateTime) -> Taken {
        let mut part = self.part(&key).lock();
        if part.buckets.len() >= MAX_IN_PART && !part.buckets.contains_key(&key) {
            part.make_room(now);
        }
        part.buckets.entry(key).or_insert_with(|| Bucket::new(limits, now)).take(limits, now)
    }

    fn part(&self, key: &Key) -> &Mutex<Part> {
        let hash = self.hasher.hash_one(key);
        &self.parts[usize::try_from(hash % PARTS as u64).unwrap_or(0)]
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().buckets.len()).sum()
    }
}

// === impl Part ===

impl Part {
    fn make_room(&mut self, now: OffsetDateTime) {
        if self.swept_at.is_none_or(|swept| now - swept >= SWEEP) {
            self.swept_at = Some(now);
            self.buckets.retain(|_, bucket| !bucket.is_over(now));
        }
        if self.buckets.len() >= MAX_IN_PART
            && let Some(victim) = self.buckets.keys().next().copied()
        {
            self.buckets.remove(&victim);
        }
    }
}

/// Addresses are nobody's business in a log.
impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} buckets", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_bounded_and_what_is_over_goes_first() {
        let (buckets, start) = (Buckets::default(), OffsetDateTime::UNIX_EPOCH);
        let limits = Limits { tokens: 1, interval_secs: 10, block_secs: 0 };
        let address = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        let many = u32::try_from(PARTS * MAX_IN_PART).unwrap() + 5000;
        for number in 0..many {
            assert!(buckets.take((1, address(number)), limits, start).allowed);
        }
        assert!(buckets.len() <= PARTS * MAX_IN_PART);
        let later = start + Duration::seconds(11);
        for number in 0..1000 {
            buckets.take((2, address(number)), limits, later);
        }
        assert!(buckets.len() < many as usize / 2, "old ones made room: {}", buckets.len());
    }
}
