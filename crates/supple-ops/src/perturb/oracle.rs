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
    /// The same `theta` must always give the same `y`, alone and among others. What happens at ties is up to
    /// the solver.
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault>;

    /// Solves for each row of `thetas`, rows of `n` numbers; `ys` is zero on entry.
    ///
    /// A solver that works on batches or keeps its buffers overrides this. One that starts from its last
    /// solution may do so only where that leaves no trace, for how objectives are dealt out to calls is not
    /// fixed: an exact solver must then see that its solution is the only one, or settle ties as without the
    /// start, and a heuristic must not.
    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        let n = n.max(1);
        thetas.chunks_exact(n).zip(ys.chunks_exact_mut(n)).try_for_each(|(theta, y)| self.solve(theta, y))
    }

    /// How many objectives of `n` numbers to pass in one call at most; none leaves it to the caller, who
    /// takes a few at a time, which stay in the cache. The perturbations of different items are never in one
    /// call.
    fn batch(&self, _n: usize) -> Option<usize> {
        None
    }

    /// Whether it maximises for every objective. A solver that counts negative costs as 0, as those of shortest
    /// paths do, says no; losses that ask beyond the objectives of their user, such as SPO+, refuse it.
    fn takes_either_sign(&self) -> bool {
        true
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

    fn batch(&self, n: usize) -> Option<usize> {
        S::batch(self, n)
    }

    fn takes_either_sign(&self) -> bool {
        S::takes_either_sign(self)
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        S::validate(self, n)
    }

    fn work(&self, n: usize) -> usize {
        S::work(self, n)
    }
}

/// A solver that takes all objectives at once, as one on another device or machine does: a function of their
/// length `n`, the objectives, rows of `n` numbers, and as many rows of zeros for the solutions.
///
/// It is called once for each item of a batch with all of its perturbations, from several threads at a time.
///
/// ```
/// use supple_core::{Fault, evaluate};
/// use supple_ops::perturb::{Batched, PerturbedArgmax};
///
/// let signs = |_: usize, thetas: &[f64], ys: &mut [f64]| -> Result<(), Fault> {
///     ys.iter_mut().zip(thetas).for_each(|(y, theta)| *y = theta.signum());
///     Ok(())
/// };
/// let smooth = PerturbedArgmax { samples: 10_000, seed: Some(1), ..PerturbedArgmax::new(Batched(signs)) };
/// let theta = ndarray::array![0.5, -2.0].into_dyn();
/// let [y] = evaluate(&smooth, [theta.view()])?;
/// assert!((y[0] - 0.3829_f64).abs() < 0.03); // twice the normal distribution function at 0.5, less 1
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Batched<F>(pub F);

impl<F: Fn(usize, &[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync> Oracle for Batched<F> {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.0(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        self.0(n, thetas, ys)
    }

    fn batch(&self, _n: usize) -> Option<usize> {
        Some(usize::MAX)
    }
}
