//! Hinge loss of the order in a pool of solutions: the best one against each other.
//!
//! $$\ell(\theta, t) = \frac{1}{\lvert W \rvert} \sum_{j \in W} \max\bigl(0, m -
//! \langle\theta, y_b - y_j\rangle\bigr), \qquad b = \arg\max_j \langle t, y_j\rangle, \quad
//! W = \{j : \langle t, y_j\rangle < \langle t, y_b\rangle\}$$
//!
//! for predicted scores $\theta$ and true scores $t$, both `(n)`, and a pool $y_1, \dots, y_p$ of feasible
//! solutions `(p, n)`. The best one of the pool ought to lead every worse one by the margin. No solver is
//! called.
//!
//! * `margin` is $m$, in the unit of values.
//! * It is convex in $\theta$. Without a worse solution it is 0. Of equally good ones the first is the best,
//!   and the others, copies of it among them, count for nothing.
//! * Gradient: almost everywhere, to all three inputs; that to $t$, which only says who is best, is zero.
//! * NaN makes the loss NaN. There is no softness and no hard form.
//! * Cost: O(p n).
//!
//! Mandi, Bucarey, Tchomba and Guns, *Decision-focused learning: through the lens of learning to rank*, ICML
//! 2022, <https://arxiv.org/abs/2112.03609>.

use super::pools::{add_gradients, best, has_nan, of_pools, scores};
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, params,
};

params! {
    /// Hinge loss of the best of a pool of solutions against the worse ones.
    pub struct PairwisePoolLoss {
        /// By how much the best ought to lead.
        margin: f64 = 1.0, AtLeast(0.0);
    }
}

/// Calls `each(j, b, hinge)` for every solution that is worse than the best, `b`; how many there are.
fn pairs<T: Real>(
    margin: f64,
    [theta, target, pool]: [&[T]; 3],
    p: usize,
    scratch: &mut Scratch<T>,
    mut each: impl FnMut(usize, usize, T::Acc),
) -> usize {
    let (own, true_scores) = (scores(pool, theta, p, scratch), scores(pool, target, p, scratch));
    let b = best(&true_scores);
    let mut count = 0;
    for j in (0..p).filter(|&j| true_scores[j] < true_scores[b]) {
        count += 1;
        each(j, b, T::Acc::of(margin) - (own[b] - own[j]));
    }
    scratch.wide.give(own);
    scratch.wide.give(true_scores);
    count
}

impl Operator<3> for PairwisePoolLoss {
    const NAME: &'static str = "pairwise_pool_loss";
    const SIGNATURE: &'static str = "theta(n), target(n), pool(p>=1,n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
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
        if has_nan(at.x) {
            loss[0] = T::nan();
            return Ok(());
        }
        let [_, p] = at.sizes();
        let mut sum = T::Acc::zero();
        let count = pairs(self.margin, at.x, p, scratch, |_, _, hinge| sum += hinge.max(T::Acc::zero()));
        loss[0] = T::narrow(sum / T::Acc::of(count.max(1) as f64));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 3>,
        [dloss]: [&[T]; 1],
        [dtheta, dtarget, dpool]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        if at.y[0][0].is_nan() {
            return [dtheta, dtarget, dpool].into_iter().for_each(|d| d.fill(T::nan()));
        }
        let [_, p] = at.sizes();
        let mut weights = scratch.wide.zeros(p);
        let count = pairs(self.margin, at.x, p, scratch, |j, b, hinge| {
            if hinge > T::Acc::zero() {
                weights[j] = T::Acc::one();
                weights[b] -= T::Acc::one();
            }
        });
        let slope = dloss[0].widen() / T::Acc::of(count.max(1) as f64);
        weights.iter_mut().for_each(|w| *w *= slope);
        add_gradients(&weights, [at.x[0], at.x[2]], [dtheta, dpool], scratch);
        scratch.wide.give(weights);
    }
}

impl Contract<3> for PairwisePoolLoss {
    const SUMMARY: &'static str = "hinge loss of the best of a pool against the worse ones";
    const PAPER: &'static str = "Mandi et al., ICML 2022";
    const COST: &'static str = "O(p n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &["margin"];

    fn cases() -> Vec<Self> {
        [1.0, 0.0, 5.0].map(|margin| Self { margin }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY)))]
    }

    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [theta, target, pool] = at.x;
        let value = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let solutions = || pool.chunks_exact(theta.len());
        let most = solutions().map(|y| value(target, y)).fold(f64::NEG_INFINITY, f64::max);
        let best = solutions().find(|y| value(target, y) == most)?;
        let worse: Vec<_> = solutions().filter(|y| value(target, y) < most).collect();
        let hinge = |y: &&[f64]| (self.margin - value(theta, best) + value(theta, y)).max(0.0);
        Some([vec![worse.iter().map(hinge).sum::<f64>() / worse.len().max(1) as f64]])
    }
}

/// By how much the best of a pool of feasible solutions fails to lead each worse one by `margin`, in the
/// mean: predicted scores `theta` and true scores `target` `(…, n)` and the `pool` `(…, p, n)` to `(…)`. One
/// pool may serve a batch.
///
/// $$\ell(\theta, t) = \frac{1}{\lvert W \rvert} \sum_{j \in W} \max\bigl(0, m -
/// \langle\theta, y_b - y_j\rangle\bigr)$$
///
/// with $b$ the best and $W$ the worse ones by the true scores. Gradient: almost everywhere; zero to
/// `target`. NaN makes the loss NaN. Cost O(p n).
///
/// # Errors
/// Shapes that do not fit; an empty pool; a `margin` below 0.
///
/// ```
/// use ndarray::array;
/// use supple_ops::decision::pairwise_pool_loss;
///
/// let pool = array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// let target = array![0.0, 2.0, 1.0];
/// let loss = pairwise_pool_loss(&array![1.0, 3.0, 2.5], &target, &pool, 1.0)?;
/// assert_eq!(loss.into_scalar(), (0.0 + 0.5) / 2.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Mandi et al., *Decision-focused learning: through the lens of learning to rank*, ICML 2022.
pub fn pairwise_pool_loss<'a, T: Float, D: RemoveAxis, E: Dimension>(
    theta: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
    pool: impl Into<ArrayView<'a, T, E>>,
    margin: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_pools(&PairwisePoolLoss { margin }, theta, target, pool)
}
