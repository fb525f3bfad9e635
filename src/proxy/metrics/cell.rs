//! Number grids: counters, gauges and histograms without locks, allocation or formatting after construction.
//!
//! Invariant: a grid that is written through `add`/`sub`/`set`/`record` has one writing thread. Then a plain load and
//! store loses nothing and costs no locked instruction. Grids with several writers use `add_shared`/`record_shared`.
//! It does not know what the numbers mean.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const CELLS_PER_LINE: usize = 16;

/// Two cache lines (adjacent lines are fetched in pairs), so that no two grids share one.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line([AtomicU64; CELLS_PER_LINE]);

/// A dense table of numbers with `D` dimensions, the last one running fastest.
#[derive(Debug)]
pub(super) struct Grid<const D: usize> {
    dims: [usize; D],
    lines: Box<[Line]>,
}

impl<const D: usize> Grid<D> {
    pub(super) fn new(dims: [usize; D]) -> Self {
        let lines = dims.iter().product::<usize>().div_ceil(CELLS_PER_LINE);
        Self { dims, lines: (0..lines).map(|_| Line::default()).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Adds one; single writer.
    pub(super) fn add(&self, at: [usize; D]) {
        self.change(at, 1);
    }

    /// Takes one away from a gauge; single writer. Cells of several workers may go "negative" (wrap): only the sum counts.
    pub(super) fn sub(&self, at: [usize; D]) {
        self.change(at, u64::MAX);
    }

    /// Replaces the number; single writer, or any writer when the last one may win.
    pub(super) fn set(&self, at: [usize; D], value: u64) {
        if let Some(cell) = self.cell(at) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// Adds from any thread.
    pub(super) fn add_shared(&self, at: [usize; D], more: u64) {
        if let Some(cell) = self.cell(at) {
            cell.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn value(&self, at: [usize; D]) -> u64 {
        self.cell(at).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Adds every cell to `sums`, in row order.
    pub(super) fn sum_into(&self, sums: &mut [u64]) {
        let cells = self.lines.iter().flat_map(|line| &line.0);
        for (sum, cell) in sums.iter_mut().zip(cells) {
            *sum = sum.wrapping_add(cell.load(Ordering::Relaxed));
        }
    }

    fn change(&self, at: [usize; D], by: u64) {
        if let Some(cell) = self.cell(at) {
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        }
    }

    fn cell(&self, at: [usize; D]) -> Option<&AtomicU64> {
        let mut offset = 0;
        for (dim, index) in self.dims.iter().zip(at) {
            debug_assert!(index < *dim, "label number {index} is outside its set of {dim}");
            offset = offset * dim + index;
        }
        self.lines.get(offset / CELLS_PER_LINE)?.0.get(offset % CELLS_PER_LINE)
    }
}

/// Upper bounds of a histogram's buckets in microseconds, ascending; the bucket above the last is implied.
pub(super) type BoundsUs = &'static [u64];

/// Histograms in `D` dimensions with the same buckets.
#[derive(Debug)]
pub(super) struct Histograms<const D: usize> {
    bounds: BoundsUs,
    dims: [usize; D],
    /// Row: one count a bucket, one for the bucket above the last, then the sum in nanoseconds.
    rows: Grid<2>,
}

impl<const D: usize> Histograms<D> {
    pub(super) fn new(bounds: BoundsUs, dims: [usize; D]) -> Self {
        Self { bounds, dims, rows: Grid::new([dims.iter().product(), bounds.len() + 2]) }
    }

    pub(super) fn bounds(&self) -> BoundsUs {
        self.bounds
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Counts one duration; single writer.
    pub(super) fn record(&self, at: [usize; D], took: Duration) {
        let row = self.row(at);
        self.rows.add([row, self.bucket(took)]);
        self.rows.change([row, self.bounds.len() + 1], nanos(took));
    }

    /// Counts one duration from any thread.
    pub(super) fn record_shared(&self, at: [usize; D], took: Duration) {
        let row = self.row(at);
        self.rows.add_shared([row, self.bucket(took)], 1);
        self.rows.add_shared([row, self.bounds.len() + 1], nanos(took));
    }

    pub(super) fn sum_into(&self, sums: &mut [u64]) {
        self.rows.sum_into(sums);
    }

    fn row(&self, at: [usize; D]) -> usize {
        self.dims.iter().zip(at).fold(0, |offset, (dim, index)| offset * dim + index)
    }

    /// A duration equal to a bound belongs to that bound's bucket (`le`).
    fn bucket(&self, took: Duration) -> usize {
        let nanos = nanos(took);
        self.bounds.iter().take_while(|bound| nanos > **bound * 1000).count()
    }
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_of_a_grid_is_its_own() {
        let grid = Grid::new([3, 5, 2]);
        for a in 0..3 {
            for b in 0..5 {
                for c in 0..2 {
                    grid.set([a, b, c], (a * 100 + b * 10 + c) as u64 + 1);
                }
            }
        }
        let mut sums = vec![0; grid.len()];
        grid.sum_into(&mut sums);
        let expected: Vec<u64> = (0..3)
            .flat_map(|a| (0..5).flat_map(move |b| (0..2).map(move |c| a * 100 + b * 10 + c + 1)))
            .collect();
        assert_eq!(sums, expected);
    }

    #[test]
    fn gauges_of_several_workers_meet_in_the_sum() {
        let (one, other) = (Grid::new([1]), Grid::new([1]));
        one.add([0]);
        one.add([0]);
        other.sub([0]);
        let mut sums = [0];
        one.sum_into(&mut sums);
        other.sum_into(&mut sums);
        assert_eq!(sums, [1]);
    }

    #[test]
    fn a_duration_on_the_bound_is_in_the_bound() {
        let histogram = Histograms::new(&[500, 1000], [1]);
        for us in [1, 500, 501, 1000, 1001] {
            histogram.record([0], Duration::from_micros(us));
        }
        let mut row = vec![0; histogram.len()];
        histogram.sum_into(&mut row);
        assert_eq!(row, [2, 2, 1, 3_003_000]);
    }
}
