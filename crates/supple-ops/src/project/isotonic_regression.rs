//! Isotonic regression: the nearest sequence that never falls.
//!
//! $$ y = \operatorname*{argmin}_{y_1 \le y_2 \le \dots \le y_n} \sum_i w_i D(x_i, y_i) $$
//!
//! or $\ge$ if `decreasing`. The solution is constant on blocks $B$ of neighbours, where it is a mean:
//!
//! * `"l2"`: $D = \tfrac12 (x - y)^2$ gives $y_B = \sum_{i \in B} w_i x_i / W_B$ with
//!   $W_B = \sum_{i \in B} w_i$.
//! * `"entropic"`: $D = \operatorname{KL}(e^x, e^y)$ of exponentials gives
//!   $y_B = \ln (\sum_{i \in B} w_i e^{x_i} / W_B)$, for data that are logarithms. It is
//!   $\min_v \langle e^{s - v}, 1 \rangle + \langle e^t, v \rangle$ of Blondel et al. with $x = s - t$,
//!   $w = e^t$, up to the order.
//!
//! For positive data $p$ there is no third form to ask for: $\operatorname{KL}(p, y)$ has the solution of
//! least squares, as any Bregman divergence in that order does, and $\operatorname{KL}(y, p)$ has the
//! geometric means, which are least squares of $\ln p$.
//!
//! * Gradient: with $G_B = \sum_{i \in B} \bar y_i$, L2 has $\bar x_i = w_i G_B / W_B$ and
//!   $\bar w_i = (x_i - y_B) G_B / W_B$; the entropic form $\bar x_i = w_i e^{x_i - y_B} G_B / W_B$ and
//!   $\bar w_i = (e^{x_i - y_B} - 1) G_B / W_B$. Blocks that just touch (a kink) count as one. For fixed
//!   weights the second derivative of L2 is zero almost everywhere.
//! * A weight of zero counts as one that is small beyond measure: in a block with others the element follows
//!   them, and a block of nothing else has the plain mean, whose weights get no gradient.
//! * NaN or ±∞ in `x` makes its item NaN. A weight that is negative or not finite is a fault of its item.
//! * Cost: O(n) forward and backward, by pooling adjacent violators.
//!
//! Papers: Ayer, Brunk, Ewing, Reid, Silverman, *An empirical distribution function for sampling with
//! incomplete information*, Annals of Mathematical Statistics 1955; Best, Chakravarti, Ubhaya, *Minimizing
//! separable convex functions subject to simple chain constraints*, SIAM Journal on Optimization 2000;
//! Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
//! <https://arxiv.org/abs/2002.08871>.

pub use super::common::Regularization;
use super::common::{blocks, check_length, minimax, project, twice};
use ndarray::{Array, ArrayView, Dimension};
use std::ops::Range;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scratch,
    Stream, params,
};
use supple_numerics::elementary::{dot, exp_slice};
use supple_numerics::pooling::weighted;

params! {
    /// Isotonic regression.
    pub struct IsotonicRegression {
        /// What it minimises.
        regularization: Regularization = Regularization::L2, Any;
        /// Whether the result never rises.
        decreasing: bool = false, Any;
    }
}

impl Operator<2> for IsotonicRegression {
    const NAME: &'static str = "isotonic_regression";
    const SIGNATURE: &'static str = "x(n), weights(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// Where the blocks start. Empty for an item with a NaN.
    type Saved<T: Real> = Vec<u32>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [y]: [&mut [T]; 1],
        starts: &mut Vec<u32>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, weights] = at.x;
        if let Some(w) = weights.iter().find(|w| !(w.is_finite() && **w >= T::zero())) {
            let requirement = "finite and >= 0";
            return Err(Fault::Domain { argument: "weights", requirement, value: w.as_f64() });
        }
        if !x.iter().all(|x| x.is_finite()) {
            y.fill(T::nan());
            return Ok(());
        }
        *starts = weighted(x, weights, self.decreasing, self.regularization.mean(), scratch);
        let mut shares = scratch.wide.empty();
        for block in blocks(starts) {
            let (x, weights) = (&x[block.clone()], &weights[block.clone()]);
            if let &[x] = x {
                y[block.start] = x;
                continue;
            }
            let total = shares_of(weights, &mut shares);
            let [reference, mean] = self.mean(x, &shares, total, scratch);
            y[block].fill(T::narrow(reference + mean));
        }
        scratch.wide.give(shares);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<u32>, 2>,
        [dy]: [&[T]; 1],
        [dx, dweights]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let [x, weights] = at.x;
        if at.saved.is_empty() {
            dx.fill(T::nan());
            return dweights.fill(T::nan());
        }
        let mut shares = scratch.wide.empty();
        for block in blocks(at.saved) {
            if block.len() == 1 {
                dx[block.start] = dy[block.start];
                continue;
            }
            let total = shares_of(&weights[block.clone()], &mut shares);
            let zeros = weights[block.clone()].iter().all(|w| *w <= T::zero());
            let sum: T::Acc = dy[block.clone()].iter().map(|dy| dy.widen()).sum();
            let rate = sum / total;
            // Not from y, which was rounded at the offset of x.
            let [reference, mean] = self.mean(&x[block.clone()], &shares, total, scratch);
            for (i, &share) in block.zip(&shares) {
                let apart = x[i].widen() - reference - mean;
                let (of_x, of_weight) = match self.regularization {
                    Regularization::L2 => (share, apart),
                    Regularization::Entropic if share == T::Acc::zero() => (share, apart.exp_m1()),
                    Regularization::Entropic => (share * apart.exp(), apart.exp_m1()),
                };
                dx[i] = T::narrow(rate * of_x);
                dweights[i] = if zeros { T::zero() } else { T::narrow(rate * of_weight) };
            }
        }
        scratch.wide.give(shares);
    }
}

/// The weights of a block, ones if all are zero, and their sum.
fn shares_of<T: Real>(weights: &[T], shares: &mut Vec<T::Acc>) -> T::Acc {
    shares.clear();
    shares.extend(weights.iter().map(|w| w.widen()));
    if shares.iter().all(|share| *share <= T::Acc::zero()) {
        shares.fill(T::Acc::one());
    }
    shares.iter().copied().sum()
}

/// `Σ w e`, where a weight of zero makes nothing of an exponential that has overflowed, but keeps its
/// tangent.
fn weighted_sum<A: Real>(weights: &[A], terms: &[A]) -> A {
    let bounded = |e: A| if e.is_finite() { e } else { A::zero() };
    weights.iter().zip(terms).map(|(&w, &e)| if w > A::zero() { w * e } else { w * bounded(e) }).sum()
}

impl IsotonicRegression {
    /// What the elements of a block are taken relative to, and how far their mean is from it.
    fn mean<T: Real>(
        &self,
        x: &[T],
        shares: &[T::Acc],
        total: T::Acc,
        scratch: &mut Scratch<T>,
    ) -> [T::Acc; 2] {
        let reference = self.reference(x, shares);
        let mut terms = scratch.wide.empty();
        terms.extend(x.iter().map(|x| x.widen() - reference));
        let mean = match self.regularization {
            Regularization::L2 => dot(shares, &terms) / total,
            Regularization::Entropic => {
                exp_slice(&mut terms);
                (weighted_sum(shares, &terms) / total).ln()
            }
        };
        scratch.wide.give(terms);
        [reference, mean]
    }

    /// What the elements of a block are taken relative to: the first, or the largest that counts.
    fn reference<T: Real>(&self, x: &[T], shares: &[T::Acc]) -> T::Acc {
        let counted = x.iter().zip(shares).filter(|(_, share)| **share > T::Acc::zero());
        let largest = counted.map(|(x, _)| x.as_f64()).fold(f64::NEG_INFINITY, f64::max);
        T::Acc::of(match self.regularization {
            Regularization::L2 => x.first().map_or(0.0, |x| x.as_f64()),
            Regularization::Entropic => largest,
        })
    }
}

impl Contract<2> for IsotonicRegression {
    const SUMMARY: &'static str = "nearest monotone sequence, with weights";
    const PAPER: &'static str = "Best et al., SIAM Journal on Optimization 2000; Blondel et al., ICML 2020";
    const COST: &'static str = "O(n) forward and backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["decreasing"];

    fn cases() -> Vec<Self> {
        let case = |regularization, decreasing| Self { regularization, decreasing };
        vec![
            case(Regularization::L2, false),
            case(Regularization::L2, true),
            case(Regularization::Entropic, false),
            case(Regularization::Entropic, true),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let (entropic, decreasing) = (self.regularization == Regularization::Entropic, self.decreasing);
        let size = move |x: f64| if entropic { x.exp() } else { x };
        let total = move |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| size(*x) * w).sum::<f64>();
        let preserved = if entropic { "preserves_the_sum_of_exponentials" } else { "preserves_the_sum" };
        vec![
            if decreasing { Law::Descending } else { Law::Ascending },
            Law::ShiftEquivariant,
            Law::Vanishes(preserved, Box::new(move |at| total(at.x[0], at.x[1]) - total(at.y[0], at.x[1]))),
            twice(self),
        ]
    }

    /// The minimax formula.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [x, weights] = at.x;
        let sign = if self.decreasing { -1.0 } else { 1.0 };
        let value = |block: Range<usize>| {
            let zeros = weights[block.clone()].iter().all(|w| *w == 0.0);
            let weight = |i: usize| if zeros { 1.0 } else { weights[i] };
            let total: f64 = block.clone().map(weight).sum();
            sign * match self.regularization {
                Regularization::L2 => block.map(|i| weight(i) * x[i]).sum::<f64>() / total,
                Regularization::Entropic => (block.map(|i| weight(i) * x[i].exp()).sum::<f64>() / total).ln(),
            }
        };
        Some([minimax(x.len(), value).into_iter().map(|y| sign * y).collect()])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 5, 8, 20].map(|n| vec![n]).to_vec()
    }

    /// Weights around one, with a zero now and then.
    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        let weight = |i: usize| if i % 6 == 4 { 0.0 } else { 0.2 + random.uniform() };
        let weights = (0..n).map(weight).collect();
        Sample { x: [random.normals(n), weights], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }

    /// Weights of zero stay.
    fn direction(&self, x: [&[f64]; 2], random: &mut Stream) -> [Vec<f64>; 2] {
        let of_weights = x[1].iter().map(|&w| if w > 0.0 { random.normal() } else { 0.0 }).collect();
        [random.normals(x[0].len()), of_weights]
    }
}

/// The sequence nearest to `x`, by squares with `weights`, that never falls along the last axis, or never
/// rises if `decreasing`.
///
/// $$ y = \operatorname*{argmin}_{y_1 \le y_2 \le \dots \le y_n} \sum_i w_i (x_i - y_i)^2 $$
///
/// It is constant on blocks of neighbours, where it is the weighted mean.
///
/// * Shapes: `(…, n)` to `(…, n)`; `weights` are `(…, n)` too, with leading axes that broadcast to those of
///   `x`.
/// * Gradient: that of the means, to `x` and to the weights. Blocks that just touch count as one.
/// * A weight of zero counts as one that is small beyond measure.
/// * NaN or ±∞ makes its item NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a weight that is negative or not finite.
///
/// For data that are logarithms (the [entropic form](Regularization::Entropic)), another axis or ragged
/// batches, call [`evaluate`](supple_core::evaluate) with an [`IsotonicRegression`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::isotonic_regression;
/// let (x, weights) = (array![1.0, 3.0, 2.0, 4.0], array![1.0, 1.0, 3.0, 1.0]);
/// assert_eq!(isotonic_regression(&x, &weights, false)?, array![1.0, 2.25, 2.25, 4.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Best, Chakravarti, Ubhaya, *Minimizing separable convex functions subject to simple chain constraints*,
/// SIAM Journal on Optimization 2000.
pub fn isotonic_regression<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    weights: impl Into<ArrayView<'a, T, E>>,
    decreasing: bool,
) -> Result<Array<T, D>, Error> {
    let operator = IsotonicRegression { decreasing, ..IsotonicRegression::default() };
    project(&operator, [x.into().into_dyn(), weights.into().into_dyn()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::{evaluate, linearize};

    fn both() -> [IsotonicRegression; 2] {
        [Regularization::L2, Regularization::Entropic]
            .map(|regularization| IsotonicRegression { regularization, decreasing: false })
    }

    #[test]
    fn weights_of_zero_are_the_limit_of_small_ones() {
        let x = array![0.0, 5.0, 2.0, 1.0, 4.0, 3.0, 9.0, 8.0].into_dyn();
        let zeros = array![1.0, 0.0, 1.0, 0.0, 2.0, 1.0, 0.0, 0.0].into_dyn();
        let small = zeros.mapv(|w| if w == 0.0 { 1e-13 } else { w });
        for op in both() {
            let at = linearize(&op, [x.view(), zeros.view()]).unwrap();
            let [near] = evaluate(&op, [x.view(), small.view()]).unwrap();
            let apart = (&at.outputs()[0] - &near).mapv(f64::abs);
            assert!(apart.iter().all(|d| *d < 1e-11), "{apart}");
            let [dx, dw] = at.vjp([x.view()]).unwrap();
            let near = linearize(&op, [x.view(), small.view()]).unwrap();
            let [dx_near, dw_near] = near.vjp([x.view()]).unwrap();
            assert!((&dx - &dx_near).iter().all(|d| d.abs() < 1e-10));
            assert!((&dw - &dw_near).iter().take(6).all(|d| d.abs() < 1e-9));
            // The last two are a block of zeros alone.
            assert_eq!((dw[6], dw[7]), (0.0, 0.0));
        }
    }

    #[test]
    fn scales_offsets_and_long_items() {
        let mut random = Stream::new(6, 0, 0);
        let x: Vec<f32> = (0..100_000).map(|i| 1e-5 * i as f32 + random.normal() as f32).collect();
        let weights: Vec<f32> = x.iter().map(|_| 0.1 + random.uniform() as f32).collect();
        let wide = |x: &[f32]| x.iter().map(|&x| x.into()).collect::<Vec<f64>>();
        for decreasing in [false, true] {
            let single = isotonic_regression(&x[..], &weights[..], decreasing).unwrap();
            let double = isotonic_regression(&wide(&x)[..], &wide(&weights)[..], decreasing).unwrap();
            assert!(single.iter().zip(&double).all(|(&a, &b)| (a as f64 - b).abs() < 1e-6));
        }
        let (x, weights) = (wide(&x[..500]), wide(&weights[..500]));
        let expected = isotonic_regression(&x[..], &weights[..], false).unwrap();
        for (scale, offset) in [(1e-10, 0.0), (1e9, 0.0), (1.0, 1e6)] {
            let moved: Vec<f64> = x.iter().map(|x| x * scale + offset).collect();
            let y = isotonic_regression(&moved[..], &weights[..], false).unwrap();
            let worst = y.iter().zip(&expected).map(|(y, e)| ((y - offset) / scale - e).abs());
            assert!(worst.fold(0.0, f64::max) < 1e-8, "{scale} {offset}");
        }
    }

    #[test]
    fn gradients_lose_nothing_by_an_offset() {
        for op in both() {
            let gradients = |offset: f32| {
                let (x, w) = (array![offset + 1.0, offset].into_dyn(), array![1.0, 1.0].into_dyn());
                let at = linearize(&op, [x.view(), w.view()]).unwrap();
                at.vjp([array![0.5, 0.5].into_dyn().view()]).unwrap()
            };
            for offset in [1e3, 1e7] {
                assert_eq!(gradients(offset), gradients(0.0), "{offset}");
            }
            let [dx, dw] = gradients(1e7);
            assert!((dx.sum() - 1.0).abs() < 1e-6 && dw[0] > 0.0 && dw[1] < 0.0, "{dx} {dw}");
        }
    }

    #[test]
    fn the_entropic_form_neither_overflows_nor_cancels() {
        let (x, weights) = (array![1e4, -1e4, 0.0, 800.0], array![1.0, 1e-9, 0.0, 1.0]);
        let [_, op] = both();
        let inputs = [x.view().into_dyn(), weights.view().into_dyn()];
        let at = linearize(&op, inputs).unwrap();
        let expected = 1e4 - f64::ln(2.0 + 1e-9);
        assert!(at.outputs()[0].iter().all(|y| (y - expected).abs() < 1e-11), "{}", at.outputs()[0]);
        let gradients = at.vjp([array![1.0, 1.0, 1.0, 1.0].into_dyn().view()]).unwrap();
        assert!(gradients.iter().flatten().all(|d| d.is_finite()));
    }

    #[test]
    fn what_is_not_finite() {
        for op in both() {
            let y = |x: f64, w: f64| {
                let (x, w) = (array![1.0, x, 3.0].into_dyn(), array![1.0, w, 1.0].into_dyn());
                evaluate(&op, [x.view(), w.view()])
            };
            for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(y(x, 1.0).unwrap()[0].iter().all(|y| y.is_nan()));
            }
            for w in [f64::NAN, f64::INFINITY, -1.0] {
                assert!(y(1.0, w).unwrap_err().to_string().contains("`weights`"));
            }
        }
    }
}
