//! How much one client address may ask for: requests per second and open connections.
//!
//! Pure: the caller passes the time and holds the value, one per listener and worker or behind a lock of its
//! own; nothing here waits. Addresses are those the guard believes. Both maps are bounded; an IPv6 client
//! counts as its /64, because one host has that many addresses for the asking.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::config::proxy::RateLimit;

/// Addresses remembered at once; 65,536 buckets are some 5 MiB.
pub const MAX_CLIENTS: usize = 65_536;

/// Token buckets by client address.
///
/// Full: the address that came first goes, so a flood of addresses costs the limit of old ones, never memory.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    max_clients: usize,
    buckets: HashMap<IpAddr, Bucket>,
    /// Invariant: the same addresses as `buckets`, oldest first.
    order: VecDeque<IpAddr>,
}

/// Open connections by client address.
#[derive(Debug, Default)]
pub struct ConnectionCounter {
    /// 0: unlimited, and nothing is counted.
    max_per_client: usize,
    /// Invariant: no zero. Bounded by the listener's own connection limit.
    open: HashMap<IpAddr, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// What to tell a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Admitted,
    /// `Retry-After`: the next request is admitted then, rounded up to a second by the caller.
    Limited {
        retry_after: Duration,
    },
}

// === impl RateLimiter ===

impl RateLimiter {
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self::with_capacity(limit, MAX_CLIENTS)
    }

    /// Room for `max_clients` addresses, at least one.
    #[must_use]
    pub fn with_capacity(limit: RateLimit, max_clients: usize) -> Self {
        Self { limit, max_clients: max_clients.max(1), buckets: HashMap::new(), order: VecDeque::new() }
    }

    /// `requests_per_second` 0 switches limiting off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.limit.requests_per_second <= 0.0
    }

    /// Count one request of `client`. `now` must not go back by more than the accuracy wanted.
    pub fn admit(&mut self, client: IpAddr, now: Instant) -> Verdict {
        if self.is_off() {
            return Verdict::Admitted;
        }
        let (rate, capacity) = (self.limit.requests_per_second, self.capacity());
        let bucket = self.bucket(network(client), now);
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate).min(capacity);
        bucket.filled = bucket.filled.max(now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Verdict::Admitted;
        }
        Verdict::Limited { retry_after: time_for(1.0 - bucket.tokens, rate) }
    }

    #[must_use]
    pub fn clients(&self) -> usize {
        self.buckets.len()
    }

    /// A burst below one request would admit nobody.
    fn capacity(&self) -> f64 {
        f64::from(self.limit.burst.max(1))
    }

    fn bucket(&mut self, client: IpAddr, now: Instant) -> &mut Bucket {
        if !self.buckets.contains_key(&client) {
            self.make_room();
            self.order.push_back(client);
        }
        let full = Bucket { tokens: self.capacity(), filled: now };
        self.buckets.entry(client).or_insert(full)
    }

    fn make_room(&mut self) {
        while self.buckets.len() >= self.max_clients {
            let Some(oldest) = self.order.pop_front() else { return };
            self.buckets.remove(&oldest);
        }
    }
}

/// A rate of one in a year must not overflow.
fn time_for(tokens: f64, rate: f64) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3600);
    Duration::try_from_secs_f64(tokens / rate).unwrap_or(LONGEST).min(LONGEST)
}

// === impl ConnectionCounter ===

impl ConnectionCounter {
    /// `max_per_client` 0: unlimited.
    #[must_use]
    pub fn new(max_per_client: usize) -> Self {
        Self { max_per_client, open: HashMap::new() }
    }

    /// `true`: counted, and [`Self::close`] is owed. `false`: this client has as many as it may.
    pub fn open(&mut self, client: IpAddr) -> bool {
        if self.max_per_client == 0 {
            return true;
        }
        let open = self.open.entry(network(client)).or_insert(0);
        if *open >= self.max_per_client {
            return false;
        }
        *open += 1;
        true
    }

    pub fn close(&mut self, client: IpAddr) {
        if let Entry::Occupied(mut open) = self.open.entry(network(client)) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }

    #[must_use]
    pub fn clients(&self) -> usize {
        self.open.len()
    }
}

fn network(client: IpAddr) -> IpAddr {
    const UPPER_64: u128 = !0 << 64;
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & UPPER_64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn limiter(requests_per_second: f64, burst: u32) -> RateLimiter {
        RateLimiter::with_capacity(RateLimit { requests_per_second, burst }, 3)
    }

    fn admitted(limiter: &mut RateLimiter, client: &str, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| limiter.admit(ip(client), now) == Verdict::Admitted).count()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut limiter = limiter(10.0, 5);
        assert_eq!(admitted(&mut limiter, "192.0.2.1", start, 9), 5);
        assert_eq!(
            limiter.admit(ip("192.0.2.1"), start),
            Verdict::Limited { retry_after: Duration::from_millis(100) }
        );
        assert_eq!(admitted(&mut limiter, "192.0.2.1", start + Duration::from_millis(250), 9), 2);
        assert_eq!(admitted(&mut limiter, "192.0.2.1", start + Duration::from_secs(60), 9), 5);
        assert_eq!(admitted(&mut limiter, "192.0.2.2", start, 9), 5, "another client has its own");
    }

    #[test]
    fn off_and_odd_limits() {
        let start = Instant::now();
        let mut off = limiter(0.0, 0);
        assert_eq!(admitted(&mut off, "192.0.2.1", start, 1000), 1000);
        assert_eq!(off.clients(), 0);
        assert_eq!(admitted(&mut limiter(1.0, 0), "192.0.2.1", start, 5), 1);
        let mut slow = limiter(1e-12, 1);
        assert_eq!(slow.admit(ip("::1"), start), Verdict::Admitted);
        assert_eq!(slow.admit(ip("::1"), start), Verdict::Limited { retry_after: Duration::from_secs(3600) });
    }

    #[test]
    fn the_oldest_address_makes_room() {
        let start = Instant::now();
        let mut limiter = limiter(1.0, 1);
        for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
            assert_eq!(admitted(&mut limiter, client, start, 2), 1);
        }
        assert_eq!(limiter.clients(), 3);
        assert_eq!(admitted(&mut limiter, "192.0.2.4", start, 1), 0);
        assert_eq!(admitted(&mut limiter, "192.0.2.1", start, 1), 1, "forgotten, so a new bucket");
    }

    #[test]
    fn one_ipv6_host_is_one_client() {
        let start = Instant::now();
        let mut limiter = limiter(1.0, 1);
        assert_eq!(admitted(&mut limiter, "2001:db8::1", start, 1), 1);
        assert_eq!(admitted(&mut limiter, "2001:db8::2", start, 1), 0);
        assert_eq!(admitted(&mut limiter, "2001:db8:0:1::1", start, 1), 1);
        assert_eq!(admitted(&mut limiter, "192.0.2.1", start, 1), 1);
        assert_eq!(admitted(&mut limiter, "::ffff:192.0.2.1", start, 1), 0);
    }

    #[test]
    fn connections_are_counted_and_given_back() {
        let mut counter = ConnectionCounter::new(2);
        let client = ip("192.0.2.1");
        assert_eq!([(); 3].map(|()| counter.open(client)), [true, true, false]);
        assert!(counter.open(ip("192.0.2.2")));
        counter.close(client);
        assert!(counter.open(client));
        counter.close(client);
        counter.close(client);
        counter.close(client);
        assert_eq!(counter.clients(), 1, "only the other one is left");
        let mut unlimited = ConnectionCounter::new(0);
        assert!((0..100).all(|_| unlimited.open(client)));
        assert_eq!(unlimited.clients(), 0);
    }

    proptest! {
        /// Never more than the burst plus what the time allows; the map and its order stay the same size.
        #[test]
        fn no_more_than_promised(
            steps in proptest::collection::vec((0_u8..6, 0_u64..300), 1..200),
            rate in 1.0_f64..50.0,
            burst in 1_u32..10,
        ) {
            let start = Instant::now();
            let mut limiter = RateLimiter::with_capacity(RateLimit { requests_per_second: rate, burst }, 6);
            let mut now = start;
            let mut counts = [0_u32; 6];
            for (client, wait) in steps {
                now += Duration::from_millis(wait);
                let address = IpAddr::from([192, 0, 2, client]);
                if limiter.admit(address, now) == Verdict::Admitted {
                    counts[usize::from(client)] += 1;
                }
                prop_assert_eq!(limiter.buckets.len(), limiter.order.len());
            }
            let most = f64::from(burst) + (now - start).as_secs_f64() * rate + 1e-6;
            prop_assert!(counts.iter().all(|count| f64::from(*count) <= most), "{:?} > {}", counts, most);
        }

        #[test]
        fn the_map_is_bounded(clients in proptest::collection::vec(any::<u32>(), 1..300)) {
            let mut limiter = RateLimiter::with_capacity(RateLimit { requests_per_second: 1.0, burst: 1 }, 16);
            let now = Instant::now();
            for client in clients {
                limiter.admit(IpAddr::from(client.to_be_bytes()), now);
                prop_assert!(limiter.clients() <= 16 && limiter.order.len() <= 16);
            }
        }
    }
}
