//! Numbers that many threads add to and few read: counters and durations with their quantiles. Writing takes no lock and
//! shares no cache line between threads; reading sums the threads' shares.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Shares of a meter: threads beyond them share.
const SHARES: usize = 8;
/// Buckets of durations: four for each doubling, from a microsecond to about two minutes.
const BUCKETS: usize = 108;
/// Buckets of one doubling.
const STEPS: u32 = 4;

/// Counts events.
#[derive(Debug, Default)]
pub struct Counter([Share<AtomicU64>; SHARES]);

/// Counts events and how long they took.
#[derive(Default)]
pub struct Timer([Share<Durations>; SHARES]);

/// On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Share<T>(T);

struct Durations {
    nanos: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// What a timer came to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub count: u64,
    /// Nanoseconds.
    pub sum: u64,
    buckets: Vec<u64>,
}

thread_local! {
    static SHARE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed) % SHARES
    };
}

fn share<T>(shares: &[Share<T>; SHARES]) -> &T {
    &shares[SHARE.with(|share| *share)].0
}

// === impl Counter ===

impl Counter {
    pub fn add(&self, events: u64) {
        share(&self.0).fetch_add(events, Relaxed);
    }

    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.iter().map(|share| share.0.load(Relaxed)).sum()
    }
}

// === impl Timer ===

impl Timer {
    pub fn add(&self, took: Duration) {
        let durations = share(&self.0);
        durations.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        durations.buckets[bucket(took)].fetch_add(1, Relaxed);
    }

    pub fn since(&self, begin: Instant) {
        self.add(begin.elapsed());
    }

    /// Runs `work` and counts it.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let outcome = work();
        self.since(begin);
        outcome
    }

    #[must_use]
    pub fn read(&self) -> Reading {
        let mut reading = Reading::default();
        for Share(durations) in &self.0 {
            reading.sum = reading.sum.wrapping_add(durations.nanos.load(Relaxed));
            for (sum, bucket) in reading.buckets.iter_mut().zip(&durations.buckets) {
                *sum += bucket.load(Relaxed);
            }
        }
        reading.count = reading.buckets.iter().sum();
        reading
    }
}

// === impl Reading ===

impl Reading {
    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets).map(|(now, then)| now.saturating_sub(*then));
        Self {
            count: self.count.saturating_sub(earlier.count),
            sum: self.sum.wrapping_sub(earlier.sum),
            buckets: buckets.collect(),
        }
    }

    /// In milliseconds.
    #[must_use]
    pub fn sum_ms(&self) -> f64 {
        Duration::from_nanos(self.sum).as_secs_f64() * 1000.0
    }

    /// In milliseconds; 0: nothing came.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ms() / float(self.count) }
    }

    /// The standard deviation in milliseconds, within the width of the buckets.
    #[must_use]
    pub fn deviation_ms(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mean = self.mean_ms();
        let squares = self.buckets.iter().enumerate().map(|(at, count)| {
            let distance = middle_ms(at) - mean;
            float(*count) * distance * distance
        });
        (squares.sum::<f64>() / float(self.count)).sqrt()
    }

    /// The duration that the fraction `quantile` stayed below, in milliseconds, within a fifth; `None`: nothing came.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let total: u64 = self.buckets.iter().sum();
        let rank = (float(total) * quantile).max(1.0);
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += count;
            float(seen) >= rank
        })?;
        Some(middle_ms(at))
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self { count: 0, sum: 0, buckets: vec![0; BUCKETS] }
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self { nanos: AtomicU64::new(0), buckets: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts: what is lost above 2^53 is nothing beside a bucket's width"
)]
fn float(count: u64) -> f64 {
    count as f64
}

/// The logarithm in steps: its whole part from the highest bit, the rest from the two below.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let octave = micros.ilog2();
    let below = if octave >= 2 { (micros >> (octave - 2)) & 3 } else { (micros << (2 - octave)) & 3 };
    let at = u64::from(octave * STEPS) + below;
    usize::try_from(at).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle_ms(at: usize) -> f64 {
    let steps = f64::from(u32::try_from(at).unwrap_or(u32::MAX));
    let (octave, step) = ((steps / f64::from(STEPS)).floor(), steps % f64::from(STEPS));
    let micros = octave.exp2() * (1.0 + (step + 0.5) / f64::from(STEPS));
    micros / 1000.0
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timer({})", self.read().count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn threads_add_up() {
        let (counter, timer) = (Counter::default(), Timer::default());
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counter.add(2);
                        timer.add(Duration::from_millis(3));
                    }
                });
            }
        });
        assert_eq!(counter.read(), 40_000);
        let reading = timer.read();
        assert_eq!((reading.count, reading.sum_ms()), (20_000, 60_000.0));
        assert_eq!(reading.since(&reading).quantile_ms(0.5), None);
    }

    #[test]
    fn quantiles_are_ranks() {
        let timer = Timer::default();
        for ms in 1..=100 {
            timer.add(Duration::from_millis(ms));
        }
        let reading = timer.read();
        for (quantile, expected) in [(0.0, 1.0), (0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = reading.quantile_ms(quantile).unwrap();
            assert!((found / expected - 1.0).abs() < 0.2, "{quantile}: {found}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_near_what_is_in_it(micros in 1_u64..100_000_000) {
            let middle = middle_ms(bucket(Duration::from_micros(micros))) * 1000.0;
            let exact = micros as f64;
            prop_assert!(middle / exact < 1.51 && exact / middle < 1.25, "{micros} in {middle}");
        }

        #[test]
        fn buckets_rise_with_what_is_in_them(micros in 1_u64..u64::MAX / 2) {
            prop_assert!(bucket(Duration::from_micros(micros)) <= bucket(Duration::from_micros(micros + 1)));
        }
    }
}
