//! Assignments: matchings between rows and columns.

use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault};

const NAME: &str = "assignment";
/// No row.
const FREE: usize = usize::MAX;

/// Maximises over the matchings of rows with columns that leave nobody out on the smaller side: `theta` is
/// the matrix of scores, row by row (of costs, the negative), and `y` is 1 at the matched pairs. With as many
/// rows as columns it is a permutation matrix.
///
/// Shortest augmenting paths with dual potentials, after the pairs that a row's best column settles at once:
/// O(n² m) for n ≤ m, rarely reached. A score of −∞ forbids a pair; where no matching is left, the fault is
/// [`Fault::Infeasible`]. +∞ is refused. Between matchings of equal value the order of rows and columns
/// decides.
///
/// Jonker and Volgenant, *A shortest augmenting path algorithm for dense and sparse linear assignment
/// problems*, Computing 1987; for rectangular matrices Crouse, *On implementing 2D rectangular assignment
/// algorithms*, IEEE Transactions on Aerospace and Electronic Systems 2016.
///
/// ```
/// use supple_core::Fault;
/// use supple_ops::perturb::Oracle;
/// use supple_ops::perturb::oracles::Assignment;
///
/// let theta = [
///     7.0, 5.0, 1.0,
///     6.0, 1.0, 1.0,
/// ];
/// let mut y = [0.0; 6];
/// Assignment { rows: 2, columns: 3 }.solve(&theta, &mut y)?;
/// assert_eq!(y, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
}

/// A matching as far as it has come. It speaks of rows and columns of a matrix with no more rows than
/// columns.
struct Search {
    columns: usize,
    /// Negative scores.
    cost: Vec<f64>,
    /// Potentials: cost − of_row − of_column is at least 0, and 0 at matched pairs.
    of_row: Vec<f64>,
    of_column: Vec<f64>,
    column_at: Vec<usize>,
    row_at: Vec<usize>,
    /// Of the search for one row: the reduced cost of reaching each column, and the row before it.
    distance: Vec<f64>,
    from: Vec<usize>,
    /// Columns that have not been visited, and those that have.
    left: Vec<usize>,
    visited: Vec<usize>,
}

impl Search {
    fn new(rows: usize, columns: usize) -> Self {
        Self {
            columns,
            cost: vec![0.0; rows * columns],
            of_row: vec![0.0; rows],
            of_column: vec![0.0; columns],
            column_at: vec![0; rows],
            row_at: vec![FREE; columns],
            distance: vec![0.0; columns],
            from: vec![0; columns],
            left: Vec::with_capacity(columns),
            visited: Vec::with_capacity(columns),
        }
    }

    /// Matches all rows.
    fn run(&mut self) -> Result<(), Fault> {
        self.of_column.fill(0.0);
        self.row_at.fill(FREE);
        self.column_at.fill(FREE);
        for (row, costs) in self.cost.chunks_exact(self.columns).enumerate() {
            let (mut best, mut least) = (0, costs[0]);
            for (column, &cost) in costs.iter().enumerate() {
                if cost < least {
                    (best, least) = (column, cost);
                }
            }
            self.of_row[row] = least;
            if least < f64::INFINITY && self.row_at[best] == FREE {
                (self.row_at[best], self.column_at[row]) = (row, best);
            }
        }
        (0..self.of_row.len()).try_for_each(|row| match self.column_at[row] {
            FREE => self.augment(row),
            _ => Ok(()),
        })
    }

    /// Matches one more row, by a path of least reduced cost to a free column.
    fn augment(&mut self, start: usize) -> Result<(), Fault> {
        if self.of_row[start] == f64::INFINITY {
            return Err(Fault::Infeasible);
        }
        self.distance.fill(f64::INFINITY);
        self.left.clear();
        self.left.extend(0..self.columns);
        self.visited.clear();
        let (mut row, mut reached) = (start, 0.0);
        let end = loop {
            let costs = &self.cost[row * self.columns..][..self.columns];
            let offset = reached - self.of_row[row];
            let (mut nearest, mut least) = (0, f64::INFINITY);
            for (place, &column) in self.left.iter().enumerate() {
                let there = offset + (costs[column] - self.of_column[column]);
                let distance = &mut self.distance[column];
                if there < *distance {
                    *distance = there;
                    self.from[column] = row;
                }
                if *distance < least || *distance == least && self.row_at[column] == FREE {
                    (nearest, least) = (place, *distance);
                }
            }
            if least == f64::INFINITY {
                return Err(Fault::Infeasible);
            }
            reached = least;
            let column = self.left.swap_remove(nearest);
            if self.row_at[column] == FREE {
                break column;
            }
            self.visited.push(column);
            row = self.row_at[column];
        };
        self.of_row[start] += reached;
        for &column in &self.visited {
            let gain = reached - self.distance[column];
            self.of_row[self.row_at[column]] += gain;
            self.of_column[column] -= gain;
        }
        let mut column = end;
        loop {
            let row = self.from[column];
            self.row_at[column] = row;
            let next = std::mem::replace(&mut self.column_at[row], column);
            if row == start {
                return Ok(());
            }
            column = next;
        }
    }
}

impl Oracle for Assignment {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        self.validate(n).map_err(|e| Fault::Oracle(e.to_string()))?;
        if n == 0 {
            return Ok(());
        }
        let Self { rows, columns } = *self;
        let upright = rows > columns;
        let mut search = Search::new(rows.min(columns), rows.max(columns));
        rows::each(self, n, thetas, ys, |theta, y| {
            rows::below_infinity(theta)?;
            for (i, theta) in theta.chunks_exact(columns).enumerate() {
                for (j, theta) in theta.iter().enumerate() {
                    let place = if upright { j * rows + i } else { i * columns + j };
                    search.cost[place] = -theta;
                }
            }
            search.run()?;
            for (row, &column) in search.column_at.iter().enumerate() {
                let (row, column) = if upright { (column, row) } else { (row, column) };
                y[row * columns + column] = 1.0;
            }
            Ok(())
        })
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        let Self { rows, columns } = self;
        if rows.checked_mul(*columns) == Some(n) {
            return Ok(());
        }
        Err(Error::argument(NAME, "theta", format!("of {rows} × {columns} numbers, one for each pair"), n))
    }

    /// As on random scores, where a search for a row visits few others.
    fn work(&self, n: usize) -> usize {
        25 * n
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::rows::testing::{
        check_refusals, check_solve_many, objective, solved, value,
    };
    use supple_core::Stream;

    /// The largest value over all matchings of the rows from `row` on, for no more rows than columns.
    fn largest(
        score: &impl Fn(usize, usize) -> f64,
        row: usize,
        rows: usize,
        columns: usize,
        used: u32,
    ) -> f64 {
        if row == rows {
            return 0.0;
        }
        let open = (0..columns).filter(|column| used >> column & 1 == 0);
        open.map(|column| score(row, column) + largest(score, row + 1, rows, columns, used | 1 << column))
            .fold(f64::NEG_INFINITY, f64::max)
    }

    fn assert_matching(y: &[f64], rows: usize, columns: usize) {
        let row = |i: usize| (0..columns).map(|j| y[i * columns + j]).sum::<f64>();
        let column = |j: usize| (0..rows).map(|i| y[i * columns + j]).sum::<f64>();
        assert!(y.iter().all(|&y| y == 0.0 || y == 1.0) && y.iter().sum::<f64>() == rows.min(columns) as f64);
        assert!((0..rows).all(|i| row(i) <= 1.0) && (0..columns).all(|j| column(j) <= 1.0));
    }

    #[test]
    fn finds_the_best_of_all_matchings() {
        let mut random = Stream::new(17, 0, 0);
        let (mut found, mut closed) = (0, 0);
        for case in 0..900 {
            let (rows, columns) = (1 + random.below(5), 1 + random.below(5));
            let assignment = Assignment { rows, columns };
            let mut theta = objective(&mut random, rows * columns);
            if case % 4 == 0 {
                theta
                    .iter_mut()
                    .filter(|_| random.below(2) == 0)
                    .for_each(|theta| *theta = f64::NEG_INFINITY);
            }
            let best = match rows <= columns {
                true => largest(&|i, j| theta[i * columns + j], 0, rows, columns, 0),
                false => largest(&|j, i| theta[i * columns + j], 0, columns, rows, 0),
            };
            match solved(&assignment, &theta) {
                Ok(y) => {
                    assert_matching(&y, rows, columns);
                    assert!((value(&theta, &y) - best).abs() < 1e-12, "{rows} {columns} {theta:?}");
                    found += 1;
                }
                Err(fault) => {
                    assert!(fault == Fault::Infeasible && best == f64::NEG_INFINITY);
                    closed += 1;
                }
            }
            check_solve_many(&assignment, rows * columns, &mut random);
            check_refusals(&assignment, rows * columns);
        }
        assert!(found > 300 && closed > 50, "{found} {closed}");
    }

    #[test]
    fn potentials_prove_large_matchings_optimal() {
        let mut random = Stream::new(18, 0, 0);
        for (rows, columns) in [(40, 40), (30, 70), (100, 100), (1, 200)] {
            for _ in 0..5 {
                let theta = objective(&mut random, rows * columns);
                let theta: Vec<f64> = theta.iter().map(|theta| theta.max(-50.0)).collect();
                let y = solved(&Assignment { rows, columns }, &theta).unwrap();
                assert_matching(&y, rows, columns);
                let mut search = Search::new(rows, columns);
                search.cost = theta.iter().map(|theta| -theta).collect();
                search.run().unwrap();
                let Search { cost, of_row, of_column, row_at, .. } = &search;
                let bound: f64 = of_row.iter().sum::<f64>() + of_column.iter().sum::<f64>();
                assert!((value(&theta, &y) + bound).abs() < 1e-9);
                for (at, cost) in cost.iter().enumerate() {
                    assert!(cost - of_row[at / columns] - of_column[at % columns] > -1e-10);
                }
                for (row, of_column) in row_at.iter().zip(of_column) {
                    assert!(*of_column <= 0.0 && (*row != FREE || *of_column == 0.0));
                }
            }
        }
    }

    #[test]
    fn extreme_scores_empty_sides_and_refusals() {
        let square = Assignment { rows: 2, columns: 2 };
        let theta = [f64::MAX, f64::MIN, f64::MAX / 2.0, f64::MAX];
        assert_eq!(solved(&square, &theta), Ok(vec![1.0, 0.0, 0.0, 1.0]));
        assert!(matches!(solved(&square, &[f64::INFINITY; 4]), Err(Fault::Domain { .. })));
        let narrow = [1.0, f64::NEG_INFINITY, 1.0, f64::NEG_INFINITY];
        assert_eq!(solved(&square, &narrow), Err(Fault::Infeasible));
        assert_eq!(solved(&Assignment { rows: 0, columns: 3 }, &[]), Ok(vec![]));
        let error = square.validate(5).unwrap_err().to_string();
        assert_eq!(error, "assignment: `theta` must be of 2 × 2 numbers, one for each pair, got 5");
        assert!(Assignment { rows: usize::MAX, columns: 2 }.validate(4).is_err());
    }
}
