//! Soft sort, by projection onto the permutahedron.
//!
//! With the permutahedron $\mathcal P(x)$, the convex hull of all permutations of $x$, and
//! $\rho = (1, \dots, n)$,
//!
//! $$ s(x) = \operatorname*{argmin}_{p \in \mathcal P(x)} \tfrac12 \lVert p - \rho / \varepsilon \rVert^2
//! \qquad\text{or}\qquad
//! e^{-s(x)} = \operatorname*{argmin}_{p \in \mathcal P(e^{-x})} \operatorname{KL}(p, e^{-\rho / \varepsilon}), $$
//!
//! `"l2"` and `"entropic"`. The result ascends; the descending one is $-s(-x)$.
//!
//! On the sorted values $x_{(k)}$, this is an isotonic regression, and its blocks $B$ of neighbouring
//! positions give
//!
//! $$ s_k = \bar x_B + \frac{k - \bar\rho_B}{\varepsilon} \qquad\text{or}\qquad
//! s_k = -\ln \sum_{j \in B} e^{-x_{(j)}} + \ln \sum_{j \in B} e^{-j / \varepsilon} + \frac{k}{\varepsilon}. $$
//!
//! * Softness: **one over the unit of `x`** in the L2 form; the paper's ε. Neighbours less than 1/ε apart
//!   are sorted exactly: at 0.1, data in \[0, 1\] is. In the entropic form, `x` has no unit.
//! * Hard limit: the sorted values.
//! * Gradient: that of the blocks. Equal values are told apart by their position (a kink); blocks that
//!   just touch count as one. The second derivative of the L2 form is zero almost everywhere.
//! * A NaN makes its whole item NaN. An infinity pools with everything: all outputs of the L2 form are
//!   then infinite, and the gradient is NaN. In the entropic form, ∞ counts for nothing.
//! * Cost: O(n log n) for short items, O(n) for long ones by radix sort; backward O(n).
//!
//! Paper: Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
//! <https://arxiv.org/abs/2002.08871>.

use super::permutahedron::{
    Regularization, blocks, check_length, for_each_position, log_sum_exp, minimax, real, sort, sorted,
};
use ndarray::{Array, ArrayView, Dimension};
use std::ops::Range;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};
use supple_numerics::isotonic::{self, Partition, Trend, line_sum};

params! {
    /// Soft sort.
    pub struct SoftSort {
        /// One over the distance at which values start to mix.
        softness: f64 = 0.1, Positive;
        /// What the projection minimises.
        regularization: Regularization = Regularization::L2, Any;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
}

/// The sorting permutation and the partition of the sorted positions. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved {
    order: Vec<u32>,
    starts: Vec<u32>,
}

impl Operator for SoftSort {
    const NAME: &'static str = "soft_sort";
    const SIGNATURE: &'static str = "x(n) -> sorted(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        let l2 = Scaling { softness: self.softness, power: -1, inputs: [1], outputs: [1] };
        (self.regularization == Regularization::L2).then_some(l2)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if let Some(limit) = self.limit(&z) {
            y.fill(self.signed(limit));
            scratch.indices.give(order);
        } else {
            let starts = self.project(&z, y, scratch);
            *saved = Saved { order, starts };
        }
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Saved { order, starts } = at.saved;
        if order.len() < dx.len() {
            return dx.fill(T::nan());
        }
        for block in blocks(starts) {
            let places = &order[block.clone()];
            if let &[place] = places {
                dx[place as usize] = dy[block.start];
                continue;
            }
            let sum: T::Acc = dy[block].iter().map(|dy| dy.widen()).sum();
            match self.regularization {
                Regularization::L2 => {
                    let mean = T::narrow(sum / T::Acc::of(real(places.len())));
                    places.iter().for_each(|&place| dx[place as usize] = mean);
                }
                Regularization::Entropic => {
                    let mut e = scratch.wide.empty();
                    let z = |place: u32| self.signed(at.x[0][place as usize].widen());
                    e.extend(places.iter().map(|&place| (z(places[0]) - z(place)).exp()));
                    let factor = sum / e.iter().copied().sum();
                    for (&place, &e) in places.iter().zip(&e) {
                        dx[place as usize] = T::narrow(factor * e);
                    }
                    scratch.wide.give(e);
                }
            }
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        sort(at.x[0], self.descending, y, scratch);
        Ok(())
    }
}

impl SoftSort {
    fn signed<T: Real>(&self, x: T) -> T {
        if self.descending { -x } else { x }
    }

    /// What all outputs are where the values at the ends pool with everything, or are NaN.
    fn limit<T: Real>(&self, z: &[T]) -> Option<T> {
        let (&first, &last) = (z.first()?, z.last()?);
        let one_block = match self.regularization {
            Regularization::L2 => !first.is_finite() || !last.is_finite(),
            Regularization::Entropic => !first.is_finite() || last.is_nan(),
        };
        one_block.then_some(first + last)
    }

    /// Projects sorted values and returns the starts of the blocks.
    fn project<T: Real>(&self, z: &[T], y: &mut [T], scratch: &mut Scratch<T>) -> Vec<u32> {
        let step = 1.0 / self.softness;
        let partition = match self.regularization {
            Regularization::L2 => isotonic::l2(z, step, Trend::Decreasing, scratch),
            Regularization::Entropic => isotonic::entropic_line(z, step, scratch),
        };
        let Partition { starts, sums: mut levels } = partition;
        for (level, block) in levels.iter_mut().zip(blocks(&starts)) {
            let (first, len) = (z[block.start].widen(), real(block.len()));
            *level = match self.regularization {
                Regularization::L2 => first + *level / T::Acc::of(len) - T::Acc::of(0.5 * step * (len - 1.0)),
                Regularization::Entropic => first - level.ln() + T::Acc::of(line_sum(len, step).ln()),
            };
        }
        for_each_position(&starts, scratch, |k, b, block| {
            y[k] = self.signed(T::narrow(levels[b] + T::Acc::of(real(k - block.start) * step)));
        });
        scratch.wide.give(levels);
        starts
    }
}

impl Contract for SoftSort {
    const SUMMARY: &'static str = "sorted values, by projection onto the permutahedron";
    const PAPER: &'static str = "Blondel et al., ICML 2020, arXiv:2002.08871";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        let l2 = |softness, descending| Self { softness, descending, ..Self::default() };
        let entropic = |softness, descending| Self {
            regularization: Regularization::Entropic,
            ..l2(softness, descending)
        };
        vec![l2(0.1, true), l2(2.0, false), l2(30.0, true), entropic(0.5, false), entropic(5.0, true)]
    }

    fn laws(&self) -> Vec<Law> {
        let (regularization, sign) = (self.regularization, if self.descending { -1.0 } else { 1.0 });
        let total = move |x: &[f64]| match regularization {
            Regularization::L2 => x.iter().sum::<f64>(),
            Regularization::Entropic => x.iter().map(|x| (-sign * x).exp()).sum::<f64>().ln(),
        };
        let preserved = match regularization {
            Regularization::L2 => "preserves_the_sum",
            Regularization::Entropic => "preserves_the_sum_of_exponentials",
        };
        vec![
            if self.descending { Law::Descending } else { Law::Ascending },
            Law::PermutationInvariant,
            Law::ShiftEquivariant,
            Law::Vanishes(preserved, Box::new(move |at| total(at.x[0]) - total(at.y[0]))),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let mut z: Vec<f64> = at.x[0].iter().map(|&x| self.signed(x)).collect();
        z.sort_by(f64::total_cmp);
        let place = |k: usize| k as f64 / self.softness;
        let value = |block: Range<usize>| {
            let places: Vec<f64> = block.clone().map(place).collect();
            match self.regularization {
                Regularization::L2 => {
                    (places.iter().sum::<f64>() - z[block].iter().sum::<f64>()) / places.len() as f64
                }
                Regularization::Entropic => {
                    let negative = |x: &[f64]| x.iter().map(|x| -x).collect::<Vec<_>>();
                    log_sum_exp(&negative(&z[block])) - log_sum_exp(&negative(&places))
                }
            }
        };
        let v = minimax(z.len(), value);
        Some([v.into_iter().enumerate().map(|(k, v)| self.signed(place(k) - v)).collect()])
    }
}

/// Soft sort along the last axis, ascending: the projection of $(1, \dots, n) / \varepsilon$ onto the
/// permutahedron of `x`, with L2 regularization.
///
/// $$ s_k = \bar x_B + \frac{k - \bar\rho_B}{\varepsilon} $$
///
/// on blocks $B$ of neighbouring positions, where $\rho = (1, \dots, n)$.
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, **one over the unit of `x`**. Values less than 1/ε apart from their neighbours are sorted
///   exactly: at softness 0.1, data in \[0, 1\] comes out hard. As it grows, all outputs approach the mean.
/// * Hard limit: the sorted values.
/// * Gradient: that of the blocks. Equal values are told apart by their position; blocks that just
///   touch count as one. Second derivatives are zero almost everywhere; the
///   [entropic form](Regularization::Entropic) of [`SoftSort`] has curvature.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order, the entropic form, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`SoftSort`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::soft_sort;
/// assert_eq!(soft_sort(&array![5.0, 1.0, 2.0], 0.1)?, array![1.0, 2.0, 5.0]);
/// assert_eq!(soft_sort(&array![5.0, 1.0, 2.0], 0.5)?, array![1.0, 2.5, 4.5]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
/// <https://arxiv.org/abs/2002.08871>.
pub fn soft_sort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftSort { softness, ..SoftSort::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, aview1};
    use supple_core::{Stream, evaluate, linearize};

    #[test]
    fn single_precision_is_right_at_a_million() {
        let mut random = Stream::new(0, 0, 0);
        let x: Vec<f32> = (0..1_000_000).map(|_| random.normal() as f32).collect();
        let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
        for softness in [1e-6, 3e5, 1e9] {
            let single = soft_sort(&x[..], softness).unwrap();
            let double = soft_sort(&wide[..], softness).unwrap();
            assert!(
                single.iter().zip(&double).all(|(&a, &b)| (a as f64 - b).abs() <= 1e-6 * (1.0 + b.abs()))
            );
        }
    }

    #[test]
    fn entropic_weights_do_not_overflow() {
        let op = SoftSort { softness: 100.0, regularization: Regularization::Entropic, descending: false };
        let x = array![1e4, -1e4, 0.0, 1e4].into_dyn();
        let at = linearize(&op, [x.view()]).unwrap();
        assert!(at.outputs()[0].iter().all(|y| (y + 1e4).abs() < 10.0), "{}", at.outputs()[0]);
        let [dx] = at.vjp([array![1.0, 1.0, 1.0, 1.0].into_dyn().view()]).unwrap();
        assert_eq!(dx, array![0.0, 4.0, 0.0, 0.0].into_dyn());
    }

    #[test]
    fn what_is_not_finite_spoils_its_item_only() {
        let x =
            [[2.0, 1.0, f64::NAN], [2.0, 1.0, f64::INFINITY], [2.0, 1.0, f64::NEG_INFINITY], [2.0, 1.0, 3.0]];
        let one = |x: &[f64; 3]| soft_sort(&x[..], 0.1).unwrap().to_vec();
        assert!(one(&x[0]).iter().all(|y| y.is_nan()));
        assert_eq!(one(&x[1]), [f64::INFINITY; 3]);
        assert_eq!(one(&x[2]), [f64::NEG_INFINITY; 3]);
        assert_eq!(one(&x[3]), [1.0, 2.0, 3.0]);
        let op = SoftSort { regularization: Regularization::Entropic, ..SoftSort::default() };
        let last = |x: &[f64]| evaluate(&op, [aview1(x).into_dyn()]).unwrap()[0].clone();
        let (infinite, large) = (last(&x[1]), last(&[2.0, 1.0, 1e5]));
        assert!((infinite - large).iter().all(|d| d.abs() < 1e-12));
    }
}
