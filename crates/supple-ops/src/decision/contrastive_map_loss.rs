//! Contrastive loss against the best of a pool of solutions.
//!
//! $$\ell(\theta) = \max_{1 \le j \le p} \langle\theta, y_j - y^\star\rangle$$
//!
//! for scores $\theta$ and the solution $y^\star$ of the true scores, both `(n)`, and a pool
//! $y_1, \dots, y_p$ of feasible solutions `(p, n)`: what the pool has ahead of the solution at its best. No
//! solver is called.
//!
//! * It is convex in $\theta$; with $y^\star$ in the pool it is at least 0, and 0 where none of the pool is
//!   better. It is the loss of the structured perceptron with the pool in place of all solutions. Scores of 0
//!   have the loss 0 too; the paper's second form avoids that, with $\theta - t$ in place of $\theta$ for
//!   true scores $t$: give that difference as `theta`.
//! * Gradient: almost everywhere, to all three inputs. With $\hat y$ the best of the pool, the first of equal
//!   ones, it is $\hat y - y^\star$, $-\theta$, and $\theta$ at $\hat y$.
//! * NaN makes the loss NaN. There is no softness and no hard form.
//! * Cost: O(p n) forward, O(n) backward beside the pool's gradient.
//!
//! The paper minimises costs $-\theta$.
//!
//! Mulamba, Mandi, Diligenti, Lombardi, Bucarey and Guns, *Contrastive losses and solution caching for
//! predict-and-optimize*, IJCAI 2021, <https://arxiv.org/abs/2011.05354>.

use super::pools::{add_gradients, best, has_nan, of_pools, scores};
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Operator, Params, Point, Real, Scratch, params,
};
use supple_numerics::elementary::dot;

params! {
    /// Contrastive loss against the best of a pool of solutions.
    pub struct ContrastiveMapLoss {}
}

impl Operator<3> for ContrastiveMapLoss {
    const NAME: &'static str = "contrastive_map_loss";
    const SIGNATURE: &'static str = "theta(n), solution(n), pool(p>=1,n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// The place of the best.
    type Saved<T: Real> = usize;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [loss]: [&mut [T]; 1],
        saved: &mut usize,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [theta, solution, pool] = at.x;
        let [_, p] = at.sizes();
        if has_nan(at.x) {
            loss[0] = T::nan();
            return Ok(());
        }
        let scores = scores(pool, theta, p, scratch);
        *saved = best(&scores);
        loss[0] = T::narrow(scores[*saved] - dot(theta, solution));
        scratch.wide.give(scores);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, usize, 3>,
        [dloss]: [&[T]; 1],
        [dtheta, dsolution, dpool]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        if at.y[0][0].is_nan() {
            return [dtheta, dsolution, dpool].into_iter().for_each(|d| d.fill(T::nan()));
        }
        let [theta, solution, pool] = at.x;
        let n = theta.len();
        let own = at.saved * n..(at.saved + 1) * n;
        let dloss = dloss[0].widen();
        add_gradients(&[dloss], [theta, &pool[own.clone()]], [&mut *dtheta, &mut dpool[own]], scratch);
        add_gradients(&[-dloss], [theta, solution], [dtheta, dsolution], scratch);
    }
}

impl Contract<3> for ContrastiveMapLoss {
    const SUMMARY: &'static str = "lead of the best of a pool over a solution (CMAP)";
    const PAPER: &'static str = "Mulamba et al., IJCAI 2021";
    const COST: &'static str = "O(p n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [theta, solution, pool] = at.x;
        let lead = |y: &[f64]| (0..theta.len()).map(|i| theta[i] * (y[i] - solution[i])).sum::<f64>();
        Some([vec![pool.chunks_exact(theta.len()).map(lead).fold(f64::NEG_INFINITY, f64::max)]])
    }
}

/// The largest of $\langle\theta, y_j - y^\star\rangle$ over a pool of feasible solutions: scores `theta` and
/// the true `solution` `(…, n)` and the `pool` `(…, p, n)` to `(…)`. One pool may serve a batch.
///
/// $$\ell(\theta) = \max_{1 \le j \le p} \langle\theta, y_j - y^\star\rangle$$
///
/// Scores are of what is maximised: negate costs. The loss is convex in the scores, and at least 0 where the
/// solution is in the pool. Gradient: almost everywhere, to all inputs. NaN makes the loss NaN. Cost O(p n).
///
/// # Errors
/// Shapes that do not fit; an empty pool.
///
/// ```
/// use ndarray::array;
/// use supple_ops::decision::contrastive_map_loss;
///
/// let pool = array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// let solution = array![0.0, 1.0, 0.0];
/// let right = contrastive_map_loss(&array![1.0, 3.0, 2.0], &solution, &pool)?;
/// let wrong = contrastive_map_loss(&array![3.0, 1.0, 2.0], &solution, &pool)?;
/// assert_eq!((right.into_scalar(), wrong.into_scalar()), (0.0, 2.0));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Mulamba et al., *Contrastive losses and solution caching for predict-and-optimize*, IJCAI 2021.
pub fn contrastive_map_loss<'a, T: Float, D: RemoveAxis, E: Dimension>(
    theta: impl Into<ArrayView<'a, T, D>>,
    solution: impl Into<ArrayView<'a, T, D>>,
    pool: impl Into<ArrayView<'a, T, E>>,
) -> Result<Array<T, D::Smaller>, Error> {
    of_pools(&ContrastiveMapLoss {}, theta, solution, pool)
}
