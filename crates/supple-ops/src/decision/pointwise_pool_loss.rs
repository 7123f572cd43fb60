//! Regression of the values of a pool of solutions.
//!
//! $$\ell(\theta, t) = \frac{1}{p} \sum_{j=1}^{p} \langle\theta - t, y_j\rangle^2$$
//!
//! for predicted scores $\theta$ and true scores $t$, both `(n)`, and a pool $y_1, \dots, y_p$ of feasible
//! solutions `(p, n)`: the mean squared error of the solutions' values. No solver is called.
//!
//! * It sees only the part of the error that some solution of the pool meets, and weighs it by how many do.
//! * Gradient: exact everywhere, to all three inputs.
//! * NaN makes the loss NaN. There is no softness and no hard form.
//! * Cost: O(p n).
//!
//! Mandi, Bucarey, Tchomba and Guns, *Decision-focused learning: through the lens of learning to rank*, ICML
//! 2022, <https://arxiv.org/abs/2112.03609>.

use super::pools::{add_gradients, of_pools, rows};
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scratch, params};

params! {
    /// Mean squared error of the values of a pool of solutions.
    pub struct PointwisePoolLoss {}
}

/// `⟨θ − t, y⟩` for each solution, in a buffer to be given back.
fn errors<T: Real>([theta, target, pool]: [&[T]; 3], p: usize, scratch: &mut Scratch<T>) -> Vec<T::Acc> {
    let mut error = scratch.wide.empty();
    error.extend(theta.iter().zip(target).map(|(theta, t)| theta.widen() - t.widen()));
    let mut errors = scratch.wide.empty();
    let of = |y: &[T]| error.iter().zip(y).map(|(&error, y)| error * y.widen()).sum::<T::Acc>();
    errors.extend(rows(pool, theta.len(), p).map(of));
    scratch.wide.give(error);
    errors
}

impl Operator<3> for PointwisePoolLoss {
    const NAME: &'static str = "pointwise_pool_loss";
    const SIGNATURE: &'static str = "theta(n), target(n), pool(p>=1,n) -> loss()";
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
        let [_, p] = at.sizes();
        let errors = errors(at.x, p, scratch);
        loss[0] = T::narrow(errors.iter().map(|e| e.square()).sum::<T::Acc>() / T::Acc::of(p as f64));
        scratch.wide.give(errors);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 3>,
        [dloss]: [&[T]; 1],
        [dtheta, dtarget, dpool]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        let [theta, target, pool] = at.x;
        let [_, p] = at.sizes();
        let mut weights = errors(at.x, p, scratch);
        let slope = dloss[0].widen() * T::Acc::of(2.0 / p as f64);
        weights.iter_mut().for_each(|w| *w *= slope);
        add_gradients(&weights, [theta, pool], [dtheta, &mut *dpool], scratch);
        weights.iter_mut().for_each(|w| *w = -*w);
        add_gradients(&weights, [target, pool], [dtarget, dpool], scratch);
        scratch.wide.give(weights);
    }
}

impl Contract<3> for PointwisePoolLoss {
    const SUMMARY: &'static str = "squared error of the values of a pool of solutions";
    const PAPER: &'static str = "Mandi et al., ICML 2022";
    const COST: &'static str = "O(p n) forward and backward";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY)))]
    }

    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [theta, target, pool] = at.x;
        let [n, p] = at.sizes();
        let value = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let squares = pool.chunks_exact(n).map(|y| (value(theta, y) - value(target, y)).powi(2));
        Some([vec![squares.sum::<f64>() / p as f64]])
    }
}

/// The mean squared error of the values of a pool of feasible solutions: predicted scores `theta` and true
/// scores `target` `(…, n)` and the `pool` `(…, p, n)` to `(…)`. One pool may serve a batch.
///
/// $$\ell(\theta, t) = \frac{1}{p} \sum_{j=1}^{p} \langle\theta - t, y_j\rangle^2$$
///
/// Gradient: exact everywhere, to all inputs. NaN makes the loss NaN. Cost O(p n).
///
/// # Errors
/// Shapes that do not fit; an empty pool.
///
/// ```
/// use ndarray::array;
/// use supple_ops::decision::pointwise_pool_loss;
///
/// let pool = array![[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]];
/// let loss = pointwise_pool_loss(&array![1.0, 3.0, 2.0], &array![0.0, 3.0, 5.0], &pool)?;
/// assert_eq!(loss.into_scalar(), (1.0 + 9.0) / 2.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Mandi et al., *Decision-focused learning: through the lens of learning to rank*, ICML 2022.
pub fn pointwise_pool_loss<'a, T: Float, D: RemoveAxis, E: Dimension>(
    theta: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
    pool: impl Into<ArrayView<'a, T, E>>,
) -> Result<Array<T, D::Smaller>, Error> {
    of_pools(&PointwisePoolLoss {}, theta, target, pool)
}
