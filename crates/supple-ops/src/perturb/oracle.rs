//! Solvers as functions of their objective.

use std::sync::Arc;
use supple_core::{Error, Fault};

/// A solver $\theta \mapsto \arg\max_{y \in Y} \langle\theta, y\rangle$ over a finite set $Y \subset
/// \mathbb{R}^n$ or the vertices of a polytope.
///
/// Anything that can be called will do:
///
/// ```
/// use supple_core::Fault;
/// use supple_ops::perturb::Oracle;
///
/// // The corners of a cube.
/// let signs = |theta: &[f64], y: &mut [f64]| -> Result<(), Fault> {
///     y.iter_mut().zip(theta).for_each(|(y, theta)| *y = theta.signum());
///     Ok(())
/// };
/// let mut y = [0.0; 2];
/// signs.solve(&[0.5, -2.0], &mut y)?;
/// assert_eq!(y, [1.0, -1.0]);
/// # Ok::<(), Fault>(())
/// ```
pub trait Oracle: Send + Sync {
    /// Writes a maximiser; `y` is zero on entry and as long as `theta`.
    ///
    /// The same `theta` must always give the same `y`. What happens at ties is up to the solver.
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault>;

    /// Solves for each row of `thetas`, rows of `n` numbers; `ys` is zero on entry.
    ///
    /// A solver that works on batches or can start from its last solution overrides this.
    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let n = n.max(1);
        thetas.chunks_exact(n).zip(ys.chunks_exact_mut(n)).try_for_each(|(theta, y)| self.solve(theta, y))
    }

    /// Refuses objectives of the wrong length, once per call and before any work.
    fn validate(&self, _n: usize) -> Result<(), Error> {
        Ok(())
    }

    /// Elementary steps of one solve, for the decision on threads.
    fn work(&self, n: usize) -> usize {
        n
    }
}

impl<F: Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync> Oracle for F {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self(theta, y)
    }
}

/// A solver that several operators share.
impl<S: Oracle> Oracle for Arc<S> {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        S::solve(self, theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        S::solve_many(self, n, thetas, ys)
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        S::validate(self, n)
    }

    fn work(&self, n: usize) -> usize {
        S::work(self, n)
    }
}
