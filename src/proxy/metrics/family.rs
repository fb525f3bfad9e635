//! From summed grids to metric families. Zero cells of many-dimensional tables are left out: a combination that never
//! happened costs no series.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::cell::BoundsUs;

const PREFIX: &str = "understudy_proxy_";

/// The words of one label, in row order. Rows past the words are not exposed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis<'a> {
    pub(super) name: &'static str,
    pub(super) words: Words<'a>,
    /// Rows of the grid along this axis, at least as many as words.
    pub(super) rows: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Words<'a> {
    Fixed(&'static [&'static str]),
    Names(&'a [String]),
}

impl Words<'_> {
    fn at(&self, row: usize) -> Option<&str> {
        match self {
            Self::Fixed(words) => words.get(row).copied(),
            Self::Names(words) => words.get(row).map(String::as_str),
        }
    }
}

/// Which of the cells become series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Every named cell, so that a rate exists before the first event.
    All,
    /// Only what happened.
    Touched,
}

/// The families of one scrape.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    pub(super) fn into_inner(self) -> Vec<MetricFamily> {
        self.0
    }

    pub(super) fn counters(&mut self, name: &str, help: &str, show: Show, axes: &[Axis<'_>], cells: &[u64]) {
        let metrics = cells
            .iter()
            .enumerate()
            .filter(|(_, value)| show == Show::All || **value != 0)
            .filter_map(|(cell, value)| Some(counter(labels(axes, cell)?, *value as f64)))
            .collect();
        self.push(PREFIX, name, help, MetricType::COUNTER, metrics);
    }

    /// Cells are sums of workers that wrap below zero.
    pub(super) fn gauges(&mut self, name: &str, help: &str, show: Show, axes: &[Axis<'_>], cells: &[u64]) {
        let metrics = cells
            .iter()
            .enumerate()
            .filter(|(_, value)| show == Show::All || **value != 0)
            .filter_map(|(cell, value)| Some(gauge(labels(axes, cell)?, value.cast_signed() as f64)))
            .collect();
        self.push(PREFIX, name, help, MetricType::GAUGE, metrics);
    }

    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        axes: &[Axis<'_>],
        bounds: BoundsUs,
        cells: &[u64],
    ) {
        let metrics = cells
            .chunks_exact(bounds.len() + 2)
            .enumerate()
            .filter_map(|(row, cells)| Some((row, histogram(bounds, cells)?)))
            .filter_map(|(row, histogram)| {
                let mut metric = Metric::from_label(labels(axes, row)?);
                metric.set_histogram(histogram);
                Some(metric)
            })
            .collect();
        self.push(PREFIX, name, help, MetricType::HISTOGRAM, metrics);
    }

    /// Ready-made samples: (labels, value).
    pub(super) fn samples(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: impl IntoIterator<Item = (Vec<(&'static str, String)>, f64)>,
    ) {
        let make = if kind == MetricType::COUNTER { counter } else { gauge };
        let metrics = samples
            .into_iter()
            .map(|(labels, value)| make(labels.iter().map(|(name, word)| pair(name, word)).collect(), value))
            .collect();
        self.push(PREFIX, name, help, kind, metrics);
    }

    /// A number without labels.
    pub(super) fn number(&mut self, name: &str, help: &str, kind: MetricType, value: f64) {
        self.samples(name, help, kind, [(Vec::new(), value)]);
    }

    /// A number whose name other exporters share, without our prefix.
    pub(super) fn standard(&mut self, name: &str, help: &str, kind: MetricType, value: f64) {
        let make = if kind == MetricType::COUNTER { counter } else { gauge };
        self.push("", name, help, kind, vec![make(Vec::new(), value)]);
    }

    /// The encoder refuses a family without series, so an empty one is left out.
    fn push(&mut self, prefix: &str, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(format!("{prefix}{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}

fn counter(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

/// `None` when nothing was counted. Cells: a count a bucket, the count above the last, the sum in nanoseconds.
fn histogram(bounds: BoundsUs, cells: &[u64]) -> Option<Histogram> {
    let (sum_nanos, counts) = cells.split_last()?;
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let mut histogram = Histogram::default();
    histogram.set_sample_count(total);
    histogram.set_sample_sum(*sum_nanos as f64 / 1e9);
    histogram.set_bucket(buckets(bounds, counts));
    Some(histogram)
}

fn buckets(bounds: BoundsUs, counts: &[u64]) -> Vec<Bucket> {
    let mut cumulative = 0;
    let mut buckets = Vec::with_capacity(bounds.len());
    for (bound, count) in bounds.iter().zip(counts) {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound as f64 / 1e6);
        bucket.set_cumulative_count(cumulative);
        buckets.push(bucket);
    }
    buckets
}

/// The label pairs of a cell in row order; `None` when one of its rows has no word.
fn labels(axes: &[Axis<'_>], mut cell: usize) -> Option<Vec<LabelPair>> {
    let mut pairs = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        pairs.push(pair(axis.name, axis.words.at(cell % axis.rows)?));
        cell /= axis.rows;
    }
    pairs.reverse();
    (cell == 0).then_some(pairs)
}

fn pair(name: &str, word: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(word.to_owned());
    pair
}
