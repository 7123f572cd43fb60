//! One minus Spearman's correlation, at soft ranks.
//!
//! $$ L(s, t) = 1 - \frac{\langle r - \bar r, \ q - \bar q \rangle}{\lVert r - \bar r \rVert \lVert q - \bar q \rVert}, \qquad
//! r = \text{soft ranks of } s, \quad q = \text{ranks of } t $$
//!
//! with [soft ranks](crate::order::soft_rank) on the permutahedron. It lies in \[0, 2\].
//!
//! * Softness: the unit of the scores; ε.
//! * Hard limit: one minus Spearman's correlation; equal values share the mean of their ranks. With growing
//!   ε, one minus Pearson's correlation between the scores and the ranks of the target.
//! * An entry with a target of −∞ is ignored. Where all other targets are equal there is nothing to rank: the
//!   loss is 0, and so is the gradient. Where all scores are equal there is no correlation: the loss is 1 and
//!   the gradient zero.
//! * Gradient: that of the soft ranks in the scores; zero in the target, at which the loss jumps where two
//!   are equal.
//! * A NaN makes its list NaN; a score of ±∞ is above or below all others.
//! * Cost: O(n log n) forward, O(n) backward.
//!
//! Paper: Blondel, Teboul, Berthet and Djolonga, *Fast differentiable sorting and ranking*, ICML 2020,
//! <https://arxiv.org/abs/2002.08871>.

use super::lists::{self, of_lists};
use crate::order::{Regularization, SoftRank, average_ranks};
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    params,
};
use supple_numerics::elementary::dot;

params! {
    /// One minus Spearman's correlation.
    pub struct SpearmanLoss {
        /// Distance at which scores stop to share ranks; the unit of the scores.
        softness: f64 = 0.1, Positive;
        /// What the projection of the ranks minimises.
        regularization: Regularization = Regularization::L2, Any;
    }
}

/// The scores, what their soft ranks saved, the soft ranks, and the ranks of the target from their mean; all
/// in the accumulator's precision, because the correlation lives on small differences of ranks.
pub struct Saved<T: Real> {
    scores: Vec<T::Acc>,
    inner: <SoftRank as Operator>::Saved<T::Acc>,
    ranks: Vec<T::Acc>,
    target: Vec<T::Acc>,
}

impl<T: Real> Default for Saved<T> {
    fn default() -> Self {
        Self { scores: vec![], inner: Default::default(), ranks: vec![], target: vec![] }
    }
}

impl SpearmanLoss {
    fn ranking(&self) -> SoftRank {
        SoftRank { softness: self.softness, regularization: self.regularization, descending: false }
    }
}

impl Operator<2> for SpearmanLoss {
    const NAME: &'static str = "spearman_loss";
    const SIGNATURE: &'static str = "scores(n), target(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        self.ranking().validate(sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        20 * sizes[0]
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, target], _| {
            if lists::all_equal(target) {
                return Ok(T::Acc::zero());
            }
            let [scores, target] = [scores, target].map(|x| x.iter().map(|x| x.widen()).collect::<Vec<_>>());
            let scratch = &mut Scratch::default();
            saved.ranks.resize(scores.len(), T::Acc::zero());
            saved.target.resize(scores.len(), T::Acc::zero());
            let args = Args { x: [&scores[..]], k: [], sizes: &[scores.len()], item: at.item };
            self.ranking().forward(args, [&mut saved.ranks], &mut saved.inner, scratch)?;
            average_ranks(&target, false, &mut saved.target, scratch);
            centre(&mut saved.target);
            let mut ranks = saved.ranks.clone();
            centre(&mut ranks);
            saved.scores = scores;
            Ok(T::Acc::one() - Angle::new(&ranks, &saved.target).cosine())
        })
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 2>,
        [dloss]: [&[T]; 1],
        dx: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let (Saved { scores, inner, ranks, target }, dloss) = (at.saved, dloss[0].widen());
        lists::backward(&at, dx, scratch, |_, [dscores, _], _| {
            if ranks.is_empty() {
                return;
            }
            let mut dranks = ranks.clone();
            centre(&mut dranks);
            let (along, across) = Angle::new(&dranks, target).gradient();
            dranks.iter_mut().zip(target).for_each(|(d, &q)| *d = -dloss * (across * q - along * *d));
            let (x, sizes) = ([&scores[..]], &[scores.len()]);
            let point = Point { x, k: [], sizes, item: at.item, y: [&ranks[..]], saved: inner };
            let mut dx = vec![T::Acc::zero(); scores.len()];
            self.ranking().vjp(point, [&dranks], [&mut dx], &mut Scratch::default());
            dscores.iter_mut().zip(dx).for_each(|(d, dx)| *d = T::narrow(dx));
        });
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |x, scratch| {
            if lists::all_equal(x[1]) {
                return Ok(T::Acc::zero());
            }
            let [ranks, target] = x.map(|x| {
                let mut ranks = vec![T::zero(); x.len()];
                average_ranks(x, false, &mut ranks, scratch);
                let mut ranks: Vec<_> = ranks.into_iter().map(T::widen).collect();
                centre(&mut ranks);
                ranks
            });
            Ok(T::Acc::one() - Angle::new(&ranks, &target).cosine())
        })
    }
}

/// Subtracts the mean.
fn centre<A: Real<Acc = A>>(x: &mut [A]) {
    let mean = x.iter().copied().sum::<A>() / A::of(x.len() as f64);
    x.iter_mut().for_each(|x| *x -= mean);
}

/// Two vectors by their products.
struct Angle<A> {
    product: A,
    squares: [A; 2],
    /// Whether one of them is zero but for rounding.
    degenerate: bool,
}

impl<A: Real<Acc = A>> Angle<A> {
    fn new(u: &[A], v: &[A]) -> Self {
        let n = u.len() as f64;
        let least = n * (4.0 * n * f64::EPSILON).powi(2);
        let squares = [dot(u, u), dot(v, v)];
        // Written so that NaN is not degenerate.
        let numbers = squares.iter().all(|s| !s.is_nan());
        let degenerate = numbers && squares.iter().any(|s| s.as_f64() <= least);
        Self { product: dot(u, v), squares, degenerate }
    }

    fn cosine(&self) -> A {
        let [u, v] = self.squares;
        if self.degenerate { A::zero() } else { self.product / (u * v).sqrt() }
    }

    /// `(a, b)` with the gradient `b v − a u` of the cosine in u.
    fn gradient(&self) -> (A, A) {
        let [u, v] = self.squares;
        if self.degenerate {
            return (A::zero(), A::zero());
        }
        (self.cosine() / u, A::one() / (u * v).sqrt())
    }
}

impl Contract<2> for SpearmanLoss {
    const SUMMARY: &'static str = "one minus Spearman's correlation, at soft ranks";
    const PAPER: &'static str = "Blondel et al., ICML 2020, arXiv:2002.08871";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        let case = |softness, regularization| Self { softness, regularization };
        vec![
            case(0.1, Regularization::L2),
            case(1.0, Regularization::L2),
            case(0.5, Regularization::Entropic),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, 2.0))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, target] = at.x;
        let args = Args { x: [scores], k: [], sizes: at.sizes, item: at.item };
        let [r] = self.ranking().oracle(args)?;
        let below = |t: &f64| target.iter().filter(|other| *other < t).count() as f64;
        let equal = |t: &f64| target.iter().filter(|other| *other == t).count() as f64;
        let q: Vec<f64> = target.iter().map(|t| below(t) + 0.5 * (equal(t) + 1.0)).collect();
        let n = r.len() as f64;
        let moment = |a: &[f64], b: &[f64]| {
            let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
            a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>()
        };
        let scale = (moment(&r, &r) * moment(&q, &q)).sqrt();
        let loss = if scale < 1e-12 { 1.0 } else { 1.0 - moment(&r, &q) / scale };
        Some([vec![if moment(&q, &q) == 0.0 { 0.0 } else { loss }]])
    }
}

/// One minus Spearman's correlation between `scores` `(…, n)` and a target of the same shape, at soft ranks
/// of the scores.
///
/// $$ L(s, t) = 1 - \frac{\langle r - \bar r, \ q - \bar q \rangle}{\lVert r - \bar r \rVert \lVert q - \bar q \rVert} $$
///
/// with the L2 [soft ranks](crate::order::soft_rank) $r$ of the scores and the ranks $q$ of the target.
///
/// * Shapes: `(…, n)` twice to `(…)`. An entry with a target of −∞ is ignored.
/// * Softness: ε of the soft ranks, in the unit of the scores.
/// * Hard limit: one minus Spearman's correlation; equal values share the mean of their ranks.
/// * Where all targets are equal, the loss is 0; where all scores are, it is 1. Either way the gradient is
///   zero.
/// * Gradient: that of the soft ranks in the scores; zero in the target.
/// * A NaN makes its list NaN.
/// * Cost: O(n log n) forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::spearman_loss;
/// let target = array![10.0_f64, 30.0, 20.0];
/// assert!(spearman_loss(&array![0.0, 2.0, 1.0], &target, 0.1)?.into_scalar().abs() < 1e-12);
/// assert!((spearman_loss(&array![2.0, 0.0, 1.0], &target, 0.1)?.into_scalar() - 2.0).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Teboul, Berthet and Djolonga, *Fast differentiable sorting and ranking*, ICML 2020,
/// <https://arxiv.org/abs/2002.08871>.
pub fn spearman_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&SpearmanLoss { softness, ..SpearmanLoss::default() }, scores, target)
}
