//! Cross entropy between two distributions over a pool of solutions.
//!
//! $$\ell(\theta, t) = -\sum_{j=1}^{p} q_j \ln p_j, \qquad
//! p = \mathrm{softmax}(Y \theta / \varepsilon), \quad q = \mathrm{softmax}(Y t / \varepsilon)$$
//!
//! for predicted scores $\theta$ and true scores $t$, both `(n)`, and a pool of feasible solutions, the rows
//! $y_1, \dots, y_p$ of $Y$ `(p, n)`. It is [`list_net_loss`](crate::ranking::list_net_loss()) on the values
//! $Y \theta$ and $Y t$. No solver is called.
//!
//! * Softness: ε, in the unit of values. A large one asks for all values to be right, a small one for the
//!   best solution.
//! * It is convex in $\theta$; its least value, at $Y \theta = Y t$ up to a constant, is the entropy of $q$,
//!   not 0. As ε → 0 it has no limit: it grows as $1/\varepsilon$ where the best ones differ. There is no
//!   hard form.
//! * Gradient: exact everywhere, to all three inputs.
//! * Values that are NaN or infinite make the loss NaN.
//! * Cost: O(p n).
//!
//! The paper divides by $p$.
//!
//! Mandi, Bucarey, Tchomba and Guns, *Decision-focused learning: through the lens of learning to rank*, ICML
//! 2022, <https://arxiv.org/abs/2112.03609>.

use super::pools::{add_gradients, of_pools, scores};
use crate::ranking::ListNetLoss;
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, params,
};

params! {
    /// Cross entropy between distributions over a pool of solutions.
    pub struct ListwisePoolLoss {
        /// Temperature; the unit of values.
        softness: f64 = 1.0, Positive;
    }
}

impl ListwisePoolLoss {
    fn list_net(&self) -> ListNetLoss {
        ListNetLoss { softness: self.softness }
    }
}

impl Operator<3> for ListwisePoolLoss {
    const NAME: &'static str = "listwise_pool_loss";
    const SIGNATURE: &'static str = "theta(n), target(n), pool(p>=1,n) -> loss()";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling<3>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [loss]: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [theta, target, pool] = at.x;
        let [_, p] = at.sizes();
        let values = [theta, target].map(|x| scores(pool, x, p, scratch));
        let mut wide = [T::Acc::nan()];
        if values.iter().flatten().all(|value| value.is_finite()) {
            let x = values.each_ref().map(|values| &values[..]);
            let args = Args { x, k: [], sizes: &[p], item: at.item };
            self.list_net().forward(args, [&mut wide], &mut (), scratch.accumulator())?;
        }
        values.into_iter().for_each(|values| scratch.wide.give(values));
        loss[0] = T::narrow(wide[0]);
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
        let [theta, target, pool] = at.x;
        let [_, p] = at.sizes();
        let values = [theta, target].map(|x| scores(pool, x, p, scratch));
        let mut slopes = [(); 2].map(|()| scratch.wide.zeros(p));
        let x = values.each_ref().map(|values| &values[..]);
        let y = [at.y[0][0].widen()];
        let point = Point { x, k: [], sizes: &[p], item: at.item, y: [&y], saved: &() };
        let dx = slopes.each_mut().map(|slopes| &mut slopes[..]);
        self.list_net().vjp(point, [&[dloss[0].widen()]], dx, scratch.accumulator());
        add_gradients(&slopes[0], [theta, pool], [dtheta, &mut *dpool], scratch);
        add_gradients(&slopes[1], [target, pool], [dtarget, dpool], scratch);
        values.into_iter().chain(slopes).for_each(|buffer| scratch.wide.give(buffer));
    }
}

impl Contract<3> for ListwisePoolLoss {
    const SUMMARY: &'static str = "cross entropy between distributions over a pool of solutions";
    const PAPER: &'static str = "Mandi et al., ICML 2022";
    const COST: &'static str = "O(p n) forward and backward";

    fn cases() -> Vec<Self> {
        [1.0, 0.3, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY)))]
    }

    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [theta, target, pool] = at.x;
        let softmax = |x: &[f64]| -> Vec<f64> {
            let value = |y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / self.softness;
            let values: Vec<f64> = pool.chunks_exact(x.len()).map(value).collect();
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = values.iter().map(|v| (v - most).exp()).sum();
            values.iter().map(|v| v - most - sum.ln()).collect()
        };
        let (p, q) = (softmax(theta), softmax(target));
        Some([vec![-p.iter().zip(&q).map(|(p, q)| q.exp() * p).sum::<f64>()]])
    }
}

/// The cross entropy between two distributions over a pool of feasible solutions, softmaxes of their values:
/// predicted scores `theta` and true scores `target` `(…, n)` and the `pool` `(…, p, n)` to `(…)`. One pool
/// may serve a batch.
///
/// $$\ell(\theta, t) = -\sum_j q_j \ln p_j, \qquad p = \mathrm{softmax}(Y \theta / \varepsilon), \quad
/// q = \mathrm{softmax}(Y t / \varepsilon)$$
///
/// `softness` is ε, in the unit of values. The least value over the scores is the entropy of $q$. Gradient:
/// exact everywhere, to all inputs. Values that are NaN or infinite make the loss NaN. Cost O(p n).
///
/// # Errors
/// Shapes that do not fit; an empty pool; a `softness` that is not above 0.
///
/// ```
/// use ndarray::array;
/// use supple_ops::decision::listwise_pool_loss;
///
/// let pool = array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// let target = array![1.0, 3.0, 2.0];
/// let right = listwise_pool_loss(&array![1.0, 3.0, 2.0], &target, &pool, 1.0)?;
/// let wrong = listwise_pool_loss(&array![3.0, 1.0, 2.0], &target, &pool, 1.0)?;
/// assert!(right.into_scalar() < wrong.into_scalar());
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Mandi et al., *Decision-focused learning: through the lens of learning to rank*, ICML 2022.
pub fn listwise_pool_loss<'a, T: Float, D: RemoveAxis, E: Dimension>(
    theta: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
    pool: impl Into<ArrayView<'a, T, E>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_pools(&ListwisePoolLoss { softness }, theta, target, pool)
}
