//! Cross entropy of being among the first k, for several k at once.
//!
//! $$ L = -\ln \sum_{m=1}^{k} w_m \sum_{r=1}^{m} P_{r, j} $$
//!
//! for a relaxed permutation matrix of which row r, $P_r$, is a distribution over who is r-th, a distribution
//! $w$ over how many first places count, and the right label $j$: the probability that a random number of
//! first places holds the label. Row r counts with the tail $\sum_{m \ge r} w_m$.
//!
//! * $w = (1, 0, \dots)$ is the cross entropy of the first place, $w = (0, \dots, 0, 1)$ of the k first.
//! * The rows can come from any relaxation, such as the first k of
//!   [`neural_sort_permutation`](crate::order::neural_sort_permutation()), from the largest down. Its
//!   softness is theirs; there is no hard form.
//! * The loss is 0 at its least where the columns of P sum to at most 1, as those of permutations do. Rows
//!   that are distributions alone, as NeuralSort's, can give a label more than 1, and a loss below 0.
//! * Gradient: exact everywhere, to rows and weights, and zero outside the label's column. Where no place has
//!   a chance of the label, the loss is ∞. The authors' code adds 1e-7 to what the logarithm is taken of, and
//!   by default has the plain softmax of the scores in the term of m = 1; this is the formula without.
//! * NaN in the label's column or in the weights makes the loss NaN. A label outside `0..n` is a fault.
//! * Cost: O(k).
//!
//! Paper: Petersen, Kuehne, Borgelt, Deussen, *Differentiable Top-k Classification Learning*, ICML 2022,
//! <https://arxiv.org/abs/2206.07290>.

use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Inputs, Operator, Params, Point, Real, Sample, Scratch, Stream,
    evaluate, params,
};

params! {
    /// Cross entropy of being among the first k.
    pub struct TopKCrossEntropyLoss {}
}

impl TopKCrossEntropyLoss {
    /// Calls `each(r, place, m)` for every row from the last to the first with the place of its label, and
    /// the weights of m ≥ r.
    fn rows<T: Real>(at: Args<'_, T, 2, 1>, mut each: impl FnMut(usize, usize, T::Acc)) {
        let ([k, n], label) = (at.sizes(), at.k[0][0] as usize);
        let mut tail = T::Acc::zero();
        for r in (0..k).rev() {
            tail += at.x[1][r].widen();
            each(r, r * n + label, tail);
        }
    }

    fn probability<T: Real>(at: Args<'_, T, 2, 1>) -> T::Acc {
        let mut sum = T::Acc::zero();
        Self::rows(at, |_, place, tail| sum += tail * at.x[0][place].widen());
        sum
    }
}

impl Operator<2, 1, 1> for TopKCrossEntropyLoss {
    const NAME: &'static str = "top_k_cross_entropy_loss";
    const SIGNATURE: &'static str = "rows(k>=1,n>=1), weights(k), label: index() -> loss()";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes.first().copied().unwrap_or(0)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2, 1>,
        [loss]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [_, n] = at.sizes();
        Fault::check_indices("label", at.k[0], n)?;
        loss[0] = T::narrow(-Self::probability(at).ln());
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2, 1, 1>,
        [dloss]: [&[T]; 1],
        [drows, dweights]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let at = at.args();
        let dloss = dloss[0].widen();
        let rate = -dloss / Self::probability(at);
        // An infinite rate times a weight of nothing is nothing.
        let rated =
            |by: T::Acc| if by.is_zero() || dloss.is_zero() { T::zero() } else { T::narrow(rate * by) };
        Self::rows(at, |_, place, tail| drows[place] = rated(tail));
        let ([k, n], label) = (at.sizes(), at.k[0][0] as usize);
        let mut among = T::Acc::zero();
        for (m, dweight) in dweights.iter_mut().enumerate().take(k) {
            among += at.x[0][m * n + label].widen();
            *dweight = rated(among);
        }
    }
}

impl Contract<2, 1, 1> for TopKCrossEntropyLoss {
    const SUMMARY: &'static str = "cross entropy of being among the first k, for several k at once";
    const PAPER: &'static str = "Petersen et al., ICML 2022, arXiv:2206.07290";
    const COST: &'static str = "O(k)";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn oracle(&self, at: Args<'_, f64, 2, 1>) -> Option<[Vec<f64>; 1]> {
        let ([rows, weights], [_, n]) = (at.x, at.sizes());
        let label = at.k[0][0] as usize;
        let among = |m: usize| (0..=m).map(|r| rows[r * n + label]).sum::<f64>();
        let probability: f64 = weights.iter().enumerate().map(|(m, weight)| weight * among(m)).sum();
        Some([vec![-probability.ln()]])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [[1, 1], [1, 4], [2, 5], [5, 8]].map(Vec::from).to_vec()
    }

    /// Distributions.
    fn sample(&self, sizes: &[usize], [_, k]: [usize; 2], random: &mut Stream) -> Sample<2, 1> {
        let mut distribution = |n: usize| {
            let e: Vec<f64> = (0..n).map(|_| random.normal().exp()).collect();
            let sum: f64 = e.iter().sum();
            e.into_iter().map(|e| e / sum).collect::<Vec<f64>>()
        };
        let n = sizes[1];
        let rows = (0..k).flat_map(|_| distribution(n)).collect();
        let weights = distribution(k);
        Sample { x: [rows, weights], k: [vec![random.below(n) as i64]] }
    }

    fn free(&self) -> [bool; 2] {
        [false, false]
    }
}

/// The cross entropy of being among the first k, for several k at once: of `rows` `(…, k, n)`, a distribution
/// over who is r-th for each r, with `weights` `(…, k)` over how many first places count, for the number
/// `label` `(…)` of the right one.
///
/// $$ L = -\ln \sum_{m=1}^{k} w_m \sum_{r=1}^{m} P_{r, j} $$
///
/// * Shapes: `(…, k, n)`, `(…, k)` and `(…)` to `(…)`, n ≥ 1, k ≥ 1; labels count from 0. Weights `(k)` serve
///   a whole batch through [`evaluate`](supple_core::evaluate).
/// * Gradient: exact everywhere, to rows and weights.
/// * The loss is ∞ where no place has a chance of the label; NaN there makes it NaN.
/// * Cost: O(k).
/// * Errors: a label outside `0..n`; n = 0; k = 0.
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_ops::select::top_k_cross_entropy_loss;
/// let rows = array![[0.7_f64, 0.2, 0.1], [0.2, 0.7, 0.1]];
/// // First in half of the cases, among the first two in the other half.
/// let loss = top_k_cross_entropy_loss(&rows, &array![0.5, 0.5], &arr0(1))?.into_scalar();
/// assert!((loss + (0.5 * 0.2 + 0.5 * 0.9_f64).ln()).abs() < 1e-15);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Petersen, Kuehne, Borgelt, Deussen, *Differentiable Top-k Classification Learning*, ICML 2022,
/// <https://arxiv.org/abs/2206.07290>.
pub fn top_k_cross_entropy_loss<'a, T: Float, D: RemoveAxis<Smaller: RemoveAxis>>(
    rows: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, D::Smaller>>,
    label: impl Into<ArrayView<'a, i64, <D::Smaller as ndarray::Dimension>::Smaller>>,
) -> Result<Array<T, <D::Smaller as ndarray::Dimension>::Smaller>, Error> {
    let arrays = [rows.into().into_dyn(), weights.into().into_dyn()];
    let [loss] = evaluate(&TopKCrossEntropyLoss {}, Inputs::from((arrays, [label.into().into_dyn()])))?;
    let narrower = |e| Error::unsupported(TopKCrossEntropyLoss::NAME, "a loss of the labels' rank", e);
    loss.into_dimensionality().map_err(narrower)
}
