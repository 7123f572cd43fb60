//! Noise-contrastive estimation against a pool of solutions.
//!
//! $$\ell(\theta) = \frac{1}{p} \sum_{j=1}^{p} \langle\theta, y_j - y^\star\rangle$$
//!
//! for scores $\theta$ and the solution $y^\star$ of the true scores, both `(n)`, and a pool
//! $y_1, \dots, y_p$ of feasible solutions `(p, n)`: how far the solution is ahead of the pool in the mean.
//! No solver is called.
//!
//! * Larger scores make it smaller without end: it is linear in $\theta$, and not bounded below. Scores that
//!   come from a model with a bounded or regularised output keep it in bounds, and so does the paper's second
//!   form, with $\theta - t$ in place of $\theta$ for true scores $t$: give that difference as `theta`. The
//!   gradient to the prediction is the same.
//! * Gradient: exact everywhere, to all three inputs: $\frac1p \sum_j y_j - y^\star$, $-\theta$ and
//!   $\theta / p$.
//! * NaN makes the loss NaN. There is no softness and no hard form.
//! * Cost: O(p n).
//!
//! The paper minimises costs $-\theta$ and takes the sum over the pool.
//!
//! Mulamba, Mandi, Diligenti, Lombardi, Bucarey and Guns, *Contrastive losses and solution caching for
//! predict-and-optimize*, IJCAI 2021, <https://arxiv.org/abs/2011.05354>.

use super::pools::{add_gradients, of_pools, scores};
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{Args, Contract, Error, Fault, Float, Operator, Params, Point, Real, Scratch, params};
use supple_numerics::elementary::dot;

params! {
    /// Noise-contrastive loss over a pool of solutions.
    pub struct NceLoss {}
}

impl Operator<3> for NceLoss {
    const NAME: &'static str = "nce_loss";
    const SIGNATURE: &'static str = "theta(n), solution(n), pool(p>=1,n) -> loss()";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [loss]: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [theta, solution, pool] = at.x;
        let [_, p] = at.sizes();
        let scores = scores(pool, theta, p, scratch);
        let mean = scores.iter().copied().sum::<T::Acc>() / T::Acc::of(p as f64);
        scratch.wide.give(scores);
        loss[0] = T::narrow(mean - dot(theta, solution));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 3>,
        [dloss]: [&[T]; 1],
        [dtheta, dsolution, dpool]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        let [theta, solution, pool] = at.x;
        let [_, p] = at.sizes();
        let dloss = dloss[0].widen();
        let mut weights = scratch.wide.zeros(p);
        weights.fill(dloss / T::Acc::of(p as f64));
        add_gradients(&weights, [theta, pool], [&mut *dtheta, dpool], scratch);
        scratch.wide.give(weights);
        add_gradients(&[-dloss], [theta, solution], [dtheta, dsolution], scratch);
    }
}

impl Contract<3> for NceLoss {
    const SUMMARY: &'static str = "lead of a solution over a pool of others, in the mean (NCE)";
    const PAPER: &'static str = "Mulamba et al., IJCAI 2021";
    const COST: &'static str = "O(p n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [theta, solution, pool] = at.x;
        let [n, p] = at.sizes();
        let term = |(i, y): (usize, &f64)| theta[i % n] * (y - solution[i % n]) / p as f64;
        Some([vec![pool.iter().enumerate().map(term).sum()]])
    }
}

/// The mean of $\langle\theta, y_j - y^\star\rangle$ over a pool of feasible solutions: scores `theta` and
/// the true `solution` `(…, n)` and the `pool` `(…, p, n)` to `(…)`. One pool may serve a batch.
///
/// $$\ell(\theta) = \frac{1}{p} \sum_{j=1}^{p} \langle\theta, y_j - y^\star\rangle$$
///
/// Scores are of what is maximised: negate costs. The loss is linear in the scores and not bounded below.
/// Gradient: exact everywhere, to all inputs. NaN makes the loss NaN. Cost O(p n).
///
/// # Errors
/// Shapes that do not fit; an empty pool.
///
/// ```
/// use ndarray::array;
/// use supple_ops::decision::nce_loss;
///
/// let pool = array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// let solution = array![0.0, 1.0, 0.0];
/// let right = nce_loss(&array![1.0, 3.0, 2.0], &solution, &pool)?;
/// let wrong = nce_loss(&array![3.0, 1.0, 2.0], &solution, &pool)?;
/// assert_eq!((right.into_scalar(), wrong.into_scalar()), (-1.0, 1.0));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Mulamba et al., *Contrastive losses and solution caching for predict-and-optimize*, IJCAI 2021.
pub fn nce_loss<'a, T: Float, D: RemoveAxis, E: Dimension>(
    theta: impl Into<ArrayView<'a, T, D>>,
    solution: impl Into<ArrayView<'a, T, D>>,
    pool: impl Into<ArrayView<'a, T, E>>,
) -> Result<Array<T, D::Smaller>, Error> {
    of_pools(&NceLoss {}, theta, solution, pool)
}
