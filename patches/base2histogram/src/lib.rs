//! Counts values in buckets that grow with them: what openraft and raft-log keep their latencies in.
//!
//! It has the name and the used part of the interface of the crate `base2histogram`, which computes tables for sixteen
//! scales when the first histogram is made and keeps them: 25 MB, most of what a node at rest would need. Here a bucket
//! is computed where a value is counted.
//!
//! ```text
//!   value    0 1 2 3 | 4 5 6 7 | 8-9 10-11 12-13 14-15 | 16-19 ...      four buckets for each power of two
//! ```

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;

/// Buckets of a power of two.
const PARTS: u64 = 4;
const BUCKETS: usize = 252;

/// Numbers of values by size. `T` is part of the interface and means nothing here.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Box<[u64; BUCKETS]>,
    of: PhantomData<T>,
}

/// The values below which so many lie; each is the least of its bucket, at most a fifth too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

/// Some histograms by name, to be shown below each other.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    series: Vec<(String, PercentileStats)>,
}

// === impl Histogram ===

impl<T> Histogram<T> {
    #[must_use]
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), of: PhantomData }
    }

    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    pub fn record_n(&mut self, value: u64, count: u64) {
        let counted = &mut self.counts[bucket(value)];
        *counted = counted.saturating_add(count);
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.permille(1),
            p1: self.permille(10),
            p5: self.permille(50),
            p10: self.permille(100),
            p50: self.permille(500),
            p90: self.permille(900),
            p99: self.permille(990),
            p99_9: self.permille(999),
        }
    }

    /// The bucket up to which `share` thousandths of the values lie; 0 where there are none.
    fn permille(&self, share: u128) -> u64 {
        let wanted = (u128::from(self.total()) * share).div_ceil(1000);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen > 0 && seen >= wanted
        });
        found.map_or(0, least)
    }
}

fn bucket(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let power = u64::from(value.ilog2());
    let part = (value >> (power - 2)) & (PARTS - 1);
    ((power - 1) * PARTS + part) as usize
}

/// The least value of a bucket.
fn least(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match bucket.checked_sub(PARTS) {
        None => bucket,
        Some(above) => (PARTS + above % PARTS) << (above / PARTS),
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Histogram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({:?})", self.percentile_stats())
    }
}

// === impl PercentileStats ===

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, p99_9, .. } = self;
        write!(f, "[samples: {samples}, P50: {p50}, P90: {p90}, P99: {p99}, P99.9: {p99_9}]")
    }
}

// === impl AsciiChart ===

impl AsciiChart {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn add<T>(mut self, name: impl Into<String>, histogram: Histogram<T>) -> Self {
        self.series.push((name.into(), histogram.percentile_stats()));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.series.iter().try_for_each(|(name, stats)| writeln!(f, "{name} {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for at in 0..BUCKETS {
            assert_eq!(bucket(least(at)), at);
            if at > 0 {
                assert_eq!(bucket(least(at) - 1), at - 1);
            }
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats().p99, 0);
        (1..=1000).for_each(|value| histogram.record(value));
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 1000);
        for (found, value) in [(stats.p1, 10), (stats.p50, 500), (stats.p90, 900), (stats.p99, 990)] {
            assert!(found <= value && value - found <= value / 5, "{found} for {value}");
        }
    }
}
