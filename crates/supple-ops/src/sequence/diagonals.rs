//! The cells of an alignment, stored by anti-diagonals.

use std::ops::Range;
use supple_core::Real;

/// Cells are computed in groups of this many, so that loops over a diagonal have no remainder.
pub(super) const LANES: usize = 8;

/// Columns that are copied together, so that the rows in flight stay in the first cache.
const BLOCK: usize = 128;

/// The cells of an m × n alignment inside its band, by anti-diagonals `i + j = d`.
///
/// A *packed* array keeps the cells of a diagonal side by side, in order of their row, padded to a
/// multiple of [`LANES`] and with one more place at either end.
pub(super) struct Diagonals {
    rows: usize,
    columns: usize,
    /// How far the row may run ahead of the column, and the column ahead of the row.
    ahead: (usize, usize),
    diagonals: Vec<Diagonal>,
    len: usize,
}

/// One anti-diagonal: rows `first..end`, of which row `i` is at `base + i` of a packed array.
#[derive(Clone, Copy)]
pub(super) struct Diagonal {
    pub first: usize,
    pub end: usize,
    pub base: usize,
}

impl Diagonal {
    /// The number of cells computed, padding included.
    pub fn padded(self) -> usize {
        (self.end - self.first).next_multiple_of(LANES)
    }

    /// The places of its cells in a packed array, padding included.
    pub fn places(self) -> Range<usize> {
        self.base + self.first..self.base + self.first + self.padded()
    }
}

impl Diagonals {
    /// All cells, or those within a Sakoe–Chiba band of this radius.
    pub fn new(rows: usize, columns: usize, band: Option<u64>) -> Self {
        let everything = rows + columns;
        let radius = band.and_then(|r| usize::try_from(r).ok()).map_or(everything, |r| r.min(everything));
        let ahead = (radius + rows.saturating_sub(columns), radius + columns.saturating_sub(rows));
        let mut this = Self { rows, columns, ahead, diagonals: vec![], len: 0 };
        for d in 0..(rows + columns).saturating_sub(1) {
            let first = (d + 1).saturating_sub(columns).max(d.saturating_sub(ahead.1).div_ceil(2));
            let end = (d + 1).min(rows).min((d + ahead.0) / 2 + 1);
            let diagonal = Diagonal { first, end, base: this.len + 1 - first };
            this.len += diagonal.padded() + 2;
            this.diagonals.push(diagonal);
        }
        this
    }

    /// The diagonals from the first cell to the last.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagonal> {
        self.diagonals.iter()
    }

    /// The number of rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The length of a packed array: groups that start in the last diagonal may run past its end.
    pub fn len(&self) -> usize {
        self.len + LANES
    }

    /// The columns of a row that lie in the band.
    pub fn in_band(&self, row: usize) -> Range<usize> {
        row.saturating_sub(self.ahead.0)..self.columns.min(row + self.ahead.1 + 1)
    }

    /// Copies a matrix into a packed array.
    pub fn pack<T: Real>(&self, matrix: &[T], packed: &mut [T], map: impl Fn(T) -> T) {
        for (row, cells, diagonals) in self.runs() {
            for (&cell, diagonal) in matrix[cells].iter().zip(diagonals) {
                packed[diagonal.base + row] = map(cell);
            }
        }
    }

    /// Adds a packed array to a matrix.
    pub fn unpack<T: Real>(&self, packed: &[T], matrix: &mut [T]) {
        for (row, cells, diagonals) in self.runs() {
            for (cell, diagonal) in matrix[cells].iter_mut().zip(diagonals) {
                *cell += packed[diagonal.base + row];
            }
        }
    }

    /// Runs of cells of one row: the row, their places in a matrix, and their diagonals.
    fn runs(&self) -> impl Iterator<Item = (usize, Range<usize>, &[Diagonal])> {
        let blocks = (0..self.columns).step_by(BLOCK);
        blocks.flat_map(|block| (0..self.rows).map(move |row| (block, row))).filter_map(|(block, row)| {
            let columns = self.in_band(row);
            let (from, to) = (columns.start.max(block), columns.end.min(block + BLOCK));
            let cells = row * self.columns + from..row * self.columns + to;
            (from < to).then(|| (row, cells, &self.diagonals[row + from..row + to]))
        })
    }
}
