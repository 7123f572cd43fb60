//! Shortest paths on a grid of cells.

use super::rows;
use crate::perturb::Oracle;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use supple_core::{Error, Fault};

const NAME: &str = "grid_path";

/// Maximises over the paths from one cell of a grid to another: `theta` holds the *negative* costs of the
/// cells, row by row, and `y` is 1 on the cells of a cheapest path, both ends included.
///
/// Dijkstra's algorithm, O(n log n) for n cells. As the cost is that of the cell entered, the first path to
/// reach a cell is a cheapest one, and every cell enters the heap at most once. It needs costs of at least 0:
/// those that noise makes negative count as 0, as in [`ShortestPath`](super::ShortestPath), with what follows
/// from it. A cost of +∞ closes a cell; a diagonal step may pass between two closed cells. Between paths of
/// equal cost the positions of their cells decide.
///
/// Dijkstra, *A note on two problems in connexion with graphs*, 1959.
///
/// ```
/// use supple_ops::perturb::Oracle;
/// use supple_ops::perturb::oracles::GridPath;
///
/// let costs = [
///     1.0, 9.0, 1.0,
///     1.0, 9.0, 1.0,
///     4.0, 1.0, 1.0,
/// ];
/// let theta = costs.map(|cost| -cost);
/// let mut y = [0.0; 9];
/// GridPath::new(3, 3, 4)?.solve(&theta, &mut y)?;
/// assert_eq!(y, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
///
/// // Diagonally past the corner, and up to the last cell of the first row.
/// let mut y = [0.0; 9];
/// GridPath::new(3, 3, 8)?.between((0, 0), (0, 2))?.solve(&theta, &mut y)?;
/// assert_eq!(y, [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct GridPath {
    rows: usize,
    columns: usize,
    /// From a cell to its neighbours, in a grid with a border of closed cells.
    steps: Vec<isize>,
    source: (usize, usize),
    target: (usize, usize),
}

impl GridPath {
    /// Paths from the first cell of the first row to the last of the last, by steps to the 4 neighbours in
    /// the same row or column, or to all 8.
    pub fn new(rows: usize, columns: usize, neighbours: usize) -> Result<Self, Error> {
        for (argument, size) in [("rows", rows), ("columns", columns)] {
            if !(1..1 << 31).contains(&size) {
                return Err(Error::argument(NAME, argument, ">= 1 and < 2^31", size));
            }
        }
        let width = columns as isize + 2;
        let steps = match neighbours {
            4 => vec![-width, -1, 1, width],
            8 => vec![-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1],
            _ => return Err(Error::argument(NAME, "neighbours", "4 or 8", neighbours)),
        };
        Ok(Self { rows, columns, steps, source: (0, 0), target: (rows - 1, columns - 1) })
    }

    /// Paths between these two cells, each a row and a column from 0.
    pub fn between(self, source: (usize, usize), target: (usize, usize)) -> Result<Self, Error> {
        let (rows, columns) = (self.rows, self.columns);
        for (argument, (row, column)) in [("source", source), ("target", target)] {
            if row >= rows || column >= columns {
                let requirement = format!("in (0..{rows}, 0..{columns})");
                return Err(Error::argument(NAME, argument, requirement, format!("({row}, {column})")));
            }
        }
        Ok(Self { source, target, ..self })
    }
}

/// What a search writes to, on the grid with its border.
struct Search {
    width: usize,
    /// Costs of entering cells: +∞ where they are closed, or reached already.
    cost: Vec<f64>,
    /// The cell from which a cell that has been reached is reached.
    from: Vec<usize>,
    /// Cells by the cost of reaching them, as bits: numbers of at least 0 are in the order of their bits.
    queue: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Search {
    fn new(grid: &GridPath) -> Self {
        let width = grid.columns + 2;
        let cells = width * (grid.rows + 2);
        Self { width, cost: vec![f64::INFINITY; cells], from: vec![0; cells], queue: BinaryHeap::new() }
    }

    fn run(&mut self, grid: &GridPath, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        let Self { width, cost, from, queue } = self;
        for (cost, theta) in cost.chunks_exact_mut(*width).skip(1).zip(theta.chunks_exact(grid.columns)) {
            cost[1..].iter_mut().zip(theta).for_each(|(cost, theta)| *cost = (-theta).max(0.0));
        }
        let [source, target] =
            [grid.source, grid.target].map(|(row, column)| (row + 1) * *width + column + 1);
        if cost[source] == f64::INFINITY {
            return Err(Fault::Infeasible);
        }
        queue.clear();
        queue.push(Reverse((0, source)));
        cost[source] = f64::INFINITY;
        let mut arrived = source == target;
        while !arrived {
            let Some(Reverse((reached, cell))) = queue.pop() else { return Err(Fault::Infeasible) };
            for step in &grid.steps {
                let next = cell.wrapping_add_signed(*step);
                if cost[next] < f64::INFINITY {
                    queue.push(Reverse(((f64::from_bits(reached) + cost[next]).to_bits(), next)));
                    from[next] = cell;
                    cost[next] = f64::INFINITY;
                    arrived |= next == target;
                }
            }
        }
        let mut cell = target;
        loop {
            y[(cell / *width - 1) * grid.columns + cell % *width - 1] = 1.0;
            if cell == source {
                return Ok(());
            }
            cell = from[cell];
        }
    }
}

impl Oracle for GridPath {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        self.validate(n).map_err(|e| Fault::Oracle(e.to_string()))?;
        let mut search = Search::new(self);
        rows::each(self, n, thetas, ys, |theta, y| search.run(self, theta, y))
    }

    fn takes_either_sign(&self) -> bool {
        false
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        rows::length(NAME, n, self.rows * self.columns, "cell")
    }

    fn work(&self, n: usize) -> usize {
        50 * n
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::rows::testing::{check_refusals, check_solve_many, objective, solved};
    use supple_core::Stream;

    /// A grid of so many rows and columns with its costs, to try all paths on.
    struct Trial<'a> {
        rows: usize,
        columns: usize,
        diagonal: bool,
        cost: &'a [f64],
        target: (usize, usize),
    }

    impl Trial<'_> {
        /// The least cost over all paths without a repeated cell from `at` on.
        fn least(&self, at: (usize, usize), seen: u32) -> f64 {
            let bit = |(row, column)| row * self.columns + column;
            let here = self.cost[bit(at)];
            if at == self.target || here == f64::INFINITY {
                return here;
            }
            let seen = seen | 1 << bit(at);
            let cells = (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (row, column)));
            let near = cells.filter(|to| {
                let (down, right) = (to.0.abs_diff(at.0), to.1.abs_diff(at.1));
                down + right == 1 || self.diagonal && down == 1 && right == 1
            });
            let rest = near.filter(|&to| seen >> bit(to) & 1 == 0).map(|to| self.least(to, seen));
            here + rest.fold(f64::INFINITY, f64::min)
        }
    }

    #[test]
    fn finds_the_cheapest_of_all_paths() {
        let mut random = Stream::new(14, 0, 0);
        let mut found = 0;
        for _ in 0..600 {
            let (rows, columns) = (1 + random.below(3), 1 + random.below(4));
            let diagonal = random.below(2) == 0;
            let theta = objective(&mut random, rows * columns);
            let cost: Vec<f64> = theta.iter().map(|theta| (-theta).max(0.0)).collect();
            let mut ends = [(0, 0), (rows - 1, columns - 1)];
            let mut grid = GridPath::new(rows, columns, if diagonal { 8 } else { 4 }).unwrap();
            if random.below(2) == 0 {
                ends = ends.map(|_| (random.below(rows), random.below(columns)));
                grid = grid.between(ends[0], ends[1]).unwrap();
            }
            let trial = Trial { rows, columns, diagonal, cost: &cost, target: ends[1] };
            let least = trial.least(ends[0], 0);
            match solved(&grid, &theta) {
                Ok(y) => {
                    let total: f64 =
                        cost.iter().zip(&y).filter(|(_, y)| **y == 1.0).map(|(cost, _)| cost).sum();
                    assert!((total - least).abs() < 1e-12, "{cost:?}");
                    // No cell but those of a path: a path through all of them costs one each.
                    let ones: Vec<f64> =
                        y.iter().map(|&y| if y == 1.0 { 1.0 } else { f64::INFINITY }).collect();
                    assert!(Trial { cost: &ones, ..trial }.least(ends[0], 0) <= y.iter().sum());
                    assert!(y.iter().all(|&y| y == 0.0 || y == 1.0));
                    found += 1;
                }
                Err(fault) => assert!(fault == Fault::Infeasible && least == f64::INFINITY),
            }
            check_solve_many(&grid, rows * columns, &mut random);
            check_refusals(&grid, rows * columns);
        }
        assert!(found > 300, "{found}");
    }

    #[test]
    fn agrees_with_the_general_graph_on_a_map() {
        use crate::perturb::oracles::ShortestPath;
        let side = 12;
        let cells = || (0..side * side).map(|cell: usize| (cell / side, cell % side));
        let near =
            |a: (usize, usize), b: (usize, usize)| a != b && a.0.abs_diff(b.0).max(a.1.abs_diff(b.1)) <= 1;
        let edges: Vec<_> = cells()
            .flat_map(|a| cells().filter(move |&b| near(a, b)).map(move |b| (a, b)))
            .map(|(a, b)| (a.0 * side + a.1, b.0 * side + b.1))
            .collect();
        let graph = ShortestPath::new(side * side, &edges, 0, side * side - 1).unwrap();
        let grid = GridPath::new(side, side, 8).unwrap();
        let mut random = Stream::new(15, 0, 0);
        for _ in 0..50 {
            let theta: Vec<f64> = cells().map(|_| -random.uniform()).collect();
            let by_edge: Vec<f64> = edges.iter().map(|(_, to)| theta[*to]).collect();
            let mut expected = vec![0.0; side * side];
            expected[0] = 1.0;
            let y = solved(&graph, &by_edge).unwrap();
            edges.iter().zip(y).filter(|(_, y)| *y == 1.0).for_each(|((_, to), _)| expected[*to] = 1.0);
            assert_eq!(solved(&grid, &theta), Ok(expected));
        }
    }

    #[test]
    fn closed_cells_one_cell_and_bad_grids() {
        let one = GridPath::new(1, 1, 4).unwrap();
        assert_eq!(solved(&one, &[-3.0]), Ok(vec![1.0]));
        assert_eq!(solved(&one, &[f64::NEG_INFINITY]), Err(Fault::Infeasible));
        assert_eq!(solved(&one, &[f64::INFINITY]), Ok(vec![1.0]));
        let corner = [-1.0, f64::NEG_INFINITY, f64::NEG_INFINITY, -1.0];
        assert_eq!(solved(&GridPath::new(2, 2, 4).unwrap(), &corner), Err(Fault::Infeasible));
        assert_eq!(solved(&GridPath::new(2, 2, 8).unwrap(), &corner), Ok(vec![1.0, 0.0, 0.0, 1.0]));
        // Costs whose sum is beyond all numbers close nothing.
        assert_eq!(solved(&GridPath::new(1, 4, 4).unwrap(), &[f64::MIN; 4]), Ok(vec![1.0; 4]));
        let text = |result: Result<GridPath, Error>| result.unwrap_err().to_string();
        assert_eq!(text(GridPath::new(0, 2, 4)), "grid_path: `rows` must be >= 1 and < 2^31, got 0");
        assert_eq!(text(GridPath::new(2, 0, 4)), "grid_path: `columns` must be >= 1 and < 2^31, got 0");
        assert_eq!(text(GridPath::new(2, 2, 6)), "grid_path: `neighbours` must be 4 or 8, got 6");
        let outside = GridPath::new(2, 3, 8).unwrap().between((0, 0), (2, 0));
        assert_eq!(text(outside), "grid_path: `target` must be in (0..2, 0..3), got (2, 0)");
    }
}
