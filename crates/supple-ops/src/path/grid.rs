//! The edges of a map.

use ndarray::{Array, Array1, ArrayD, ArrayView, Dimension, IxDyn};
use supple_core::Float;

/// A map of cells that is crossed from the first corner to the last by steps right, down, or diagonally
/// right and down.
///
/// Nodes are the cells row by row, so that node 0 is the first corner and the last node the opposite one.
/// Entering a cell costs what the map says. The cost of the first cell is in no edge; add it to the value
/// where it matters.
///
/// Steps in all eight directions would make cycles, which a dynamic program over a graph without cycles
/// cannot have. For such maps, perturb an exact shortest-path solver instead.
///
/// ```
/// use supple_ops::path::{Grid, soft_shortest_path};
/// let map = ndarray::array![[0.0, 9.0, 9.0], [1.0, 9.0, 9.0], [9.0, 1.0, 1.0]];
/// let grid = Grid { height: 3, width: 3 };
/// let [from, to] = grid.edges();
/// let (value, usage) = soft_shortest_path(grid.costs(&map).view(), &from, &to, grid.nodes(), 0.1)?;
/// assert!((value.sum() - 3.0_f64).abs() < 1e-6);
/// let visits = grid.cells(usage.view());
/// assert!((visits[[1, 0]] - 1.0).abs() < 1e-6 && visits[[0, 1]] < 1e-6);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Grid {
    /// The number of cells.
    pub fn nodes(&self) -> usize {
        self.height * self.width
    }

    /// The cells that each edge leaves and enters, for
    /// [`soft_shortest_path`](super::soft_shortest_path).
    pub fn edges(&self) -> [Array1<i64>; 2] {
        let (mut from, mut to) = (vec![], vec![]);
        for cell in 0..self.nodes() {
            let (right, down) = ((cell + 1) % self.width != 0, cell / self.width + 1 < self.height);
            let steps = [(right, 1), (down, self.width), (right && down, self.width + 1)];
            for (_, step) in steps.into_iter().filter(|(possible, _)| *possible) {
                from.push(cell as i64);
                to.push((cell + step) as i64);
            }
        }
        [from.into(), to.into()]
    }

    /// The cost of each edge, (…, e), from maps (…, height, width): that of the cell it enters.
    ///
    /// # Panics
    /// If the last two axes are not those of the grid.
    pub fn costs<'a, T: Float, D: Dimension>(&self, maps: impl Into<ArrayView<'a, T, D>>) -> ArrayD<T> {
        let maps = maps.into();
        let (batch, cells) = split(maps.shape(), 2);
        assert_eq!(cells, [self.height, self.width], "the last axes of the maps");
        let [_, to] = self.edges();
        let maps: Vec<T> = maps.iter().copied().collect();
        let costs =
            maps.chunks_exact(self.nodes().max(1)).flat_map(|map| to.iter().map(|&to| map[to as usize]));
        shaped(batch, &[to.len()], costs.collect())
    }

    /// The sums over the edges that enter each cell, (…, height, width), of values (…, e) on the edges.
    ///
    /// Of the usage it gives the probability that a path visits a cell (0 for the first cell, where all
    /// paths start). It is the transpose of [`costs`](Self::costs): of a gradient with respect to the edges
    /// it gives that with respect to the map.
    ///
    /// # Panics
    /// If the last axis has not one entry for each edge.
    pub fn cells<'a, T: Float, D: Dimension>(&self, edges: impl Into<ArrayView<'a, T, D>>) -> ArrayD<T> {
        let edges = edges.into();
        let [_, to] = self.edges();
        let (batch, core) = split(edges.shape(), 1);
        assert_eq!(core, [to.len()], "the last axis, one entry for each edge");
        let items: usize = batch.iter().product();
        let mut cells = vec![T::zero(); items * self.nodes()];
        for (place, &value) in edges.iter().enumerate() {
            let (item, edge) = (place / to.len(), place % to.len());
            cells[item * self.nodes() + to[edge] as usize] += value;
        }
        shaped(batch, &[self.height, self.width], cells)
    }
}

/// Batch axes and the last `core` axes.
fn split(shape: &[usize], core: usize) -> (&[usize], &[usize]) {
    shape.split_at(shape.len().saturating_sub(core))
}

fn shaped<T>(batch: &[usize], core: &[usize], values: Vec<T>) -> ArrayD<T> {
    Array::from_shape_vec(IxDyn(&[batch, core].concat()), values).expect("as many as the shape says")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};

    #[test]
    fn every_step_right_down_or_both_is_an_edge() {
        for (height, width) in [(1, 1), (1, 4), (3, 1), (3, 4), (0, 3), (3, 0)] {
            let grid = Grid { height, width };
            let [from, to] = grid.edges();
            let mut expected = 0;
            for a in 0..height * width {
                for b in 0..height * width {
                    let step = (b / width).checked_sub(a / width).zip((b % width).checked_sub(a % width));
                    let allowed = matches!(step, Some((0, 1) | (1, 0) | (1, 1)));
                    let found = from.iter().zip(&to).filter(|e| (*e.0, *e.1) == (a as i64, b as i64)).count();
                    assert_eq!(found, allowed as usize);
                    expected += found;
                }
            }
            assert_eq!(from.len(), expected);
        }
    }

    #[test]
    fn cells_is_the_transpose_of_costs() {
        let grid = Grid { height: 3, width: 4 };
        let maps = Array3::from_shape_fn((2, 3, 4), |(b, i, j)| (b * 7 + i * 4 + j) as f64 * 0.3);
        let costs = grid.costs(&maps);
        let edges = Array2::from_shape_fn((2, costs.shape()[1]), |(b, e)| ((b + 3 * e) as f64).sin());
        let left: f64 = costs.iter().zip(&edges).map(|(a, b)| a * b).sum();
        let right: f64 = grid.cells(&edges).iter().zip(&maps).map(|(a, b)| a * b).sum();
        assert!((left - right).abs() < 1e-12);
    }
}
