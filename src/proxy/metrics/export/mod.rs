//! The names: every family of the exposition with its labels and HELP text, by topic.
//!
//! Budget: under 1500 series with five servers and one listener, even if every combination happened.
mod process;
mod requests;
mod servers;

use std::sync::Arc;
use std::time::Instant;

use prometheus::proto::MetricFamily;

use crate::proxy::snapshot::Snapshot;

use super::Metrics;
use super::cell::{Grid, Histograms};
use super::family::{Axis, Families, Words};
use super::label::Label;
use super::slot::ROWS;
use super::worker::Cells;

/// What one scrape looks at.
struct Scrape<'a> {
    metrics: &'a Metrics,
    snapshot: &'a Snapshot,
    workers: Vec<Arc<Cells>>,
    servers: Vec<String>,
    listeners: Vec<String>,
}

pub(super) fn families(metrics: &Metrics, snapshot: &Snapshot, now: Instant) -> Vec<MetricFamily> {
    let scrape = Scrape {
        metrics,
        snapshot,
        workers: metrics.workers.lock().clone(),
        servers: metrics.servers.words(),
        listeners: metrics.listeners.words(),
    };
    let mut families = Families::default();
    requests::add(&scrape, &mut families);
    servers::add(&scrape, &mut families);
    process::add(&scrape, &mut families, now);
    families.into_inner()
}

impl Scrape<'_> {
    fn sum<const D: usize>(&self, pick: impl Fn(&Cells) -> &Grid<D>) -> Vec<u64> {
        let mut sums = Vec::new();
        for worker in &self.workers {
            let grid = pick(worker);
            sums.resize(grid.len(), 0);
            grid.sum_into(&mut sums);
        }
        sums
    }

    fn sum_histograms<const D: usize>(
        &self,
        pick: impl Fn(&Cells) -> &Histograms<D>,
    ) -> (&'static [u64], Vec<u64>) {
        let mut sums = Vec::new();
        let mut bounds: &[u64] = &[];
        for worker in &self.workers {
            let histograms = pick(worker);
            bounds = histograms.bounds();
            sums.resize(histograms.len(), 0);
            histograms.sum_into(&mut sums);
        }
        (bounds, sums)
    }

    fn server_axis(&self) -> Axis<'_> {
        Axis { name: "server", words: Words::Names(&self.servers), rows: ROWS }
    }

    fn listener_axis(&self) -> Axis<'_> {
        Axis { name: "listener", words: Words::Names(&self.listeners), rows: ROWS }
    }
}

fn axis<L: Label>(name: &'static str) -> Axis<'static> {
    Axis { name, words: Words::Fixed(L::WORDS), rows: L::WORDS.len() }
}

fn cells<const D: usize>(grid: &Grid<D>) -> Vec<u64> {
    let mut sums = vec![0; grid.len()];
    grid.sum_into(&mut sums);
    sums
}

#[cfg(test)]
mod tests;
