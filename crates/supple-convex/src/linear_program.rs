//! Linear and mixed-integer programs as oracles: θ ↦ the feasible y with the largest ⟨θ, y⟩.

use good_lp::solvers::highs::highs;
use good_lp::{Expression, ResolutionError, Solution, SolverModel, constraint, variable, variables};
use ndarray::{ArrayView1, ArrayView2};
use supple_core::{Error, Fault};
use supple_ops::perturb::Oracle;

const NAME: &str = "linear_program";

/// $\theta \mapsto \arg\max \lbrace \langle\theta, y\rangle : G y \le h, \ A y = b, \ l \le y \le u\rbrace$, with
/// some or all of $y$ whole numbers, solved by HiGHS.
///
/// Bounds are 0 and ∞ unless said otherwise. Where several points are best, HiGHS picks one, always the
/// same for the same θ.
///
/// ```
/// use ndarray::{array, aview1};
/// use supple_convex::LinearProgram;
/// use supple_ops::perturb::Oracle;
///
/// // A knapsack of capacity 5.
/// let weights = array![[2.0, 3.0, 4.0]];
/// let knapsack = LinearProgram::new(3)
///     .inequalities(weights.view(), aview1(&[5.0]))?
///     .bounds(&[0.0; 3], &[1.0; 3])?
///     .integer(&[true; 3])?;
/// let mut y = [0.0; 3];
/// knapsack.solve(&[3.0, 4.0, 5.0], &mut y)?;
/// assert_eq!(y, [1.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LinearProgram {
    lower: Vec<f64>,
    upper: Vec<f64>,
    integer: Vec<bool>,
    inequalities: Vec<Row>,
    equalities: Vec<Row>,
}

/// The coefficients that are not zero, and the right-hand side.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    terms: Vec<(usize, f64)>,
    right: f64,
}

impl LinearProgram {
    /// n variables, each at least zero, and no constraints.
    pub fn new(n: usize) -> Self {
        Self {
            lower: vec![0.0; n],
            upper: vec![f64::INFINITY; n],
            integer: vec![false; n],
            inequalities: vec![],
            equalities: vec![],
        }
    }

    /// Adds G y ≤ h, with one column of G for each variable.
    pub fn inequalities(mut self, g: ArrayView2<'_, f64>, h: ArrayView1<'_, f64>) -> Result<Self, Error> {
        let rows = self.rows("G", g, h)?;
        if h.iter().any(|h| h.is_nan()) {
            return Err(Error::argument(NAME, "h", "numbers or ±∞", f64::NAN));
        }
        self.inequalities.extend(rows);
        Ok(self)
    }

    /// Adds A y = b, with one column of A for each variable.
    pub fn equalities(mut self, a: ArrayView2<'_, f64>, b: ArrayView1<'_, f64>) -> Result<Self, Error> {
        let rows = self.rows("A", a, b)?;
        if let Some(value) = b.iter().find(|b| !b.is_finite()) {
            return Err(Error::argument(NAME, "b", "finite", value));
        }
        self.equalities.extend(rows);
        Ok(self)
    }

    /// Sets the bounds of all variables; −∞ and ∞ are none.
    pub fn bounds(mut self, lower: &[f64], upper: &[f64]) -> Result<Self, Error> {
        for (argument, bounds) in [("lower", lower), ("upper", upper)] {
            self.check_length(argument, bounds.len())?;
            if bounds.iter().any(|x| x.is_nan()) {
                return Err(Error::argument(NAME, argument, "numbers", f64::NAN));
            }
        }
        (self.lower, self.upper) = (lower.to_vec(), upper.to_vec());
        Ok(self)
    }

    /// Says which variables must be whole numbers.
    pub fn integer(mut self, integer: &[bool]) -> Result<Self, Error> {
        self.check_length("integer", integer.len())?;
        self.integer = integer.to_vec();
        Ok(self)
    }

    fn check_length(&self, argument: &str, length: usize) -> Result<(), Error> {
        let n = self.lower.len();
        if length == n {
            Ok(())
        } else {
            Err(Error::argument(NAME, argument, format!("of length {n}"), length))
        }
    }

    fn rows(
        &self,
        name: &str,
        matrix: ArrayView2<'_, f64>,
        right: ArrayView1<'_, f64>,
    ) -> Result<Vec<Row>, Error> {
        let expected = (right.len(), self.lower.len());
        if matrix.dim() != expected {
            let requirement = format!("of shape {expected:?}");
            return Err(Error::argument(NAME, name, requirement, format!("shape {:?}", matrix.dim())));
        }
        if let Some(value) = matrix.iter().find(|x| !x.is_finite()) {
            return Err(Error::argument(NAME, name, "finite", value));
        }
        let terms =
            |row: ArrayView1<'_, f64>| row.iter().copied().enumerate().filter(|x| x.1 != 0.0).collect();
        let rows = matrix.outer_iter().zip(&right);
        Ok(rows.map(|(row, &right)| Row { terms: terms(row), right }).collect())
    }
}

impl LinearProgram {
    fn maximise(&self, theta: &[f64], y: &mut [f64]) -> Result<(), ResolutionError> {
        let empty = self.lower.iter().zip(&self.upper).any(|(lower, upper)| lower > upper);
        if empty || self.inequalities.iter().any(|row| row.right == f64::NEG_INFINITY) {
            return Err(ResolutionError::Infeasible);
        }
        let mut variables = variables!();
        let columns: Vec<_> = (0..self.lower.len())
            .map(|i| {
                let column = variable().min(self.lower[i]).max(self.upper[i]);
                variables.add(if self.integer[i] { column.integer() } else { column })
            })
            .collect();
        let objective: Expression = columns.iter().zip(theta).map(|(&column, &theta)| theta * column).sum();
        let mut model = variables.maximise(objective).using(highs);
        model.set_verbose(false);
        let mut model = model.set_threads(1);
        let left = |row: &Row| -> Expression { row.terms.iter().map(|&(i, c)| c * columns[i]).sum() };
        for row in self.inequalities.iter().filter(|row| row.right < f64::INFINITY) {
            model.add_constraint(constraint!(left(row) <= row.right));
        }
        for row in &self.equalities {
            model.add_constraint(constraint!(left(row) == row.right));
        }
        let solution = model.solve()?;
        for ((y, &column), integer) in y.iter_mut().zip(&columns).zip(&self.integer) {
            let value = solution.value(column);
            *y = if *integer { value.round() } else { value };
        }
        Ok(())
    }
}

impl Oracle for LinearProgram {
    fn validate(&self, n: usize) -> Result<(), Error> {
        self.check_length("theta", n)
    }

    fn work(&self, n: usize) -> usize {
        let rows = self.inequalities.len() + self.equalities.len();
        100_000 + n * n * rows
    }

    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.validate(theta.len()).map_err(|e| Fault::Oracle(e.to_string()))?;
        if theta.is_empty() {
            return Ok(());
        }
        if let Some(&value) = theta.iter().find(|x| !x.is_finite()) {
            return Err(Fault::Domain { argument: "theta", requirement: "finite", value });
        }
        match self.maximise(theta, y) {
            Ok(()) => Ok(()),
            // HiGHS may leave open which of the two it is.
            Err(ResolutionError::Infeasible) if self.maximise(&vec![0.0; theta.len()], y).is_ok() => {
                Err(Fault::Unbounded)
            }
            Err(ResolutionError::Infeasible) => Err(Fault::Infeasible),
            Err(ResolutionError::Unbounded) => Err(Fault::Unbounded),
            Err(other) => Err(Fault::Oracle(format!("HiGHS: {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, array, aview1};
    use supple_core::Stream;

    /// The best of the whole points of the box `0..=top` that satisfy the inequalities.
    fn enumerate(theta: &[f64], g: &Array2<f64>, h: &Array1<f64>, top: usize) -> f64 {
        let n = theta.len();
        let points = (0..(top + 1).pow(n as u32)).map(|code| {
            Array1::from_iter((0..n).map(|i| (code / (top + 1).pow(i as u32) % (top + 1)) as f64))
        });
        let feasible = points.filter(|y| (g.dot(y) - h).iter().all(|&excess| excess <= 1e-9));
        feasible.map(|y| y.dot(&aview1(theta))).fold(f64::NEG_INFINITY, f64::max)
    }

    #[test]
    fn integer_programs_agree_with_enumeration() {
        let random = &mut Stream::new(1, 0, 0);
        for n in 1..=4 {
            for _ in 0..5 {
                let theta = random.normals(n);
                let g = Array2::from_shape_fn((2, n), |_| random.uniform());
                let h = Array1::from_shape_fn(2, |_| 2.0 * random.uniform());
                let program = LinearProgram::new(n)
                    .inequalities(g.view(), h.view())
                    .and_then(|p| p.bounds(&vec![0.0; n], &vec![3.0; n]))
                    .and_then(|p| p.integer(&vec![true; n]))
                    .unwrap();
                let mut y = vec![0.0; n];
                program.solve(&theta, &mut y).unwrap();
                let value = aview1(&y).dot(&aview1(&theta));
                assert!((value - enumerate(&theta, &g, &h, 3)).abs() < 1e-9);
                assert!((g.dot(&aview1(&y)) - &h).iter().all(|&excess| excess <= 1e-9));
            }
        }
    }

    #[test]
    fn assignments_are_permutations() {
        // Rows and columns of a 3 × 3 matrix sum to one: the vertices are the permutations.
        let sums = Array2::from_shape_fn((6, 9), |(k, i)| {
            f64::from(u8::from(if k < 3 { i / 3 == k } else { i % 3 == k - 3 }))
        });
        let program = LinearProgram::new(9).equalities(sums.view(), Array1::ones(6).view()).unwrap();
        let random = &mut Stream::new(2, 0, 0);
        let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for _ in 0..10 {
            let theta = random.normals(9);
            let mut y = [0.0; 9];
            program.solve(&theta, &mut y).unwrap();
            let value = |p: &[usize; 3]| (0..3).map(|i| theta[3 * i + p[i]]).sum::<f64>();
            let best = permutations.iter().max_by(|a, b| value(a).total_cmp(&value(b))).unwrap();
            let expected: Vec<f64> = (0..9).map(|i| f64::from(u8::from(best[i / 3] == i % 3))).collect();
            assert!(y.iter().zip(&expected).all(|(y, e)| (y - e).abs() < 1e-9), "{y:?} {expected:?}");
        }
    }

    #[test]
    fn faults_say_what_is_wrong() {
        let mut y = [0.0; 2];
        let free = LinearProgram::new(2);
        assert_eq!(free.solve(&[1.0, -1.0], &mut y), Err(Fault::Unbounded));
        assert_eq!(free.solve(&[-1.0, -1.0], &mut y), Ok(()));
        assert!(matches!(free.solve(&[f64::NAN, 0.0], &mut y), Err(Fault::Domain { .. })));
        let g = array![[1.0, 1.0]];
        let empty = LinearProgram::new(2).inequalities(g.view(), aview1(&[-1.0])).unwrap();
        assert_eq!(empty.solve(&[1.0, 1.0], &mut y), Err(Fault::Infeasible));
        let crossed = LinearProgram::new(2).bounds(&[1.0, 0.0], &[0.0, 1.0]).unwrap();
        assert_eq!(crossed.solve(&[1.0, 1.0], &mut y), Err(Fault::Infeasible));
        let lines = LinearProgram::new(2).equalities(array![[1.0, -1.0]].view(), aview1(&[0.0])).unwrap();
        assert_eq!(lines.solve(&[1.0, 0.5], &mut y), Err(Fault::Unbounded));
        assert_eq!(LinearProgram::new(0).solve(&[], &mut []), Ok(()));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let message = |r: Result<LinearProgram, Error>| r.unwrap_err().to_string();
        let g = array![[1.0, 1.0, 1.0]];
        assert_eq!(
            message(LinearProgram::new(2).inequalities(g.view(), aview1(&[1.0]))),
            "linear_program: `G` must be of shape (1, 2), got shape (1, 3)"
        );
        assert_eq!(
            message(LinearProgram::new(2).integer(&[true])),
            "linear_program: `integer` must be of length 2, got 1"
        );
        assert!(LinearProgram::new(2).validate(3).is_err());
        assert!(LinearProgram::new(2).solve(&[1.0; 3], &mut [0.0; 3]).is_err());
        let infinite = LinearProgram::new(1).equalities(array![[1.0]].view(), aview1(&[f64::INFINITY]));
        assert_eq!(message(infinite), "linear_program: `b` must be finite, got inf");
    }
}
